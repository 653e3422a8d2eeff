//! Why a cache or a NAR in it cannot be read.

use std::io;

use hoist_nix::{CacheInfoError, NarInfoError, OfferError, Sha256Hash, StoreDir};

/// Why a cache gives no answer, or one that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum CacheError {
    /// Neither a folder nor a server.
    #[error("`{url}` is not the address of a cache: {why}")]
    Url { url: String, why: &'static str },

    /// A server that has other things than a cache, or a folder that is not there.
    #[error("`{url}` is not a binary cache: {why}")]
    NotACache { url: String, why: &'static str },

    /// Its paths would not fit this store.
    #[error("cache `{url}` is for store directory `{found}`, wanted `{wanted}`")]
    OtherStoreDir { url: String, found: StoreDir, wanted: StoreDir },

    /// The cache does not say properly what it is.
    #[error("`{url}` cannot be understood")]
    CacheInfo { url: String, source: CacheInfoError },

    /// A file cannot be read, or a connection failed.
    #[error("cannot read `{url}`")]
    Read { url: String, source: io::Error },

    /// Not a server, or one that leads astray.
    #[error("cannot fetch `{url}`")]
    Http { url: String, source: Box<ureq::Error> },

    /// The server says no, or answers with something else.
    #[error("`{url}` answers with status {status}, wanted 200")]
    Status { url: String, status: u16 },

    /// A server that compresses on its way changes bytes that have a hash.
    #[error("`{url}` comes in encoding `{found}`, which was not asked for")]
    Encoding { url: String, found: String },

    /// Something where a file belongs.
    #[error("`{url}` is not a file")]
    NotAFile { url: String },

    /// Larger than such a text can be.
    #[error("`{url}` is longer than {limit} bytes")]
    TooLong { url: String, limit: u64 },

    /// Not a narinfo.
    #[error("narinfo `{url}` cannot be used")]
    NarInfo { url: String, source: Box<NarInfoError> },

    /// A narinfo that nobody trusted vouches for, or of another path.
    #[error("cache `{url}` offers what is not taken")]
    Offer { url: String, source: Box<OfferError> },

    /// The narinfo is there, the NAR is not.
    #[error("`{url}` is missing, though its narinfo is there")]
    NarMissing { url: String },

    /// Larger than was allowed.
    #[error("the NAR `{url}` has {found} bytes, limit {limit}")]
    NarTooLarge { url: String, found: u64, limit: u64 },

    /// The NAR could not even be begun.
    #[error("cannot read the NAR `{url}`")]
    Nar { url: String, source: FetchError },
}

impl CacheError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Url { .. } => {
                Some("write `file:///FOLDER`, a folder, `http://HOST…` or `https://HOST…`")
            }
            Self::Offer { source, .. } => source.hint(),
            Self::Http { .. } | Self::Status { .. } | Self::NotACache { .. } => {
                Some("look at the address, the network and the server")
            }
            Self::Encoding { .. } => {
                Some("turn off compression on the way for narinfos and NARs, in server or proxy")
            }
            Self::NarMissing { .. } | Self::Nar { .. } => {
                Some("the cache is damaged: push the path again, or ask another cache")
            }
            _ => None,
        }
    }
}

/// Why a NAR is not the promised one; the inner error of what [`NarStream`](crate::NarStream)
/// returns when it is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum FetchError {
    /// The file or the connection failed.
    #[error("cannot read the file after {read} bytes")]
    Read { read: u64, source: io::Error },

    /// The file is not compressed as the narinfo says, or damaged.
    #[error("the file is not valid {compression}")]
    Decode { compression: &'static str, source: io::Error },

    /// The file is longer than the narinfo says.
    #[error("the file has more than {limit} bytes, where the narinfo allows {limit}")]
    FileTooLong { limit: u64 },

    /// The file has another size than the narinfo says.
    #[error("the file has {found} bytes, wanted {wanted}")]
    FileSize { found: u64, wanted: u64 },

    /// The file has another hash than the narinfo says.
    #[error("the file has hash {found}, wanted {wanted}")]
    FileHash { found: Sha256Hash, wanted: Sha256Hash },

    /// The file goes on where its contents end.
    #[error("bytes follow the end of the compressed NAR")]
    Trailing,

    /// The NAR ends early.
    #[error("the NAR has {found} bytes, wanted {wanted}")]
    NarTooShort { found: u64, wanted: u64 },

    /// The NAR goes on behind the size that the narinfo says.
    #[error("the NAR has more than {wanted} bytes")]
    NarTooLong { wanted: u64 },

    /// The NAR has another hash than the narinfo says.
    #[error("the NAR has hash {found}, wanted {wanted}")]
    NarHash { found: Sha256Hash, wanted: Sha256Hash },

    /// It failed before; what was read is of no use.
    #[error("the NAR failed before")]
    Spent,
}

impl From<FetchError> for io::Error {
    fn from(error: FetchError) -> Self {
        let kind = match &error {
            FetchError::Read { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
