//! Why a path is not taken from its NAR.

use hoist_nix::{DerivationError, Sha256Hash, StorePath, StorePathError};

/// Why a store refuses a path that was offered with its NAR.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum AddNarError {
    /// The archive is another one.
    #[error("the NAR of `{path}` has the hash {found}, wanted {wanted}")]
    Hash { path: StorePath, found: Sha256Hash, wanted: Sha256Hash },

    /// The archive ends early.
    #[error("the NAR of `{path}` has {found} bytes, wanted {wanted}")]
    Size { path: StorePath, found: u64, wanted: u64 },

    /// More was sent than the archive was said to have.
    #[error("the NAR of `{path}` has more than the {wanted} bytes it was said to have")]
    TooLong { path: StorePath, wanted: u64 },

    /// Such content has another path, or none.
    #[error("`{path}` does not fit its content address")]
    Address { path: StorePath, source: StorePathError },

    /// The content is not what the path is named by.
    #[error("`{path}` holds {found}, but is named by `{content_address}`")]
    Content { path: StorePath, content_address: String, found: String },

    /// Nobody trusted vouches for it.
    #[error("`{path}` is neither named by its content nor signed by a trusted key")]
    Untrusted { path: StorePath },

    /// What has the name of a derivation must be one: Nix parses it.
    #[error("`{path}` is not a derivation that Nix would take")]
    Derivation { path: StorePath, source: Box<DerivationError> },

    /// A derivation is named by its text.
    #[error("`{path}` holds the derivation that is named `{named}`")]
    OtherDerivation { path: StorePath, named: StorePath },

    /// What it needs has to be there first.
    #[error("`{path}` refers to `{reference}`, which is not in the store")]
    Reference { path: StorePath, reference: StorePath },

    /// None of them could have been there first.
    #[error("`{path}` and `{reference}` refer to each other")]
    Cycle { path: StorePath, reference: StorePath },
}

impl AddNarError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Hash { .. } | Self::Size { .. } | Self::TooLong { .. } => {
                Some("fetch it again; if it stays so, whoever sent it has a damaged copy")
            }
            Self::Address { source: StorePathError::SelfReference { .. }, .. } => {
                Some("leave out its content address, and sign it")
            }
            Self::Untrusted { .. } => Some("sign it with a key that is trusted here"),
            Self::Reference { .. } => Some("add what it refers to first"),
            Self::Address { .. }
            | Self::Content { .. }
            | Self::Derivation { .. }
            | Self::OtherDerivation { .. }
            | Self::Cycle { .. } => None,
        }
    }
}
