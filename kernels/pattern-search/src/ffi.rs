//! The C ABI of `include/pattern_search.h`; what each function promises is written there.

use std::{slice, time::Instant};

use crate::{
    kernel::Kernel,
    refusal::Refusal,
    search::{Matrix, search},
    top_k::Hit,
};

/// Finds the `top_k` rows of `patterns` that are most similar to `query`.
///
/// Returns the elapsed milliseconds, or a negative code and untouched outputs.
///
/// # Safety
///
/// Pointers that are neither null nor misaligned must be valid: `query` for reading `dim` floats,
/// `patterns` for `n * dim`, `out_idx` and `out_score` for writing `top_k` values; and no other
/// thread may write to the inputs during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pattern_search_ffi(
    query: *const f32,
    patterns: *const f32,
    n: i32,
    dim: i32,
    top_k: i32,
    out_idx: *mut i32,
    out_score: *mut f32,
) -> f64 {
    let start = Instant::now();
    let outcome = check_pointers([query.cast(), patterns.cast(), out_idx.cast(), out_score.cast()])
        .and_then(|()| Sizes::check(n, dim, top_k))
        .and_then(|sizes| {
            // SAFETY: both pointers are aligned and not null; the caller vouches for their lengths,
            // which `Sizes::check` found to fit in memory.
            let (query, values) = unsafe {
                (
                    slice::from_raw_parts(query, sizes.dim),
                    slice::from_raw_parts(patterns, sizes.rows * sizes.dim),
                )
            };
            let patterns = Matrix { values, rows: sizes.rows, dim: sizes.dim };
            search(Kernel::detect(), query, patterns, sizes.top_k)
        });
    match outcome {
        Ok(hits) => {
            for (at, Hit { row, score }) in hits.into_iter().enumerate() {
                // SAFETY: a search returns at most `top_k` hits, for which the caller gave room,
                // and the inputs, which the outputs may overlap, are no longer borrowed.
                unsafe {
                    out_idx.add(at).write(row);
                    out_score.add(at).write(score);
                }
            }
            start.elapsed().as_secs_f64() * 1e3
        }
        Err(refusal) => refusal.code(),
    }
}

/// All pointers are to 4-byte values.
fn check_pointers(pointers: [*const u32; 4]) -> Result<(), Refusal> {
    if pointers.iter().any(|pointer| pointer.is_null()) {
        Err(Refusal::NullPointer)
    } else if !pointers.iter().all(|pointer| pointer.is_aligned()) {
        Err(Refusal::Misaligned)
    } else {
        Ok(())
    }
}

/// Sizes of a call that makes sense.
struct Sizes {
    rows: usize,
    dim: usize,
    top_k: usize,
}

impl Sizes {
    fn check(rows: i32, dim: i32, top_k: i32) -> Result<Self, Refusal> {
        let size = |value| usize::try_from(value).map_err(|_| Refusal::BadSize);
        let (rows, dim, top_k) = (size(rows)?, size(dim)?, size(top_k)?);
        // A Rust slice, like any C object, spans at most isize::MAX bytes.
        let bytes = rows.checked_mul(dim).and_then(|values| values.checked_mul(size_of::<f32>()));
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return Err(Refusal::BadSize);
        }
        if top_k > rows {
            return Err(Refusal::BadTopK);
        }
        Ok(Self { rows, dim, top_k })
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    const QUERY: [f32; 2] = [1.0, 0.0];
    const PATTERNS: [f32; 8] = [0.0, 1.0, 3.0, 0.0, -1.0, 0.0, f32::NAN, 0.0];
    const UNTOUCHED: ([i32; 4], [f32; 4]) = ([-7; 4], [-7.0; 4]);

    /// Calls with the arrays above, some of them replaced.
    struct Call {
        query: *const f32,
        patterns: *const f32,
        n: i32,
        dim: i32,
        top_k: i32,
        idx: [i32; 4],
        score: [f32; 4],
    }

    impl Call {
        fn good() -> Self {
            let (idx, score) = UNTOUCHED;
            let (query, patterns) = (QUERY.as_ptr(), PATTERNS.as_ptr());
            Self { query, patterns, n: 4, dim: 2, top_k: 4, idx, score }
        }

