//! Edits of a finished library: bytes in, bytes out.
//!
//! [`rewrite`] changes what the dynamic section says, [`split_debug`] takes debug information out
//! of a library. What is loaded stays where it is: an edit that fits is made in place, and one that
//! does not appends to the last segment, or adds one (see [`Layout`]). The result is read again
//! and held against the original before anybody sees it, by [`verify_edit`].
//!
//! The reasons are in `docs/adr/0014-elf-rewriting.md`.

mod dynamic;
mod error;
mod follow;
mod grow;
mod patch;
mod rewrite;
mod section;
mod split;
mod strings;
mod verify;

use std::ops::Range;

pub use error::EditError;
pub use rewrite::rewrite;
pub use split::{DebugSplit, debug_link_crc, split_debug};
pub use verify::verify_edit;

/// One change of what a library says to the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Gives it this `DT_RUNPATH`, or none, and takes `DT_RPATH` away.
    Runpath(Option<String>),
    /// Gives it this `DT_SONAME`.
    Soname(String),
    /// Lets it need `to` where it needed `from`, also for the versions it wants of it.
    ReplaceNeeded {
        /// As it stands in `DT_NEEDED`.
        from: String,
        /// What stands there afterwards.
        to: String,
    },
    /// Lets it need one more library, after all others.
    AddNeeded(String),
    /// Lets it no longer need a library, of which it must not want a version.
    RemoveNeeded(String),
    /// Has all symbols bound when it is loaded.
    BindNow,
    /// Asks for a stack that may not run.
    NonExecutableStack,
}

/// Where the edited parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Where they lay: the file has its old size.
    InPlace,
    /// At the end of the last loadable segment, which grew; what no segment holds moved on.
    GrownSegment,
    /// In a new loadable segment at the end of the file.
    NewSegment,
}

/// An edited library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The file.
    pub bytes: Vec<u8>,
    /// The bytes of the original's loadable segments that differ, as offsets in the file; none
    /// overlap.
    pub changed: Vec<Range<u64>>,
    /// Where the edited parts lie.
    pub layout: Layout,
}
