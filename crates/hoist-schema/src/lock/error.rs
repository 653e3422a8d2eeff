//! Why a `hoist.lock` is refused.

/// Why a `hoist.lock` is refused. The caller adds which file it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum LockError {
    /// Nobody's lock is that long.
    #[error("it has {found} bytes, and may have {limit}")]
    TooLong { found: usize, limit: usize },

    /// Not JSON, a key that is there twice, or a value of another type.
    #[error("{message}")]
    Malformed { message: String },

    /// A newer hoist wrote it, and its values may mean something else.
    #[error("it has version {found}, and this hoist reads versions up to {newest}")]
    TooNew { found: u64, newest: u32 },

    /// There never was such a version.
    #[error("it has version 0, and versions begin at 1")]
    NoVersion,

    /// A key that this version does not know.
    #[error("unknown key `{key}` in {place}")]
    UnknownKey { key: String, place: String, hint: String },

    /// A value of the right type that makes no sense.
    #[error("{place} is `{found}`, wanted {wanted}")]
    Value { place: String, found: String, wanted: String },
}

impl LockError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::TooNew { .. } => "use the hoist that wrote it, or a newer one".to_owned(),
            Self::UnknownKey { hint, .. } => hint.clone(),
            _ => {
                "take it from version control again, or remove it and run `hoist flake`".to_owned()
            }
        }
    }
}
