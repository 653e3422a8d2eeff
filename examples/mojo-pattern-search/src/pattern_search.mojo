"""Exact cosine top-k over a row-major matrix of `Float32`: what `include/pattern_search.h` says."""

from std.ffi import external_call
from std.math import isfinite, isnan, nan, sqrt
from std.sys import simd_width_of, size_of
from std.time import perf_counter_ns

comptime Floats = Pointer[Float32, MutAnyOrigin]
comptime Rows = Pointer[Int32, MutAnyOrigin]
comptime Hits = Pointer[Hit, MutAnyOrigin]

comptime WIDTH = simd_width_of[DType.float64]()
comptime MAX_VALUES = Int.MAX // 4
"""More floats than that cannot exist in memory."""

comptime NULL_POINTER = -1.0
comptime MISALIGNED = -2.0
comptime BAD_SIZE = -3.0
comptime BAD_TOP_K = -4.0
comptime BAD_QUERY = -5.0
comptime NO_MEMORY = -6.0


@fieldwise_init
struct Hit(Copyable, ImplicitlyCopyable, Movable, TrivialRegisterPassable):
    """One row of the answer."""

    var row: Int32
    var score: Float32
    """Its cosine with the query, or NaN."""

    def is_before(self, other: Self) -> Bool:
        """Greater scores come first, NaN last; rows of equal score by their number."""
        if isnan(self.score) != isnan(other.score):
            return isnan(other.score)
        if self.score != other.score and not isnan(self.score):
            return self.score > other.score
        return self.row < other.row


@fieldwise_init
struct Sums(Copyable, ImplicitlyCopyable, Movable, TrivialRegisterPassable):
    """Sums in `Float64`, where no square of a finite `Float32` overflows or vanishes."""

    var dot: Float64
    var norm_squared: Float64


def sums(query: Floats, row: Floats, dim: Int) -> Sums:
    var dots = SIMD[DType.float64, WIDTH](0)
    var norms = SIMD[DType.float64, WIDTH](0)
    var whole = dim - dim % WIDTH
    for at in range(0, whole, WIDTH):
        var q = query.unsafe_load[width=WIDTH](at).cast[DType.float64]()
        var p = row.unsafe_load[width=WIDTH](at).cast[DType.float64]()
        dots += q * p
        norms += p * p
    var dot = dots.reduce_add()
    var norm = norms.reduce_add()
    for at in range(whole, dim):
        var p = row.unsafe_load(at).cast[DType.float64]()
        dot += query.unsafe_load(at).cast[DType.float64]() * p
        norm += p * p
    return Sums(dot, norm)


def cosine(query_norm: Float64, sums: Sums) -> Float32:
    if not isfinite(sums.norm_squared):
        return nan[DType.float32]()
    if query_norm == 0 or sums.norm_squared == 0:
        return 0
    # Rounding can put a parallel row a little past 1.
    var score = sums.dot / (query_norm * sqrt(sums.norm_squared))
    return score.clamp(-1.0, 1.0).cast[DType.float32]()


def sift_down(hits: Hits, start: Int, length: Int):
    """Restores the order of a heap that has the last hit on top, below `start`."""
    var at = start
    while 2 * at + 1 < length:
        var child = 2 * at + 1
        if child + 1 < length and hits[unsafe_offset=child].is_before(hits[unsafe_offset=child + 1]):
            child += 1
        if not hits[unsafe_offset=at].is_before(hits[unsafe_offset=child]):
            return
        swap(hits[unsafe_offset=at], hits[unsafe_offset=child])
        at = child


def search(
    query: Floats, query_norm: Float64, patterns: Floats, n: Int, dim: Int, hits: Hits, top_k: Int
):
    """Fills `hits` with the first `top_k` rows, best first."""
    for row in range(n):
        var hit = Hit(Int32(row), cosine(query_norm, sums(query, patterns.unsafe_offset(row * dim), dim)))
        if row < top_k:
            hits[unsafe_offset=row] = hit
            if row == top_k - 1:
                for start in range(top_k // 2 - 1, -1, -1):
                    sift_down(hits, start, top_k)
        elif top_k > 0 and hit.is_before(hits[unsafe_offset=0]):
            hits[unsafe_offset=0] = hit
            sift_down(hits, 0, top_k)
    for length in range(top_k - 1, 0, -1):
        swap(hits[unsafe_offset=0], hits[unsafe_offset=length])
        sift_down(hits, 0, length)


def refuse_arguments(
    query: Int, patterns: Int, out_idx: Int, out_score: Int, n: Int, dim: Int, top_k: Int
) -> Float64:
    """The first refusal that the addresses or sizes call for, else 0."""
    if query == 0 or patterns == 0 or out_idx == 0 or out_score == 0:
        return NULL_POINTER
    if (query | patterns | out_idx | out_score) % 4 != 0:
        return MISALIGNED
    if n < 0 or dim < 0 or top_k < 0 or n * dim > MAX_VALUES:
        return BAD_SIZE
    if top_k > n:
        return BAD_TOP_K
    return 0


@export("pattern_search_ffi")
def pattern_search_ffi(
    query: Floats,
    patterns: Floats,
    n: Int32,
    dim: Int32,
    top_k: Int32,
    out_idx: Rows,
    out_score: Floats,
) abi("C") -> Float64:
    var start = perf_counter_ns()
    var refusal = refuse_arguments(
        Int(query), Int(patterns), Int(out_idx), Int(out_score), Int(n), Int(dim), Int(top_k)
    )
    if refusal < 0:
        return refusal
    # A finite norm of `dim` floats, whose squares cannot overflow: all of them are finite.
    var query_norm = sqrt(sums(query, query, Int(dim)).norm_squared)
    if not isfinite(query_norm):
        return BAD_QUERY
    # `malloc` and not `List`, which ends the process where there is no memory.
    var room = external_call["malloc", Int](max(Int(top_k), 1) * size_of[Hit]())
    if room == 0:
        return NO_MEMORY
    var hits = Hits(unsafe_from_address=room)
    search(query, query_norm, patterns, Int(n), Int(dim), hits, Int(top_k))
    for at in range(Int(top_k)):
        var hit = hits[unsafe_offset=at]
        out_idx[unsafe_offset=at] = hit.row
        out_score[unsafe_offset=at] = hit.score
    external_call["free", NoneType](room)
    return Float64(perf_counter_ns() - start) / 1e6
