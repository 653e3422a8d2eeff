//! From sums to a cosine.

use crate::{kernel::Sums, refusal::Refusal};

/// Squared norms whose sums in `f32` can be trusted.
///
/// Above, a square may have overflowed; below, squares may have lost bits to the denormal range
/// (up to `f32::MIN_POSITIVE` each, where the caller flushes denormals to zero), which 2^24 elements
/// of a row could add up to.
const TRUSTED_NORM_SQUARED: std::ops::Range<f64> = 1e-24..1e38;

/// Returns the cosine of a row with a unit query: in -1..=1, 0 for a row of zeros, NaN for a row
/// that holds a NaN or an infinity.
///
/// `sums` are the row's, from the kernel.
pub(crate) fn cosine(unit_query: &[f32], row: &[f32], sums: Sums) -> f32 {
    if TRUSTED_NORM_SQUARED.contains(&sums.norm_squared) {
        quotient(sums)
    } else {
        wide_cosine(unit_query, row)
    }
}

/// The same in `f64`, where no sum of squares of finite `f32` overflows or vanishes.
#[cold]
fn wide_cosine(unit_query: &[f32], row: &[f32]) -> f32 {
    let mut sums = Sums::default();
    for (q, p) in unit_query.iter().zip(row) {
        let (q, p) = (f64::from(*q), f64::from(*p));
        sums.dot += q * p;
        sums.norm_squared += p * p;
    }
    if sums.norm_squared == 0.0 {
        0.0
    } else if sums.norm_squared.is_finite() {
        quotient(sums)
    } else {
        f32::NAN
    }
}

/// Rounding can put a parallel row a little past 1; a cosine never is.
#[expect(clippy::cast_possible_truncation, reason = "a score is an f32")]
fn quotient(sums: Sums) -> f32 {
    (sums.dot / sums.norm_squared.sqrt()).clamp(-1.0, 1.0) as f32
}

/// Returns the query scaled to length 1, or all zeros where it is.
///
/// A unit query keeps every dot product within the row's norm, so one range check serves both.
///
/// # Errors
///
/// [`Refusal::BadQuery`] for a NaN or an infinity, [`Refusal::NoMemory`].
#[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32, as wanted")]
pub(crate) fn unit_query(query: &[f32]) -> Result<Vec<f32>, Refusal> {
    if !query.iter().all(|value| value.is_finite()) {
        return Err(Refusal::BadQuery);
    }
    let mut unit = Vec::new();
    unit.try_reserve_exact(query.len())?;
    let norm = query.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let scale = if norm == 0.0 { 0.0 } else { norm.recip() };
    unit.extend(query.iter().map(|&value| (f64::from(value) * scale) as f32));
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;

    /// The score of one row on every path, which must be the same for these exact cases.
    fn score(query: &[f32], row: &[f32]) -> f32 {
        let unit = unit_query(query).expect("the query is finite");
        let scores: Vec<_> = Kernel::all()
            .iter()
            .map(|(_, kernel)| cosine(&unit, row, kernel.sums(&unit, [row; 4])[0]))
            .collect();
        assert!(scores.iter().all(|score| score.to_bits() == scores[0].to_bits()), "{scores:?}");
        scores[0]
    }

    #[test]
    fn magnitudes_neither_overflow_nor_vanish() {
        for scale in [f32::MAX, 1e30, 1e18, 1.0, 1e-13, 1e-20, f32::MIN_POSITIVE, 1e-44] {
            assert_eq!(score(&[1.0, 0.0], &[scale, 0.0]).to_bits(), 1.0_f32.to_bits(), "{scale}");
            assert_eq!(score(&[scale, 0.0], &[-3.0, 0.0]).to_bits(), (-1.0_f32).to_bits());
            let diagonal = score(&[scale, scale], &[0.0, scale]);
            assert!((diagonal - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6, "{scale}");
        }
    }

    #[test]
    fn zero_rows_and_zero_queries_score_plain_zero() {
        for (query, row) in [([1.0, 2.0], [0.0, -0.0]), ([0.0, -0.0], [-1.0, 2.0])] {
            assert_eq!(score(&query, &row).to_bits(), 0.0_f32.to_bits());
        }
        assert_eq!(score(&[0.0, 1.0], &[-1.0, -0.0]).to_bits(), 0.0_f32.to_bits());
        assert_eq!(score(&[], &[]).to_bits(), 0.0_f32.to_bits());
    }

    #[test]
    fn a_row_with_a_value_that_is_not_finite_scores_nan() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(score(&[1.0, 0.0], &[0.0, value]).is_nan());
            assert!(score(&[0.0, 0.0], &[1.0, value]).is_nan());
        }
    }

    #[test]
    fn a_query_that_is_not_finite_is_refused() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(unit_query(&[1.0, value]), Err(Refusal::BadQuery));
        }
    }

    #[test]
    fn a_score_never_leaves_the_unit_interval() {
        let mut random = crate::testing::Random::new(3);
        for len in 1..200 {
            let row = random.floats(len);
            let opposite: Vec<f32> = row.iter().map(|value| -value).collect();
            let unit = unit_query(&row).expect("the query is finite");
            for (_, kernel) in Kernel::all() {
                let sums = kernel.sums(&unit, [&row, &opposite, &row, &row]);
                assert!((0.999_999..=1.0).contains(&cosine(&unit, &row, sums[0])));
                assert!((-1.0..=-0.999_999).contains(&cosine(&unit, &opposite, sums[1])));
            }
        }
    }
}
