//! Why a library is not edited.

use crate::error::ElfError;
use crate::facts::FileKind;
use crate::identity::Machine;

/// Why a library is not edited. Offsets and sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum EditError {
    /// What the loader cannot use is not made better by an edit.
    #[error("the library cannot be read")]
    Unreadable(#[from] ElfError),

    #[error("only shared libraries are edited, and this is {kind:?}")]
    NotALibrary { kind: FileKind },

    /// Elsewhere, entries of the dynamic section may say how far something is from themselves.
    #[error("libraries for {machine} are not edited: its dynamic section may hold distances")]
    Machine { machine: Machine },

    /// Prelinked addresses and checksums are only true of the bytes they were made for.
    #[error("it has {entry}, which is only true of the bytes as they are")]
    Sealed { entry: &'static str },

    #[error("`{}` cannot be {place}: {why}", text.escape_debug())]
    Text { place: &'static str, text: String, why: &'static str },

    #[error("it does not need `{name}`")]
    NotNeeded { name: String },

    /// The loader ends the process when a library of `DT_VERNEED` is not in `DT_NEEDED`.
    #[error("it wants versions of `{name}`, so it must need it")]
    VersionsWanted { name: String },

    #[error("it has no PT_GNU_STACK whose flags could be changed")]
    NoStackHeader,

    #[error(
        "the program headers say that the dynamic section lies at offset {offset:#x}, but the loader finds it elsewhere"
    )]
    DynamicElsewhere { offset: u64 },

    #[error(
        "the {length} bytes at offset {offset:#x} are loaded {times} times, so a change would show elsewhere too"
    )]
    Shared { offset: u64, length: u64, times: usize },

    #[error("{what} would not fit")]
    TooLarge { what: &'static str },

    #[error("its section headers are damaged, so debug information cannot be told from the rest")]
    DamagedSections(#[source] ElfError),

    #[error("there is no debug information to take out")]
    NoDebugInformation,

    #[error("its section `{name}` is laid out so that debug information cannot be taken out")]
    Interleaved { name: String },

    /// Each would be copied by itself: a small file would become a large one.
    #[error("its section `{name}` claims bytes that another section has, too")]
    Overlap { name: String },

    #[error("its section `{name}` is a second table of symbols; there is one of each kind")]
    SecondTable { name: String },

    /// Never written: the edited library is not what was asked for.
    #[error("the edited library would differ in what was not to be changed: {what}")]
    Doubtful { what: String },
}

impl EditError {
    /// What the reader can do about it; empty when there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.hint(),
            Self::Machine { .. } | Self::Shared { .. } | Self::DynamicElsewhere { .. } => {
                "link it again with the right options"
            }
            Self::Sealed { .. } => "undo that first (`prelink --undo`), or link it again",
            Self::Doubtful { .. } => {
                "nothing was written; link the library again, and please report this one"
            }
            _ => "",
        }
    }
}
