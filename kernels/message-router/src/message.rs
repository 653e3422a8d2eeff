//! The record that travels.

use crate::refusal::Refusal;

/// Number of tracts: 0 internal, 1 external.
pub(crate) const TRACTS: usize = 2;

/// Number of priorities: 0 low to 3 critical.
pub(crate) const PRIORITIES: usize = 4;

/// `struct message` of the header, which documents the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Message {
    /// Where it comes from, 0 or 1.
    pub source_tract: i32,
    /// Where it goes, 0 or 1.
    pub dest_tract: i32,
    /// 0 low to 3 critical.
    pub priority: i32,
    /// In bytes, at least 0.
    pub payload_size: i32,
    /// Any value.
    pub timestamp_ms: i64,
    /// How many messages the router accepted before this one.
    pub id: i64,
}

const _: () = assert!(size_of::<Message>() == 32, "the header promises 32 bytes");

/// Where a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Below [`TRACTS`].
    pub(crate) tract: usize,
    /// Below [`PRIORITIES`].
    pub(crate) priority: usize,
}

impl Message {
    /// Returns where the message is to wait.
    ///
    /// # Errors
    ///
    /// The first field out of range, in the order of the header's codes.
    #[inline]
    pub(crate) fn place(&self) -> Result<Place, Refusal> {
        tract_index(self.source_tract)?;
        let tract = tract_index(self.dest_tract)?;
        let priority = index_below(self.priority, PRIORITIES).ok_or(Refusal::BadPriority)?;
        if self.payload_size < 0 {
            return Err(Refusal::BadPayloadSize);
        }
        Ok(Place { tract, priority })
    }
}

/// Returns the number of a tract as an index below [`TRACTS`].
///
/// # Errors
///
/// [`Refusal::BadTract`].
#[inline]
pub(crate) fn tract_index(tract: i32) -> Result<usize, Refusal> {
    index_below(tract, TRACTS).ok_or(Refusal::BadTract)
}

#[inline]
fn index_below(value: i32, bound: usize) -> Option<usize> {
    usize::try_from(value).ok().filter(|&index| index < bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_field_out_of_range() {
        let good = Message { dest_tract: 1, priority: 3, ..Message::default() };
        assert_eq!(good.place(), Ok(Place { tract: 1, priority: 3 }));
        for (bad, refusal) in [
            (Message { source_tract: 2, priority: 9, ..good }, Refusal::BadTract),
            (Message { dest_tract: -1, ..good }, Refusal::BadTract),
            (Message { priority: 4, payload_size: -1, ..good }, Refusal::BadPriority),
            (Message { priority: i32::MIN, ..good }, Refusal::BadPriority),
            (Message { payload_size: -1, ..good }, Refusal::BadPayloadSize),
        ] {
            assert_eq!(bad.place(), Err(refusal), "{bad:?}");
        }
    }
}
