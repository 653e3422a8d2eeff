//! The inner loop: dot products with the query and squared norms, four rows at a time.
//!
//! One body over [`Vector`], compiled for AVX-512, for AVX2 with FMA, and for any CPU.

mod vector;

use std::array;

use vector::{Portable, Vector};

/// Rows summed in one pass. A dot and a norm for each are eight chains of dependent additions, what
/// keeps two FMA units of latency 4 busy, and each load of the query serves four rows.
pub(crate) const ROWS: usize = 4;

/// Elements summed in `f32` before the sums move on to `f64`, so that the rounding error of a score
/// does not grow with the dimension: no lane sees more than 256 additions.
const BLOCK: usize = 1024;

/// What a score is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    /// Dot product of the row with the query.
    pub(crate) dot: f64,
    /// Squared Euclidean norm of the row; infinite where its sum left the range of `f32`.
    pub(crate) norm_squared: f64,
}

/// The inner loop for an instruction set that this CPU has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    sums: unsafe fn(&[f32], [&[f32]; ROWS]) -> [Sums; ROWS],
}

impl Kernel {
    /// The one with the widest vectors.
    pub(crate) fn detect() -> Self {
        Self::avx512().or_else(Self::avx2).unwrap_or_else(Self::portable)
    }

    /// Returns the sums of each row. Equal rows have equal sums, in any place of any call.
    ///
    /// Rows that are not as long as the query are read to the shorter length.
    pub(crate) fn sums(self, query: &[f32], rows: [&[f32]; ROWS]) -> [Sums; ROWS] {
        // SAFETY: the function needs no more than its instruction set, and the constructors below,
        // the only ones, return it where that was detected.
        unsafe { (self.sums)(query, rows) }
    }

