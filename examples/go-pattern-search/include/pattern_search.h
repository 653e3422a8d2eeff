/* pattern_search.h - exact cosine top-k over a matrix of 32-bit floats
 *
 * One stateless function. It keeps nothing between calls, reads its inputs only during the call,
 * starts no thread, and neither reads nor changes the floating-point environment. It may be called
 * from any number of threads at once, as long as no other thread writes what it reads.
 */
#ifndef PATTERN_SEARCH_H
#define PATTERN_SEARCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What pattern_search_ffi returns instead of a time, as a double. The outputs are untouched. Where
 * several apply, the first in this list is returned. */
enum pattern_search_error {
    /* query, patterns, out_idx or out_score is NULL; also refused where no element would be used. */
    PATTERN_SEARCH_NULL_POINTER = -1,
    /* One of them is not a multiple of 4, the alignment of float and int32_t. */
    PATTERN_SEARCH_MISALIGNED = -2,
    /* n, dim or top_k is negative, or n * dim floats cannot exist in memory. */
    PATTERN_SEARCH_BAD_SIZE = -3,
    /* top_k is larger than n. */
    PATTERN_SEARCH_BAD_TOP_K = -4,
    /* query holds a NaN or an infinity, so it points nowhere. */
    PATTERN_SEARCH_BAD_QUERY = -5,
    /* Memory for dim floats and top_k hits could not be had. */
    PATTERN_SEARCH_NO_MEMORY = -6
};

/* Finds the top_k rows of a matrix whose cosine similarity with a query is greatest.
 *
 * query      dim floats.
 * patterns   n rows of dim floats each, row after row without gaps (C order).
 * n          number of rows, 0 or more.
 * dim        number of floats in the query and in each row, 0 or more.
 * top_k      number of rows wanted, 0 to n.
 * out_idx    receives top_k row numbers, best first.
 * out_score  receives their similarities, in the same order.
 *
 * Order: by score, descending; rows of equal score by row number, ascending. Rows with the same
 * bytes always score the same.
 *
 * Scores: between -1 and 1, within 1e-6 of the exact value; large and small magnitudes neither
 * overflow nor vanish. Special rows:
 *   - a row of zeros scores 0, and so does every finite row when the query is all zeros;
 *   - a row that holds a NaN or an infinity scores NaN and ranks after every other row;
 *   - with dim 0, every row is a row of zeros.
 *
 * The outputs are written after the last input was read, so they may overlap the inputs; where
 * out_idx and out_score overlap each other, what they hold is unspecified.
 *
 * Returns the elapsed wall time in milliseconds, 0 or more, or a negative pattern_search_error.
 */
double pattern_search_ffi(const float *query, const float *patterns, int32_t n, int32_t dim,
                          int32_t top_k, int32_t *out_idx, float *out_score);

#ifdef __cplusplus
}
#endif

#endif /* PATTERN_SEARCH_H */
