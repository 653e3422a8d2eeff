// Exact cosine top-k over a row-major matrix of float32: what include/pattern_search.h says.
package main

/*
#include <stdint.h>
#include <stdlib.h>

// The header has `const` where cgo writes none, so it cannot be included here.

// Go's own C.malloc ends the process where there is no memory.
static inline void *room_for(size_t bytes) { return malloc(bytes); }
*/
import "C"

import (
	"math"
	"time"
	"unsafe"
)

// What is returned instead of a time.
const (
	nullPointer = -1
	misaligned  = -2
	badSize     = -3
	badTopK     = -4
	badQuery    = -5
	noMemory    = -6
)

// More floats than that cannot exist in memory.
const maxValues = math.MaxInt64 / 4

// hit is one row of the answer.
type hit struct {
	row   int32
	score float32 // its cosine with the query, or NaN
}

// isBefore orders hits: greater scores come first, NaN last; rows of equal score by their number.
func (h hit) isBefore(other hit) bool {
	isNaN := h.score != h.score
	if isNaN != (other.score != other.score) {
		return !isNaN
	}
	if !isNaN && h.score != other.score {
		return h.score > other.score
	}
	return h.row < other.row
}

// sums adds in float64, where no square of a finite float32 overflows or vanishes.
func sums(query, row []float32) (dot, normSquared float64) {
	var dots, norms [4]float64
	row = row[:len(query)]
	at := 0
	for ; at+4 <= len(query); at += 4 {
		q, p := query[at:at+4:at+4], row[at:at+4:at+4]
		for lane := range dots {
			dots[lane] += float64(q[lane]) * float64(p[lane])
			norms[lane] += float64(p[lane]) * float64(p[lane])
		}
	}
	for ; at < len(query); at++ {
		dot += float64(query[at]) * float64(row[at])
		normSquared += float64(row[at]) * float64(row[at])
	}
	for lane := range dots {
		dot += dots[lane]
		normSquared += norms[lane]
	}
	return dot, normSquared
}

func isFinite(value float64) bool {
	return !math.IsNaN(value) && !math.IsInf(value, 0)
}

func cosine(queryNorm, dot, normSquared float64) float32 {
	if !isFinite(normSquared) {
		return float32(math.NaN())
	}
	if queryNorm == 0 || normSquared == 0 {
		return 0
	}
	// Rounding can put a parallel row a little past 1.
	score := dot / (queryNorm * math.Sqrt(normSquared))
	return float32(math.Max(-1, math.Min(1, score)))
}

// siftDown restores the order of a heap that has the last hit on top, below start.
func siftDown(hits []hit, start int) {
	for at := start; 2*at+1 < len(hits); {
		child := 2*at + 1
		if child+1 < len(hits) && hits[child].isBefore(hits[child+1]) {
			child++
		}
		if !hits[at].isBefore(hits[child]) {
			return
		}
		hits[at], hits[child] = hits[child], hits[at]
		at = child
	}
}

// search fills hits with the first of n rows, best first.
func search(query []float32, queryNorm float64, patterns []float32, n int, hits []hit) {
	dim := len(query)
	for row := 0; row < n; row++ {
		dot, normSquared := sums(query, patterns[row*dim:(row+1)*dim])
		found := hit{int32(row), cosine(queryNorm, dot, normSquared)}
		if row < len(hits) {
			hits[row] = found
			if row+1 == len(hits) {
				for start := len(hits)/2 - 1; start >= 0; start-- {
					siftDown(hits, start)
				}
			}
		} else if len(hits) > 0 && found.isBefore(hits[0]) {
			hits[0] = found
			siftDown(hits, 0)
		}
	}
	for length := len(hits) - 1; length > 0; length-- {
		hits[0], hits[length] = hits[length], hits[0]
		siftDown(hits[:length], 0)
	}
}

// refusal is the first one that the addresses or sizes call for, else 0.
func refusal(query, patterns, outIdx, outScore unsafe.Pointer, n, dim, topK int) float64 {
	addresses := uintptr(0)
	for _, pointer := range []unsafe.Pointer{query, patterns, outIdx, outScore} {
		if pointer == nil {
			return nullPointer
		}
		addresses |= uintptr(pointer)
	}
	switch {
	case addresses%4 != 0:
		return misaligned
	case n < 0 || dim < 0 || topK < 0 || n*dim > maxValues:
		return badSize
	case topK > n:
		return badTopK
	}
	return 0
}

//export pattern_search_ffi
func pattern_search_ffi(
	query, patterns *C.float, n, dim, topK C.int32_t, outIdx *C.int32_t, outScore *C.float,
) C.double {
	start := time.Now()
	rows, columns, wanted := int(n), int(dim), int(topK)
	code := refusal(unsafe.Pointer(query), unsafe.Pointer(patterns), unsafe.Pointer(outIdx),
		unsafe.Pointer(outScore), rows, columns, wanted)
	if code < 0 {
		return C.double(code)
	}
	queryValues := unsafe.Slice((*float32)(unsafe.Pointer(query)), columns)
	patternValues := unsafe.Slice((*float32)(unsafe.Pointer(patterns)), rows*columns)

	// A finite norm of floats whose squares cannot overflow: all of them are finite.
	_, normSquared := sums(queryValues, queryValues)
	queryNorm := math.Sqrt(normSquared)
	if !isFinite(queryNorm) {
		return badQuery
	}
	room := C.room_for(C.size_t(wanted+1) * C.size_t(unsafe.Sizeof(hit{})))
	if room == nil {
		return noMemory
	}
	defer C.free(room)
	hits := unsafe.Slice((*hit)(room), wanted)
	search(queryValues, queryNorm, patternValues, rows, hits)
	for at, found := range hits {
		*(*int32)(unsafe.Add(unsafe.Pointer(outIdx), 4*at)) = found.row
		*(*float32)(unsafe.Add(unsafe.Pointer(outScore), 4*at)) = found.score
	}
	return C.double(float64(time.Since(start)) / float64(time.Millisecond))
}

func main() {}
