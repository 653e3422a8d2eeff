//! The best hits of a search.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::refusal::Refusal;

/// One row of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// Number of the row.
    pub(crate) row: i32,
    /// Its cosine with the query, or NaN.
    pub(crate) score: f32,
}

/// The order of an answer: greater scores are less, so that they come first; then lower rows; NaN
/// comes last.
impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = match (self.score.is_nan(), other.score.is_nan()) {
            (false, false) => other.score.partial_cmp(&self.score).unwrap_or(Ordering::Equal),
            (self_is_nan, other_is_nan) => self_is_nan.cmp(&other_is_nan),
        };
        by_score.then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Hit {}

/// Keeps the first few of the hits offered, in the order of [`Hit`].
#[derive(Debug)]
pub(crate) struct TopK {
    /// At most `wanted` hits, the last of them on top.
    hits: BinaryHeap<Hit>,
    wanted: usize,
}

impl TopK {
    /// Allocates room for `wanted` hits, once and for all.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoMemory`].
    pub(crate) fn new(wanted: usize) -> Result<Self, Refusal> {
        let mut hits = BinaryHeap::new();
        hits.try_reserve_exact(wanted)?;
        Ok(Self { hits, wanted })
    }

    /// Takes the hit if it is among the first so far.
    pub(crate) fn offer(&mut self, hit: Hit) {
        if self.hits.len() < self.wanted {
            self.hits.push(hit);
        } else if let Some(mut last) = self.hits.peek_mut()
            && hit < *last
        {
            *last = hit;
        }
    }

    /// Returns the hits, best first.
    pub(crate) fn into_hits(self) -> Vec<Hit> {
        self.hits.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn keeps_what_sorting_everything_would_put_first() {
        let mut random = Random::new(4);
        for wanted in [0, 1, 2, 10, 63, 64, 200] {
            // Few distinct scores, so that ties decide; some NaN.
            let mut hits: Vec<Hit> = (0..200_i32)
                .map(|row| {
                    let score = [0.5, -0.5, 0.0, 1.0, f32::NAN][random.below(5)];
                    Hit { row, score }
                })
                .collect();
            let mut top = TopK::new(wanted).unwrap();
            for &hit in &hits {
                top.offer(hit);
            }
            hits.sort();
            hits.truncate(wanted);
            assert_eq!(top.into_hits(), hits);
        }
    }

    #[test]
    fn orders_by_score_then_row_and_puts_nan_last() {
        let hit = |row, score| Hit { row, score };
        let mut hits = [hit(0, f32::NAN), hit(4, 0.5), hit(3, -1.0), hit(1, f32::NAN), hit(2, 0.5)];
        hits.sort();
        assert_eq!(hits.map(|hit| hit.row), [2, 4, 3, 0, 1]);
    }
}
