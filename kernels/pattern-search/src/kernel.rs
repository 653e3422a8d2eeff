//! The inner loop: dot products with the query and squared norms, four rows at a time.
//!
//! One body is compiled three times, for AVX-512, for AVX2 with FMA, and for the build's baseline
//! (which on `AArch64` is NEON). Arrays of lanes become vector registers: no intrinsics, so no
//! pointers, and one text to read and test.

use std::array;

/// Rows summed in one pass. A dot and a norm for each are eight chains of dependent additions, what
/// keeps two FMA units of latency 4 busy, and each load of the query serves four rows.
pub(crate) const ROWS: usize = 4;

/// Elements summed in `f32` before the sums move on to `f64`, so that the rounding error of a score
/// does not grow with the dimension: a lane of AVX2 sees 128 additions at most.
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
            sums_of_rows::<16, true>(query, rows)
        }
        is_x86_feature_detected!("avx512f").then_some(Self { sums })
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2() -> Option<Self> {
        #[target_feature(enable = "avx2,fma")]
        fn sums(query: &[f32], rows: [&[f32]; ROWS]) -> [Sums; ROWS] {
            sums_of_rows::<8, true>(query, rows)
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
        // `mul_add` without an FMA instruction is a call into the C library for every element.
        const FUSED: bool = cfg!(target_arch = "aarch64");
        Self { sums: sums_of_rows::<4, FUSED> }
    }
}

/// The body: `LANES` floats to a register, fused multiply-add where the target has it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn sums_of_rows<const LANES: usize, const FUSED: bool>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [Sums; ROWS] {
    let len = rows.iter().fold(query.len(), |len, row| len.min(row.len()));
    let mut totals = [Sums::default(); ROWS];
    for start in (0..len).step_by(BLOCK) {
        let block = start..len.min(start + BLOCK);
        let sums = sums_of_block::<LANES, FUSED>(
            &query[block.clone()],
            array::from_fn(|row| &rows[row][block.clone()]),
        );
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
fn sums_of_block<const LANES: usize, const FUSED: bool>(
    query: &[f32],
    rows: [&[f32]; ROWS],
) -> [Sums; ROWS] {
    let mut lanes = Lanes::<LANES>::new();
    let (query_chunks, query_tail) = query.as_chunks::<LANES>();
    let [r0, r1, r2, r3] = rows.map(|row| row.as_chunks::<LANES>());
    for ((((q, a), b), c), d) in query_chunks.iter().zip(r0.0).zip(r1.0).zip(r2.0).zip(r3.0) {
        lanes.add::<FUSED>(q, [a, b, c, d]);
    }
    if !query_tail.is_empty() {
        let tails = [zero_padded(r0.1), zero_padded(r1.1), zero_padded(r2.1), zero_padded(r3.1)];
        lanes.add::<FUSED>(&zero_padded(query_tail), tails.each_ref());
    }
    array::from_fn(|row| Sums {
        dot: f64::from(sum_of_lanes(lanes.dots[row])),
        norm_squared: f64::from(sum_of_lanes(lanes.norms[row])),
    })
}

/// Running sums of a block; each array of lanes is a vector register.
struct Lanes<const LANES: usize> {
    dots: [[f32; LANES]; ROWS],
    norms: [[f32; LANES]; ROWS],
}

impl<const LANES: usize> Lanes<LANES> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
    fn new() -> Self {
        Self { dots: [[0.0; LANES]; ROWS], norms: [[0.0; LANES]; ROWS] }
    }

    /// Adds the products of one chunk of the query with a chunk of each row.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
    #[expect(clippy::needless_range_loop, reason = "iterators keep the sums out of registers: 10x")]
    fn add<const FUSED: bool>(&mut self, query: &[f32; LANES], rows: [&[f32; LANES]; ROWS]) {
        for row in 0..ROWS {
            for lane in 0..LANES {
                let (q, p) = (query[lane], rows[row][lane]);
                self.dots[row][lane] = add_product::<FUSED>(self.dots[row][lane], q, p);
                self.norms[row][lane] = add_product::<FUSED>(self.norms[row][lane], p, p);
            }
        }
    }
}

/// Returns `sum + a * b`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn add_product<const FUSED: bool>(sum: f32, a: f32, b: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { sum + a * b }
}

/// Fills up a tail with zeros, which add nothing to either sum.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn zero_padded<const LANES: usize>(tail: &[f32]) -> [f32; LANES] {
    let mut padded = [0.0; LANES];
    padded[..tail.len()].copy_from_slice(tail);
    padded
}

/// Adds neighbours pairwise until one is left, the order that a vector unit is quick at.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
fn sum_of_lanes<const LANES: usize>(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
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
