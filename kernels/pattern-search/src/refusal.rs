//! Why a call is refused.

/// What is wrong with a call, as `enum pattern_search_error` of the header numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A pointer is null.
    NullPointer = -1,
    /// A pointer is not a multiple of 4.
    Misaligned = -2,
    /// A size is negative, or the matrix is larger than memory can be.
    BadSize = -3,
    /// More rows are wanted than there are.
    BadTopK = -4,
    /// The query holds a NaN or an infinity.
    BadQuery = -5,
    /// An allocation failed.
    NoMemory = -6,
}

impl Refusal {
    /// The number that C callers get.
    pub(crate) fn code(self) -> f64 {
        f64::from(self as i32)
    }
}

impl From<std::collections::TryReserveError> for Refusal {
    fn from(_: std::collections::TryReserveError) -> Self {
        Self::NoMemory
    }
}
