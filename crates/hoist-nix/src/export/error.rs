//! What can be wrong with an export.

use std::io;

use crate::wire::WireError;
use crate::{NarCopyError, NarError};

/// Why a stream is not an export, or could not be written; `offset` counts bytes from its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ExportError {
    /// The reader below failed.
    #[error("cannot read the export at byte {offset}")]
    Read { offset: u64, source: io::Error },

    /// The writer below failed.
    #[error("cannot write")]
    Write(#[source] io::Error),

    /// The bytes end before the 0 that ends an export.
    #[error("the export ends at byte {offset}, in the middle")]
    Truncated { offset: u64 },

    /// Before each path, and behind the last one.
    #[error(
        "found {found:#x} at byte {offset} of the export, wanted 1 before a path or 0 at the end"
    )]
    Marker { offset: u64, found: u64 },

    /// The archive of a path is refused.
    #[error("the archive that begins at byte {offset} of the export is wrong")]
    Nar { offset: u64, source: NarError },

    /// Behind each archive.
    #[error("found {found:#x} at byte {offset} of the export, wanted 0x4558494e behind an archive")]
    Magic { offset: u64, found: u64 },

    /// A word of what is said of a path.
    #[error(transparent)]
    Word(WireError),

    /// Nix writes them sorted, each once.
    #[error(
        "reference `{reference}` before byte {offset} of the export does not come after `{previous}`"
    )]
    Order { offset: u64, reference: String, previous: String },

    /// Nix before 2.0 signed exports; later ones write 0 and pass over what they find.
    #[error(
        "found {found:#x} at byte {offset} of the export, wanted 0: hoist reads no old signatures"
    )]
    Signature { offset: u64, found: u64 },

    /// Nix passes over them.
    #[error("bytes follow the end of the export at byte {offset}")]
    Trailing { offset: u64 },

    /// A path that came before something that it needs.
    #[error(
        "`{path}` refers to `{reference}`, which is neither in the store nor earlier in the export"
    )]
    MissingReference { path: String, reference: String },
}

impl From<WireError> for ExportError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Read { offset, source } => Self::Read { offset, source },
            WireError::Write(source) => Self::Write(source),
            WireError::Ended { offset } => Self::Truncated { offset },
            other => Self::Word(other),
        }
    }
}

impl ExportError {
    /// Tells an archive of the wrong form from a stream that ends in it or fails.
    pub(super) fn in_archive(start: u64, error: NarError) -> Self {
        match error {
            NarError::Read { offset, source } => Self::Read { offset: start + offset, source },
            NarError::Truncated { offset } => Self::Truncated { offset: start + offset },
            source => Self::Nar { offset: start, source },
        }
    }

    pub(super) fn in_copy(start: u64, error: NarCopyError) -> Self {
        match error {
            NarCopyError::Nar(error) => Self::in_archive(start, error),
            NarCopyError::Write(error) => Self::Write(error),
        }
    }
}
