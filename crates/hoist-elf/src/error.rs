//! Why a file gives no facts.

use crate::looks_like::LooksLike;

/// Why a file gives no facts: what is wrong in it, and where.
///
/// Offsets and addresses are in bytes, from the start of the file and of the loaded image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ElfError {
    #[error("the file is empty")]
    Empty,

    #[error("not an ELF file: it looks like {looks_like}")]
    NotElf { looks_like: LooksLike },

    #[error(
        "{what} at offset {offset:#x} takes {length} bytes, but the file ends at {size_bytes:#x}"
    )]
    Truncated { what: String, offset: u64, length: u64, size_bytes: u64 },

    #[error(
        "{what} at offset {offset:#x} takes {length} bytes, past its segment's end at {end:#x}"
    )]
    OutsideSegment { what: String, offset: u64, length: u64, end: u64 },

    #[error("{field} at offset {offset:#x} is {found}, wanted {wanted}")]
    Field { field: &'static str, offset: u64, found: u64, wanted: &'static str },

    #[error("{entry} is {found}, wanted {wanted}")]
    Entry { entry: &'static str, found: u64, wanted: u64 },

    #[error("{what} starts at {start:#x} and takes {length:#x} bytes, past the end of addresses")]
    Overflow { what: String, start: u64, length: u64 },

    /// The loader maps segments in order of address and lets none reach into the next.
    #[error(
        "loadable segment {index} starts at address {address:#x}, before segment {before} ends at \
         {end:#x}"
    )]
    SegmentsOverlap { index: usize, before: usize, address: u64, end: u64 },

    #[error("{what} lies at address {address:#x} with {length} bytes, inside no segment")]
    Unmapped { what: &'static str, address: u64, length: u64 },

    #[error("there is no dynamic section, so the loader refuses it")]
    NoDynamicSection,

    #[error("the dynamic section at offset {offset:#x} has no DT_NULL at its end")]
    UnterminatedDynamic { offset: u64 },

    #[error("the dynamic section has {present} but not {absent}")]
    MissingEntry { present: &'static str, absent: &'static str },

    #[error("{what} starts at {index:#x} of the string table, which has {length:#x} bytes")]
    StringOutOfRange { what: String, index: u64, length: u64 },

    #[error("{what} at {index:#x} of the string table has no end")]
    UnterminatedString { what: String, index: u64 },

    /// Overlapping names could make a small file fill the memory.
    #[error("the names of its symbols take more than {limit} bytes")]
    NamesTooLong { limit: u64 },

    #[error("{table} names symbol {symbol}, of {count}")]
    SymbolOutOfRange { table: &'static str, symbol: u64, count: u64 },

    #[error("the chain of DT_HASH bucket {bucket} comes back to symbol {symbol} and never ends")]
    HashCycle { bucket: u64, symbol: u64 },

    #[error("the last chain of DT_GNU_HASH, from symbol {first}, has no end")]
    HashUnterminated { first: u64 },

    #[error(
        "DT_GNU_HASH holds {found:#010x} for symbol {symbol}, whose name hashes to {wanted:#010x}"
    )]
    HashMismatch { symbol: u64, found: u32, wanted: u32 },

    /// `dlsym` does not find it, nor does a library that needs it.
    #[error("{table} does not lead to symbol {symbol}, `{name}`: {why}")]
    HashMiss { table: &'static str, symbol: u64, name: String, why: &'static str },

    #[error("{table} says {declared} records, but its links end after {found}")]
    RecordCount { table: &'static str, declared: u64, found: u64 },

    #[error(
        "record {record} of {table} links {distance:#x} bytes on, outside the table or inside itself"
    )]
    BadLink { table: &'static str, record: u64, distance: u64 },
}

impl ElfError {
    /// Whether the file would be whole if only it were longer.
    #[must_use]
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }

    /// What the reader can do about it; empty when there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::Truncated { .. } => {
                "copy or link it again: the writer was probably interrupted"
            }
            Self::NotElf { looks_like } => looks_like.hint(),
            _ => "link it again; a tool that edited the finished file may have damaged it",
        }
    }
}