        fn run(&mut self) -> f64 {
            let (idx, score) = (self.idx.as_mut_ptr(), self.score.as_mut_ptr());
            // SAFETY: every test gives pointers to at least n * dim floats or ones to be refused.
            unsafe {
                let Self { query, patterns, n, dim, top_k, .. } = *self;
                pattern_search_ffi(query, patterns, n, dim, top_k, idx, score)
            }
        }
    }

    #[test]
    fn writes_the_best_rows_in_order_and_returns_a_time() {
        let mut call = Call::good();
        assert!(call.run() >= 0.0);
        assert_eq!(call.idx, [1, 0, 2, 3]);
        assert_eq!(call.score[..3], [1.0, 0.0, -1.0]);
        assert!(call.score[3].is_nan());
    }

    #[test]
    fn writes_no_more_than_was_asked_for() {
        let mut call = Call { top_k: 1, ..Call::good() };
        assert!(call.run() >= 0.0);
        assert_eq!((call.idx, call.score), ([1, -7, -7, -7], [1.0, -7.0, -7.0, -7.0]));
        for empty in [Call { top_k: 0, ..Call::good() }, Call { n: 0, top_k: 0, ..Call::good() }] {
            let mut call = empty;
            assert!(call.run() >= 0.0);
            assert_eq!((call.idx, call.score), UNTOUCHED);
        }
    }

    #[test]
    fn refuses_what_the_header_refuses_and_leaves_the_outputs() {
        let not_finite = [1.0, f32::INFINITY];
        let off_by_one = QUERY.as_ptr().wrapping_byte_add(1);
        let cases = [
            (Call { query: ptr::null(), ..Call::good() }, Refusal::NullPointer),
            (Call { patterns: ptr::null(), n: -1, ..Call::good() }, Refusal::NullPointer),
            (Call { query: off_by_one, ..Call::good() }, Refusal::Misaligned),
            (Call { n: -1, ..Call::good() }, Refusal::BadSize),
            (Call { dim: i32::MIN, ..Call::good() }, Refusal::BadSize),
            (Call { top_k: -1, ..Call::good() }, Refusal::BadSize),
            (Call { n: i32::MAX, dim: i32::MAX, ..Call::good() }, Refusal::BadSize),
            (Call { top_k: 5, ..Call::good() }, Refusal::BadTopK),
            (Call { query: not_finite.as_ptr(), ..Call::good() }, Refusal::BadQuery),
        ];
        for (mut call, refusal) in cases {
            assert_eq!(call.run().to_bits(), refusal.code().to_bits(), "{refusal:?}");
            assert_eq!((call.idx, call.score), UNTOUCHED, "{refusal:?}");
        }
    }

    #[test]
    fn refuses_outputs_that_point_nowhere() {
        let (mut idx, mut score) = UNTOUCHED;
        let (query, patterns) = (QUERY.as_ptr(), PATTERNS.as_ptr());
        for (idx, score) in
            [(ptr::null_mut(), score.as_mut_ptr()), (idx.as_mut_ptr(), ptr::null_mut())]
        {
            // SAFETY: the inputs are the arrays above; a null output is refused before it is used.
            let code = unsafe { pattern_search_ffi(query, patterns, 4, 2, 4, idx, score) };
            assert_eq!(code.to_bits(), Refusal::NullPointer.code().to_bits());
        }
    }

    #[test]
    fn outputs_may_overlap_inputs() {
        let mut patterns = PATTERNS;
        let mut idx = [0; 2];
        let start = patterns.as_mut_ptr();
        // SAFETY: `start` covers 8 floats, for reading all and for writing the first 2.
        let elapsed =
            unsafe { pattern_search_ffi(QUERY.as_ptr(), start, 4, 2, 2, idx.as_mut_ptr(), start) };
        assert!(elapsed >= 0.0);
        assert_eq!((idx, patterns[0], patterns[1]), ([1, 0], 1.0, 0.0));
    }
}