    /// Every one that this CPU can run, with a name for messages.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let paths = [
            ("avx512", Self::avx512()),
            ("avx2", Self::avx2()),
            ("portable", Some(Self::portable())),
        ];
        paths.into_iter().filter_map(|(name, kernel)| Some((name, kernel?))).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn avx512() -> Option<Self> {
        #[target_feature(enable = "avx512f")]
        fn sums(query: &[f32], rows: [&[f32]; ROWS]) -> [Sums; ROWS] {
            sums_of_rows(vector::Avx512::zero(), query, rows)
        }
        is_x86_feature_detected!("avx512f").then_some(Self { sums })
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2() -> Option<Self> {
        #[target_feature(enable = "avx2,fma")]
        fn sums(query: &[f32], rows: [&[f32]; ROWS]) -> [Sums; ROWS] {
            sums_of_rows(vector::Avx2::zero(), query, rows)
        }
        let detected = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        detected.then_some(Self { sums })
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn avx512() -> Option<Self> {
        None
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn avx2() -> Option<Self> {
        None
    }

    fn portable() -> Self {
        Self { sums: |query, rows| sums_of_rows(Portable::zero(), query, rows) }
    }
}

/// The body; `zero` is a register of zeros.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn sums_of_rows<const LANES: usize>(
    zero: impl Vector<LANES>,
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [Sums; ROWS] {
    let len = rows.iter().fold(query.len(), |len, row| len.min(row.len()));
    let mut totals = [Sums::default(); ROWS];
    for start in (0..len).step_by(BLOCK) {
        let block = start..len.min(start + BLOCK);
        let [r0, r1, r2, r3] = rows.map(|row| &row[block.clone()]);
        let sums = sums_of_block(zero, &query[block], [r0, r1, r2, r3]);
        for (total, sum) in totals.iter_mut().zip(sums) {
            total.dot += sum.dot;
            total.norm_squared += sum.norm_squared;
        }
    }
    totals
}

/// The same for one block of equal lengths.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn sums_of_block<const LANES: usize, V: Vector<LANES>>(
    zero: V,
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [Sums; ROWS] {
    let (mut dots, mut norms) = ([zero; ROWS], [zero; ROWS]);
    let (query_chunks, query_tail) = query.as_chunks::<LANES>();
    let [r0, r1, r2, r3] = rows.map(|row| row.as_chunks::<LANES>());
    for ((((q, a), b), c), d) in query_chunks.iter().zip(r0.0).zip(r1.0).zip(r2.0).zip(r3.0) {
        add_chunk(&mut dots, &mut norms, q, [a, b, c, d]);
    }
    if !query_tail.is_empty() {
        let tails = [zero_padded(r0.1), zero_padded(r1.1), zero_padded(r2.1), zero_padded(r3.1)];
        add_chunk(&mut dots, &mut norms, &zero_padded(query_tail), tails.each_ref());
    }
    array::from_fn(|row| Sums {
        dot: f64::from(dots[row].sum()),
        norm_squared: f64::from(norms[row].sum()),
    })
}

/// Adds the products of one chunk of the query with a chunk of each row.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn add_chunk<const LANES: usize, V: Vector<LANES>>(
    dots: &mut [V; ROWS],
    norms: &mut [V; ROWS],
    query: &[f32; LANES],
    rows: [&[f32; LANES]; ROWS],
) {
    let query = dots[0].load(query);
    for ((dot, norm), row) in dots.iter_mut().zip(norms).zip(rows) {
        let row = dot.load(row);
        *dot = dot.add_product(query, row);
        *norm = norm.add_product(row, row);
    }
}

/// Fills up a tail with zeros, which add nothing to either sum.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn zero_padded<const LANES: usize>(tail: &[f32]) -> [f32; LANES] {
    let mut padded = [0.0; LANES];
    padded[..tail.len()].copy_from_slice(tail);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn every_path_agrees_with_f64_sums_at_odd_lengths() {
        let mut random = Random::new(1);
        for len in [0, 1, 3, 4, 7, 15, 16, 17, 31, 33, 63, 100, 1023, 1024, 1025, 3001] {
            let query = random.floats(len);
            let rows: [Vec<f32>; ROWS] = array::from_fn(|_| random.floats(len));
            for (name, kernel) in Kernel::all() {
                let sums = kernel.sums(&query, rows.each_ref().map(Vec::as_slice));
                for (sum, row) in sums.iter().zip(&rows) {
                    let dot: f64 = wide(&query).zip(wide(row)).map(|(q, p)| q * p).sum();
                    let norm_squared: f64 = wide(row).map(|p| p * p).sum();
                    let tolerance = 1e-6 * (1.0 + norm_squared);
                    assert!((sum.dot - dot).abs() <= tolerance, "{name} {len}");
                    let error = (sum.norm_squared - norm_squared).abs();
                    assert!(error <= tolerance, "{name} {len}");
                }
            }
        }
    }

    #[test]
    fn equal_rows_have_equal_sums_in_every_place() {
        let mut random = Random::new(2);
        let query = random.floats(77);
        let row = random.floats(77);
        let others = random.floats(77);
        for (name, kernel) in Kernel::all() {
            let alone = kernel.sums(&query, [&row; ROWS]);
            assert_eq!(alone, [alone[0]; ROWS], "{name}");
            for place in 0..ROWS {
                let rows = array::from_fn(|at| if at == place { &row[..] } else { &others[..] });
                assert_eq!(kernel.sums(&query, rows)[place], alone[0], "{name}");
            }
        }
    }

    #[test]
    fn rows_of_other_lengths_are_read_to_the_shortest() {
        let (query, short) = ([1.0; 20], [2.0; 18]);
        for (name, kernel) in Kernel::all() {
            let sums = kernel.sums(&query, [&query, &short, &query, &query]);
            assert_eq!(sums[0], Sums { dot: 18.0, norm_squared: 18.0 }, "{name}");
            assert_eq!(sums[1], Sums { dot: 36.0, norm_squared: 72.0 }, "{name}");
        }
    }

    fn wide(values: &[f32]) -> impl Iterator<Item = f64> {
        values.iter().copied().map(f64::from)
    }
}
