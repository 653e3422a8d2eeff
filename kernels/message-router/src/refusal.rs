//! Why a call is refused.

/// What is wrong with a call, as `enum router_error` of the header numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No message waits.
    Empty = -1,
    /// The queue is at its capacity.
    Full = -2,
    /// The router is null.
    BadRouter = -3,
    /// An array is null or misaligned.
    BadPointer = -4,
    /// A count is negative.
    BadCount = -5,
    /// Not a tract.
    BadTract = -6,
    /// Not a priority.
    BadPriority = -7,
    /// A payload size is negative.
    BadPayloadSize = -8,
}

impl Refusal {
    /// The number that C callers get.
    pub(crate) fn code(self) -> i32 {
        self as i32
    }
}
