//! Why nothing was repaired at all.

use std::io;
use std::path::PathBuf;

use hoist_elf::edit::EditError;

use crate::tree::TreeError;

/// Why nothing was repaired at all. One repair that cannot be made is no error but a
/// [`Repair`](hoist_schema::Repair) that says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum FixError {
    #[error(transparent)]
    Look(#[from] TreeError),

    #[error("cannot {what} `{}`", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },

    /// The input is never changed.
    #[error("the output `{}` is the input itself, or lies in it", path.display())]
    OutputIsInput { path: PathBuf },

    #[error("`{}` is there already and differs from what was repaired", path.display())]
    OutputExists { path: PathBuf },

    #[error("`{}` has no file name", path.display())]
    NoName { path: PathBuf },

    #[error("`{}` is neither a file, a folder nor a link, and cannot be copied", path.display())]
    Special { path: PathBuf },

    /// Elsewhere, it would not lie in the output.
    #[error("`{}` cannot be written below `{}`, which is not a folder", path.display(), place.display())]
    NotAFolder { path: PathBuf, place: PathBuf },

    #[error("`{}` is no file that could be repaired", path.display())]
    NotAFile { path: PathBuf },

    #[error("`{}` cannot be bundled", path.display())]
    Bundle { path: PathBuf, source: EditError },

    #[error("what is needed draws in more than {limit} libraries")]
    TooManyLibraries { limit: usize },
}

impl FixError {
    /// What the reader can do about it; `None` when there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::OutputIsInput { .. } | Self::OutputExists { .. } => {
                Some("name another place with --output")
            }
            Self::NotAFolder { .. } => {
                Some("put a folder in its place, or remove what the artifact has there")
            }
            Self::Bundle { source, .. } => Some(source.hint()).filter(|hint| !hint.is_empty()),
            _ => None,
        }
    }
}
