//! What an ELF file says to the loader, and what a C header promises to callers: both as plain
//! facts read from bytes, without judging them.
//!
//! - [`ElfFacts::read`] reads a file as the loader does, through program headers and the dynamic
//!   section. Section headers may be absent or lie, so nothing that matters is read through them.
//! - [`debug::read_debug_info`] reads the C signatures and types of its exports from DWARF.
//! - [`header::parse_header`] reads the C declarations that a library promises.
//!
//! Pure: bytes in, facts or an error out. Every length is checked against the file before it is
//! used, links must advance, and no input makes it panic.

pub mod debug;
mod dynamic;
pub mod edit;
mod error;
mod facts;
mod hash;
pub mod header;
mod identity;
mod image;
mod integrity;
pub mod isa;
mod local;
mod looks_like;
mod notes;
mod relocations;
mod sections;
mod segments;
mod spec;
mod startup;
mod symbols;
#[cfg(feature = "testing")]
pub mod testing;
mod unwind;
mod version;
mod versions;

pub use dynamic::Dynamic;
pub use error::ElfError;
pub use facts::{ElfFacts, FileKind, extent_bytes};
pub use identity::{Class, Endian, Identity, Machine};
pub use local::{LocalSymbol, find_local_symbol, function_at};
pub use looks_like::LooksLike;
pub use notes::Notes;
pub use relocations::RelocationCounts;
pub use sections::{SectionFacts, SectionTable};
pub use segments::{Segment, SegmentKind};
pub use startup::LoaderCalls;
pub use symbols::{Binding, Place, Symbol, SymbolKind, Visibility};
pub use version::{DottedVersion, VersionError};
pub use versions::VersionNeed;
