//! One query against every row.

use std::array;

use crate::{
    kernel::{Kernel, ROWS},
    refusal::Refusal,
    score::{cosine, unit_query},
    top_k::{Hit, TopK},
};

/// A matrix of `f32`, row after row without gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// `rows * dim` values.
    pub(crate) values: &'a [f32],
    /// Number of rows; said apart, because with `dim` 0 the values do not tell.
    pub(crate) rows: usize,
    /// Values in a row.
    pub(crate) dim: usize,
}

impl<'a> Matrix<'a> {
    fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.dim..][..self.dim]
    }
}

/// Returns the `top_k` rows with the greatest cosine to `query`, best first, ties by lower row.
///
/// - `query`: `patterns.dim` values.
/// - `top_k`: at most `patterns.rows`.
///
/// # Errors
///
/// [`Refusal::BadQuery`] for a NaN or an infinity in the query, [`Refusal::NoMemory`].
pub(crate) fn search(
    kernel: Kernel,
    query: &[f32],
    patterns: Matrix<'_>,
    top_k: usize,
) -> Result<Vec<Hit>, Refusal> {
    let query = unit_query(query)?;
    let mut top = TopK::new(top_k)?;
    for first in (0..patterns.rows).step_by(ROWS) {
        // The last group repeats the last row instead of taking another path, so that equal rows
        // score the same wherever they stand.
        let rows = array::from_fn(|at| patterns.row((first + at).min(patterns.rows - 1)));
        let sums = kernel.sums(&query, rows);
        for ((number, row), sums) in (first..patterns.rows).zip(rows).zip(sums) {
            let number = i32::try_from(number).unwrap_or(i32::MAX); // the door takes rows as int32_t
            top.offer(Hit { row: number, score: cosine(&query, row, sums) });
        }
    }
    Ok(top.into_hits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// Exact scores in `f64`, by the definition.
    fn reference(query: &[f32], patterns: Matrix<'_>) -> Vec<f64> {
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let query = wide(query);
        let score = |row: Vec<f64>| {
            let dot: f64 = query.iter().zip(&row).map(|(q, p)| q * p).sum();
            let norms = norm(&query) * norm(&row);
            match (row.iter().all(|value| value.is_finite()), norms > 0.0) {
                (true, true) => dot / norms,
                (true, false) => 0.0,
                (false, _) => f64::NAN,
            }
        };
        (0..patterns.rows).map(|row| score(wide(patterns.row(row)))).collect()
    }

    /// The answer has the reference's scores, in order, each row once, ties by lower row.
    fn assert_answers(name: &str, hits: &[Hit], scores: &[f64]) {
        let mut expected: Vec<f64> = scores.to_vec();
        expected.sort_by(|a, b| {
            a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal))
        });
        for (hit, expected) in hits.iter().zip(&expected) {
            let own = scores[usize::try_from(hit.row).unwrap()];
            for exact in [own, *expected] {
                let close = (f64::from(hit.score) - exact).abs() <= 1e-6;
                assert!(close || (hit.score.is_nan() && exact.is_nan()), "{name}: {hit:?} {exact}");
            }
        }
        assert!(hits.is_sorted_by(|a, b| a < b), "{name}: {hits:?}");
    }

    #[test]
    fn agrees_with_a_naive_f64_search_at_odd_shapes() {
        let mut random = Random::new(5);
        for _ in 0..300 {
            let (rows, dim) = (random.below(70), random.below(90));
            let mut values = random.floats(rows * dim);
            let query = random.floats(dim);
            spoil(&mut random, &mut values, dim);
            let patterns = Matrix { values: &values, rows, dim };
            let top_k = random.below(rows + 1);
            let scores = reference(&query, patterns);
            for (name, kernel) in Kernel::all() {
                let hits = search(kernel, &query, patterns, top_k).unwrap();
                assert_eq!(hits.len(), top_k);
                assert_answers(name, &hits, &scores);
            }
        }
    }

    /// Makes some rows zero, equal to the first, not finite, or of an extreme magnitude.
    fn spoil(random: &mut Random, values: &mut [f32], dim: usize) {
        if dim == 0 {
            return;
        }
        let first = values.get(..dim).map(<[f32]>::to_vec).unwrap_or_default();
        for row in values.chunks_exact_mut(dim) {
            match random.below(12) {
                0 => row.fill(0.0),
                1 => row.copy_from_slice(&first),
                2 => row[random.below(dim)] = f32::NAN,
                3 => row[random.below(dim)] = f32::NEG_INFINITY,
                4 => row.iter_mut().for_each(|value| *value *= 3e38),
                5 => row.iter_mut().for_each(|value| *value *= 1e-37),
                _ => {}
            }
        }
    }

    #[test]
    fn equal_rows_rank_by_row_number_in_every_place() {
        let mut random = Random::new(6);
        let row = random.floats(37);
        for rows in 1..12 {
            let values = row.repeat(rows);
            let patterns = Matrix { values: &values, rows, dim: row.len() };
            for (name, kernel) in Kernel::all() {
                let hits = search(kernel, &random.floats(37), patterns, rows).unwrap();
                assert!(hits.iter().map(|hit| hit.row).eq((0..).take(rows)), "{name}: {hits:?}");
            }
        }
    }

    #[test]
    fn long_rows_keep_their_accuracy() {
        let mut random = Random::new(7);
        let dim = 100_003;
        let values = random.floats(3 * dim);
        let patterns = Matrix { values: &values, rows: 3, dim };
        let query: Vec<f32> =
            values[dim..2 * dim].iter().map(|value| value + random.float()).collect();
        for (name, kernel) in Kernel::all() {
            let hits = search(kernel, &query, patterns, 3).unwrap();
            assert_eq!(hits[0].row, 1);
            assert_answers(name, &hits, &reference(&query, patterns));
        }
    }

    #[test]
    fn rows_without_values_score_zero_in_order() {
        let patterns = Matrix { values: &[], rows: 5, dim: 0 };
        let hits = search(Kernel::detect(), &[], patterns, 3).unwrap();
        assert_eq!(hits, [0, 1, 2].map(|row| Hit { row, score: 0.0 }));
    }
}
