/* Uses pattern_search.h as a C program would: compiled as strict C99, linked, run. */
#include "pattern_search.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

static int failures = 0;

static void expect(int holds, const char *claim) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", claim);
        failures++;
    }
}

int main(void) {
    const float query[3] = {1.0f, 2.0f, 2.0f};
    const float patterns[5][3] = {
        {0.0f, 0.0f, 0.0f}, {2.0f, 4.0f, 4.0f}, {NAN, 0.0f, 0.0f}, {-1.0f, -2.0f, -2.0f}, {1.0f, 2.0f, 2.0f},
    };
    int32_t idx[5] = {-9, -9, -9, -9, -9};
    float score[5] = {0};

    expect(pattern_search_ffi(query, patterns[0], 5, 3, 5, idx, score) >= 0.0, "a search returns a time");
    expect(idx[0] == 1 && idx[1] == 4, "parallel rows come first, the lower row before the other");
    expect(idx[2] == 0 && score[2] == 0.0f, "a row of zeros scores 0");
    expect(idx[3] == 3 && fabsf(score[3] + 1.0f) < 1e-6f, "the opposite row scores -1");
    expect(idx[4] == 2 && isnan(score[4]), "a row with a NaN comes last");
    expect(pattern_search_ffi(NULL, patterns[0], 5, 3, 5, idx, score) == PATTERN_SEARCH_NULL_POINTER,
           "a null query is refused");
    expect(pattern_search_ffi(query, patterns[0], 5, 3, 6, idx, score) == PATTERN_SEARCH_BAD_TOP_K,
           "more rows than there are is refused");
    expect(pattern_search_ffi(patterns[2], patterns[0], 5, 3, 5, idx, score) == PATTERN_SEARCH_BAD_QUERY,
           "a query with a NaN is refused");
    return failures;
}
