//! What can be wrong with a narinfo, and with what it offers.

use crate::{ContentAddress, HashError, Sha256Hash, SignatureError, StorePath, StorePathError};

/// Why bytes are not a narinfo; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum NarInfoError {
    /// Nobody needs as much, and all of it is held in memory.
    #[error("the narinfo is {found} bytes long, limit {limit}")]
    TooLong { found: usize, limit: usize },

    /// A NUL byte or another character that ends or hides text.
    #[error("line {line} has the control character {found:#04x}")]
    ControlCharacter { line: usize, found: u8 },

    /// Narinfos are text.
    #[error("line {line} is not UTF-8")]
    NotUtf8 { line: usize },

    /// A narinfo that was cut off; an empty one, too.
    #[error("line {line} does not end with a line break")]
    NoLineBreak { line: usize },

    /// Every line is a key, a colon, one space and a value.
    #[error("line {line} is not `Key: value`")]
    NotAField { line: usize },

    /// Nix takes the last; another reader would take the first.
    #[error("line {line} says `{key}` again, which line {first} says")]
    Duplicate { line: usize, key: &'static str, first: usize },

    /// Without it, there is nothing to fetch or nothing to check.
    #[error("`{key}` is missing")]
    Missing { key: &'static str },

    /// A value beyond all that can be right.
    #[error("`{key}` in line {line} is {found} bytes long, limit {limit}")]
    ValueTooLong { line: usize, key: &'static str, found: usize, limit: usize },

    /// Not a store path, or one of another store.
    #[error("`{key}` in line {line} is not a store path")]
    StorePath { line: usize, key: &'static str, source: StorePathError },

    /// The same reference twice.
    #[error("`References` in line {line} names `{reference}` twice")]
    DuplicateReference { line: usize, reference: StorePath },

    /// Not a SHA-256 hash.
    #[error("`{key}` in line {line} is not a SHA-256 hash")]
    Hash { line: usize, key: &'static str, source: HashError },

    /// A size is written without sign and leading zeros, and fits the store's database.
    #[error("`{key}` in line {line} is `{found}`, wanted a number of bytes up to 2^63 - 1")]
    Size { line: usize, key: &'static str, found: String },

    /// No NAR is empty; 0 means that the size is unknown.
    #[error("`NarSize` in line {line} is 0")]
    NarSizeZero { line: usize },

    /// The NAR would lie outside the cache.
    #[error("`URL` in line {line} cannot be used")]
    Url { line: usize, source: NarUrlError },

    /// A compression that hoist does not read.
    #[error(
        "`Compression` in line {line} is `{found}`, wanted none, xz, bzip2, gzip, zstd, br, lzip or \
         lzma"
    )]
    Compression { line: usize, found: String },

    /// Not a signature.
    #[error("`Sig` in line {line} is not a signature")]
    Signature { line: usize, source: SignatureError },

    /// Not a content address.
    #[error("`CA` in line {line} is not a content address")]
    ContentAddress { line: usize, source: HashError },
}

/// Why a text is not the place of a NAR in its cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum NarUrlError {
    /// Longer than any server takes.
    #[error("it is {found} bytes long, limit {limit}")]
    TooLong { found: usize, limit: usize },

    /// Servers and clients read these differently.
    #[error("`{url}` has `{found}`, wanted plain ASCII")]
    Character { url: String, found: char },

    /// The place is relative to the cache.
    #[error("`{url}` is absolute")]
    Absolute { url: String },

    /// The cache's own scheme and host hold.
    #[error("`{url}` names a scheme or a port")]
    Scheme { url: String },

    /// These lead elsewhere, or to the same place by another name.
    #[error("`{url}` has an empty, `.` or `..` part")]
    Parts { url: String },
}

/// Why what a cache offers is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum OfferError {
    /// The narinfo of one path lies where that of another belongs.
    #[error("the narinfo is of `{found}`, wanted `{wanted}`")]
    OtherPath { found: StorePath, wanted: StorePath },

    /// A NAR is at least an empty directory, and made of pieces of 8 bytes.
    #[error("no NAR has {nar_size} bytes")]
    NarSize { nar_size: u64 },

    /// What is not compressed is the NAR itself.
    #[error("the NAR is not compressed, yet file and NAR differ in {what}")]
    Uncompressed { what: &'static str },

    /// No signature covers the content address, and real Nix aborts on one that does not fit; on
    /// that of content that refers to itself, releases of Nix disagree.
    #[error("`{path}` does not fit its content address")]
    ContentAddress { path: StorePath, source: StorePathError },

    /// The content is named by the hash of the NAR.
    #[error("`{path}` is named by content `{content_address}`, but its NAR has hash `{nar_hash}`")]
    OtherNar { path: StorePath, content_address: ContentAddress, nar_hash: Sha256Hash },

    /// Whoever makes two contents of one hash could offer either.
    #[error("`{path}` is named by a hash of kind {kind}, which is broken, and not signed")]
    WeakHash { path: StorePath, kind: &'static str },

    /// The narinfo or its signature was changed, or another key has the name of a trusted one.
    #[error("the signature of `{path}` by `{key}` does not fit it")]
    WrongSignature { path: StorePath, key: String },

    /// Nobody trusted vouches for it.
    #[error("`{path}` is not signed by a trusted key, only by {signers}")]
    Untrusted { path: StorePath, signers: String },

    /// Nobody at all vouches for it.
    #[error("`{path}` has no signature and is not named by its content")]
    Unsigned { path: StorePath },
}

impl OfferError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::ContentAddress { source: StorePathError::SelfReference { .. }, .. } => {
                Some("ask the cache's owner to leave out its content address, and sign it")
            }
            Self::Untrusted { .. } => Some("if you trust that key, add it to the trusted ones"),
            Self::Unsigned { .. } | Self::WeakHash { .. } => {
                Some("ask the cache's owner to sign it")
            }
            Self::WrongSignature { .. } => {
                Some("compare the trusted key with what the cache's owner publishes")
            }
            _ => None,
        }
    }
}
