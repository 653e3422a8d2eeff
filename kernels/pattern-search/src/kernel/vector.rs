//! Registers of `f32`, one type per instruction set.
//!
//! Intrinsics rather than arrays left to the optimiser: LLVM 22 shuffled arrays across rows, which
//! made the AVX2 loop 3.5 times slower, and the AVX-512 loop 10 times when it was written otherwise.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_setzero_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
};

/// A register of `LANES` floats.
///
/// A value exists only where the CPU has its instruction set: the first comes from a function that
/// is compiled for that set, and the others from methods on it.
pub(super) trait Vector<const LANES: usize>: Copy {
    /// Returns a register filled from memory.
    fn load(self, values: &[f32; LANES]) -> Self;

    /// Returns `self + a * b` in each lane.
    fn add_product(self, a: Self, b: Self) -> Self;

    /// Returns the sum of the lanes, added up in a fixed order.
    fn sum(self) -> f32;
}

/// A register of AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    #[target_feature(enable = "avx512f")]
    pub(super) fn zero() -> Self {
        Self(_mm512_setzero_ps())
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
impl Vector<16> for Avx512 {
    #[inline(always)]
    fn load(self, values: &[f32; 16]) -> Self {
        // SAFETY: `self` shows that the CPU has AVX-512, and 16 floats are what is read.
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: `self` shows that the CPU has AVX-512.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` shows that the CPU has AVX-512.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
}

/// A register of AVX2, with FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn zero() -> Self {
        Self(_mm256_setzero_ps())
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::inline_always, reason = "it must take its caller's instruction set")]
impl Vector<8> for Avx2 {
    #[inline(always)]
    fn load(self, values: &[f32; 8]) -> Self {
        // SAFETY: `self` shows that the CPU has AVX2, and 8 floats are what is read.
        Self(unsafe { _mm256_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: `self` shows that the CPU has AVX2 and FMA.
        Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` shows that the CPU has AVX2, which includes SSE3.
        unsafe {
            let low = _mm256_castps256_ps128(self.0);
            let four = _mm_add_ps(low, _mm256_extractf128_ps::<1>(self.0));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
}

/// An array, for any CPU.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

impl Portable {
    pub(super) fn zero() -> Self {
        Self([0.0; 4])
    }
}

impl Vector<4> for Portable {
    #[inline]
    fn load(self, values: &[f32; 4]) -> Self {
        Self(*values)
    }

    #[inline]
    fn add_product(mut self, a: Self, b: Self) -> Self {
        for ((sum, a), b) in self.0.iter_mut().zip(a.0).zip(b.0) {
            // Not `mul_add`: without an FMA instruction it is a call into the C library.
            *sum += a * b;
        }
        self
    }

    #[inline]
    fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}
