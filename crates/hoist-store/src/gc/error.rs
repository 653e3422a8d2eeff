//! Why garbage could not be collected, or a pin not be made.

use hoist_nix::StorePath;

use crate::{FileError, ProfileError, StoreError};

/// Why garbage could not be collected, or a pin not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum GcError {
    /// A file of the store could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// A profile could not be read.
    #[error(transparent)]
    Profile(#[from] ProfileError),

    /// Waiting for the end of what this very process is doing would take for ever.
    #[error("this process is adding to the store, so it cannot collect garbage in it")]
    Adding,

    /// A name that would be a hidden file or lead elsewhere.
    #[error("`{name}` cannot name a pin: {why}")]
    PinName { name: String, why: &'static str },

    /// Another path has that pin.
    #[error("pin `{name}` keeps `{pinned}`, not `{wanted}`")]
    PinTaken { name: String, pinned: String, wanted: StorePath },

    /// There is no such pin.
    #[error("there is no pin `{name}`")]
    NoPin { name: String },
}

impl GcError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Store(StoreError::NotInStore { .. }) => Some("`hoist store ls` lists what is"),
            Self::Store(error) => error.hint(),
            Self::Profile(error) => error.hint(),
            Self::Adding => None,
            Self::PinName { .. } => Some("use letters, digits and `+-._?=`"),
            Self::PinTaken { .. } => Some("choose another name (`--name`), or unpin that first"),
            Self::NoPin { .. } => Some("`hoist store roots` lists what there is"),
        }
    }
}
