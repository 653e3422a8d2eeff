//! Why debug information is refused.

use crate::error::ElfError;

/// Why debug information is refused, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum DebugError {
    #[error("there is no debug information")]
    Absent,

    #[error("the section headers, which say where debug information is, are damaged: {source}")]
    Sections { source: ElfError },

    #[error("section `{section}` is compressed with {method}, which is not read")]
    Compression { section: String, method: String },

    #[error("section `{section}` is damaged: {problem}")]
    Section { section: String, problem: String },

    /// A small file could fill the memory.
    #[error(
        "section `{section}` says it has {size_bytes} bytes behind {stored_bytes} compressed ones, \
         more than {limit}"
    )]
    TooLarge { section: String, size_bytes: u64, stored_bytes: u64, limit: u64 },

    /// Sections may lie in the same compressed bytes.
    #[error("its sections have more than {limit} bytes together when decompressed")]
    TooLargeTogether { limit: u64 },

    #[error("unit {unit} of .debug_info is not DWARF 2 to 5: {problem}")]
    Unit { unit: usize, problem: String },

    #[error("an entry of unit {unit} of .debug_info is damaged: {problem}")]
    Entry { unit: usize, problem: String },

    /// Links that lead to each other could be followed for ever.
    #[error("its entries refer to each other more often than {limit} times")]
    TooMuchWork { limit: u64 },
}
