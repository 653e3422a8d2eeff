//! Repeatable random data for the tests of this crate, which has no dependencies.

/// A `SplitMix64` generator (Steele, Lea, Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: i32) -> i32 {
        let wide = u64::try_from(bound).expect("a test's bound is positive");
        i32::try_from(self.bits() % wide).expect("it is below an i32")
    }
}
