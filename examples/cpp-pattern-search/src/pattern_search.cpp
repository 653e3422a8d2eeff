// Exact cosine top-k over a row-major matrix of floats: what include/pattern_search.h says.

#include "pattern_search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>

namespace {

using Clock = std::chrono::steady_clock;

// More floats than that cannot exist in memory.
constexpr int64_t max_values = PTRDIFF_MAX / sizeof(float);

// How many sums run side by side; a compiler makes vectors of them without reordering any.
constexpr int32_t lanes = 8;

// One row of the answer.
struct Hit {
    int32_t row;
    float score; // its cosine with the query, or NaN

    // Greater scores come first, NaN last; rows of equal score by their number.
    bool operator<(const Hit &other) const {
        if (std::isnan(score) != std::isnan(other.score)) return std::isnan(other.score);
        if (!std::isnan(score) && score != other.score) return score > other.score;
        return row < other.row;
    }
};

// Sums in double, where no square of a finite float overflows or vanishes.
struct Sums {
    double dot;
    double norm_squared;
};

Sums sums(const float *query, const float *row, int32_t dim) {
    double dots[lanes] = {}, norms[lanes] = {};
    int32_t at = 0;
    for (; at <= dim - lanes; at += lanes) {
        for (int32_t lane = 0; lane < lanes; lane++) {
            const double q = query[at + lane], p = row[at + lane];
            dots[lane] += q * p;
            norms[lane] += p * p;
        }
    }
    Sums total = {0, 0};
    for (; at < dim; at++) {
        const double q = query[at], p = row[at];
        total.dot += q * p;
        total.norm_squared += p * p;
    }
    for (int32_t lane = 0; lane < lanes; lane++) {
        total.dot += dots[lane];
        total.norm_squared += norms[lane];
    }
    return total;
}

float cosine(double query_norm, const Sums &total) {
    if (!std::isfinite(total.norm_squared)) return std::numeric_limits<float>::quiet_NaN();
    if (query_norm == 0 || total.norm_squared == 0) return 0;
    // Rounding can put a parallel row a little past 1.
    const double score = total.dot / (query_norm * std::sqrt(total.norm_squared));
    return static_cast<float>(std::clamp(score, -1.0, 1.0));
}

struct Free {
    void operator()(void *memory) const { std::free(memory); }
};

bool is_misaligned(const void *pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % alignof(float) != 0;
}

} // namespace

extern "C" double pattern_search_ffi(const float *query, const float *patterns, int32_t n,
                                     int32_t dim, int32_t top_k, int32_t *out_idx,
                                     float *out_score) {
    const auto start = Clock::now();
    if (!query || !patterns || !out_idx || !out_score) return PATTERN_SEARCH_NULL_POINTER;
    if (is_misaligned(query) || is_misaligned(patterns) || is_misaligned(out_idx) ||
        is_misaligned(out_score))
        return PATTERN_SEARCH_MISALIGNED;
    if (n < 0 || dim < 0 || top_k < 0 || int64_t{n} * dim > max_values)
        return PATTERN_SEARCH_BAD_SIZE;
    if (top_k > n) return PATTERN_SEARCH_BAD_TOP_K;

    // A finite norm of floats whose squares cannot overflow: all of them are finite.
    const double query_norm = std::sqrt(sums(query, query, dim).norm_squared);
    if (!std::isfinite(query_norm)) return PATTERN_SEARCH_BAD_QUERY;

    // malloc and not std::vector: an exception must not reach C.
    const size_t room = std::max<size_t>(top_k, 1) * sizeof(Hit);
    const std::unique_ptr<Hit[], Free> owned(static_cast<Hit *>(std::malloc(room)));
    if (!owned) return PATTERN_SEARCH_NO_MEMORY;
    Hit *const hits = owned.get(), *const end = hits + top_k;
    for (int32_t row = 0; row < n; row++) {
        const Hit hit = {row, cosine(query_norm, sums(query, patterns + size_t(row) * dim, dim))};
        if (row < top_k) {
            hits[row] = hit;
            std::push_heap(hits, hits + row + 1);
        } else if (top_k > 0 && hit < hits[0]) {
            std::pop_heap(hits, end);
            end[-1] = hit;
            std::push_heap(hits, end);
        }
    }
    std::sort_heap(hits, end);
    for (int32_t at = 0; at < top_k; at++) {
        out_idx[at] = hits[at].row;
        out_score[at] = hits[at].score;
    }
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}
