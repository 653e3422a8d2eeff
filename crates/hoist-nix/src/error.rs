//! What can be wrong with Nix's texts and archives.

use std::io;

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum HashError {
    /// Nix base32 leaves out e, o, t and u, and is lower case only.
    #[error("`{text}` has `{found}` at {index}, which is not a digit of Nix base32")]
    Base32Digit { text: String, index: usize, found: char },

    /// Nix base32 writes as many digits as the bits need; what does not fit must be zero.
    #[error("`{text}` has bits beyond its {bytes} bytes")]
    Base32Overflow { text: String, bytes: usize },

    /// A text whose length is that of no encoding.
    #[error("`{text}` has {found} characters, wanted {wanted}")]
    Length { text: String, found: usize, wanted: String },

    /// A character that is no hexadecimal digit.
    #[error("`{text}` has `{found}` at {index}, which is not a digit of base16")]
    Base16Digit { text: String, index: usize, found: char },

    /// A text that is not base64, or that has bits set beyond its last byte.
    #[error("`{text}` is not base64")]
    Base64 { text: String },

    /// A hash of another kind than wanted.
    #[error("`{text}` is a hash of kind `{found}`, wanted `{wanted}`")]
    OtherAlgorithm { text: String, found: String, wanted: &'static str },

    /// A kind of hash that Nix does not have.
    #[error("`{text}` starts with `{found}`, wanted one of md5, sha1, sha256, sha512")]
    UnknownAlgorithm { text: String, found: String },

    /// A content address that is neither `text:…` nor `fixed:…`.
    #[error("`{text}` is not a content address: wanted `text:sha256:…` or `fixed:[r:]KIND:…`")]
    ContentAddress { text: String },
}

/// Why a text is not a store directory, a store path or a store path's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StorePathError {
    /// The store directory must be absolute and written in its shortest form.
    #[error("store directory `{text}` is not an absolute path in its shortest form")]
    StoreDir { text: String },

    /// A path that is not directly below the store directory.
    #[error("`{text}` is not a path directly below `{store_dir}`")]
    NotInStore { text: String, store_dir: String },

    /// The 32 digits of the hash part, a dash and a name are the least.
    #[error("`{text}` is too short for a store path: wanted 32 digits, `-` and a name")]
    TooShort { text: String },

    /// The first 32 characters are Nix base32.
    #[error("the hash part of store path `{text}` is not Nix base32")]
    HashPart { text: String, source: HashError },

    /// The hash part is followed by a dash.
    #[error("store path `{text}` has `{found}` where `-` must end its hash part")]
    NoDash { text: String, found: char },

    /// A store path needs a name.
    #[error("the name is empty")]
    EmptyName,

    /// Longer names would not fit a file name together with hash part and suffixes.
    #[error("name `{name}` has {} characters, wanted at most 211", name.len())]
    NameTooLong { name: String },

    /// Nix allows letters, digits and `+-._?=`.
    #[error("name `{name}` has `{found}` at {index}, wanted letters, digits or one of `+-._?=`")]
    NameCharacter { name: String, index: usize, found: char },

    /// Nix 2.8 accepts these, 2.26 does not.
    #[error("name `{name}` is `.` or `..`, or starts with one of them and a `-`")]
    NameDots { name: String },

    /// Nix 2.8 hashes the NAR without the path's own hash part and with the places of it, 2.26
    /// without these; each refuses what the other made.
    #[error(
        "`{path}` refers to itself and is named by its content: Nix 2.8 and 2.26 hash such a path \
         differently, and neither takes the other's"
    )]
    SelfReference { path: String },

    /// A path that claims to be named by content that has another path.
    #[error("`{path}` is not the path of its content: `{content_address}` is that of `{computed}`")]
    OtherContent { path: String, content_address: String, computed: String },

    /// Only `fixed:r:sha256` and `text:sha256` paths may refer to other paths.
    #[error("content address `{content_address}` cannot have references")]
    References { content_address: String },
}

/// Why bytes are not a NAR; `offset` counts bytes from the start of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum NarError {
    /// The reader below failed.
    #[error("cannot read the archive at byte {offset}")]
    Read { offset: u64, source: io::Error },

    /// The bytes end inside the archive.
    #[error("the archive ends at byte {offset}, in the middle")]
    Truncated { offset: u64 },

    /// Not an archive at all.
    #[error("the first bytes are not those of a Nix archive")]
    Magic,

    /// A word that the grammar does not have there.
    #[error("found `{found}` at byte {offset}, wanted {wanted}")]
    Word { offset: u64, found: String, wanted: &'static str },

    /// Padding is zero.
    #[error("the padding at byte {offset} is not zero")]
    Padding { offset: u64 },

    /// A length beyond the limit of its kind.
    #[error("{what} at byte {offset} is {found} bytes long, limit {limit}")]
    TooLong { offset: u64, what: &'static str, found: u64, limit: u64 },

    /// A name that could lead out of the tree, or that no file can have.
    #[error("entry name `{name}` at byte {offset} is not the name of a file")]
    Name { offset: u64, name: String },

    /// Entries are sorted by their bytes, each name once.
    #[error("entry `{name}` at byte {offset} does not come after `{previous}`")]
    Order { offset: u64, name: String, previous: String },

    /// Nix cuts a symlink's target at a NUL byte, so that the tree would not be the archive's.
    #[error("the symlink target at byte {offset} is empty or holds a NUL byte")]
    Target { offset: u64 },

    /// Directories inside directories beyond the limit.
    #[error("more than {limit} directories inside each other at byte {offset}")]
    TooDeep { offset: u64, limit: usize },

    /// Nix ignores them, so that two files of different hashes would be the same archive.
    #[error("bytes follow the end of the archive at byte {offset}")]
    Trailing { offset: u64 },
}

/// Why a NAR could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum NarWriteError {
    /// The writer below failed.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),

    /// The file's reader failed.
    #[error("cannot read the contents")]
    Contents(#[source] io::Error),

    /// A file that changed while it was read.
    #[error("the contents ended after {found} bytes, wanted {declared}")]
    ContentsShort { declared: u64, found: u64 },

    /// A name that no reader would accept.
    #[error("`{name}` is not the name of a file")]
    Name { name: String },

    /// Entries are sorted by their bytes, each name once.
    #[error("entry `{name}` does not come after `{previous}`")]
    Order { name: String, previous: String },

    /// A target that no reader would accept.
    #[error("a symlink's target is empty or holds a NUL byte")]
    Target,
}
