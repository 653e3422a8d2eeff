//! What can be wrong with a derivation.

use crate::{HashError, StorePathError};

/// Why a text is not a derivation, or a derivation not what it says; `offset` counts bytes from
/// the start of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum DerivationError {
    /// A text that is larger than any that a builder could be given.
    #[error("the derivation has {found} bytes, limit {limit}")]
    TooLarge { found: usize, limit: usize },

    /// A list beyond the limit.
    #[error("the list before byte {offset} has more than {limit} elements")]
    TooMany { offset: usize, limit: usize },

    /// The grammar has something else there.
    #[error("found `{found}` at byte {offset}, wanted `{wanted}`")]
    Syntax { offset: usize, found: String, wanted: &'static str },

    /// The text ends early.
    #[error("the derivation ends at byte {offset}, in the middle")]
    Truncated { offset: usize },

    /// Nix passes over them.
    #[error("bytes follow the end of the derivation at byte {offset}")]
    Trailing { offset: usize },

    /// Nix writes `\n`, `\r`, `\t`, `\"` and `\\`, and nothing else behind a backslash.
    #[error("found `\\{found}` at byte {offset}, which Nix does not write")]
    Escape { offset: usize, found: String },

    /// Nix escapes line feeds, carriage returns and tabs; what holds NUL no builder can be given.
    #[error("the string at byte {offset} holds the byte {byte:#04x} as it is")]
    RawByte { offset: usize, byte: u8 },

    /// A name or a path that is not UTF-8.
    #[error("the {what} before byte {offset} is not UTF-8")]
    NotUtf8 { offset: usize, what: &'static str },

    /// Nix writes them sorted, each once.
    #[error("{what} `{found}` before byte {offset} does not come after `{previous}`")]
    Order { offset: usize, what: &'static str, found: String, previous: String },

    /// A text that is no store path.
    #[error("the {what} before byte {offset} is wrong")]
    StorePath { offset: usize, what: &'static str, source: StorePathError },

    /// An input derivation whose path does not end with `.drv`.
    #[error("input derivation `{path}` before byte {offset} does not end with `.drv`")]
    NotADerivation { offset: usize, path: String },

    /// An input derivation of which nothing is needed.
    #[error("no output of input derivation `{path}` before byte {offset} is needed")]
    NoOutputsNeeded { offset: usize, path: String },

    /// A kind of hash that only newer versions know, or none.
    #[error(
        "found kind of hash `{found}` before byte {offset}, wanted `[r:]md5`, sha1, sha256 or sha512"
    )]
    Method { offset: usize, found: String },

    /// A hash that is none of its kind, or not in lower-case base16.
    #[error("hash `{found}` before byte {offset} is not one in lower-case base16")]
    Hash { offset: usize, found: String, source: Option<HashError> },

    /// A path, a kind of hash and a hash that no output has together.
    #[error("output `{output}` before byte {offset} has {found}")]
    Output { offset: usize, output: String, found: &'static str },

    /// A fixed output whose path is not that of its hash; Nix passes over it.
    #[error("output `out` has the path `{found}`, its hash gives `{wanted}`")]
    FixedPath { found: String, wanted: String },

    /// Nix 2.8 and 2.26 refuse it, but for derivations that make derivations.
    #[error("derivation name `{name}` ends with `.drv`")]
    NameOfDerivation { name: String },

    /// A name that no output can have.
    #[error("`{name}` cannot be the name of an output")]
    OutputName { name: String, source: Option<StorePathError> },

    /// A derivation makes something.
    #[error("the derivation has no outputs")]
    NoOutputs,

    /// All outputs get their paths in the same way.
    #[error("outputs `{first}` and `{other}` get their paths in different ways")]
    MixedOutputs { first: String, other: String },

    /// One content has one path.
    #[error("a fixed output must be `out` and the only one, found {outputs:?}")]
    FixedOutputs { outputs: Vec<String> },

    /// The path of an output would have a name that is too long.
    #[error("output `{output}` can have no path")]
    OutputPathName { output: String, source: StorePathError },

    /// An output of another derivation that it does not have.
    #[error("output `{output}` of `{path}` is needed, which that derivation does not have")]
    NoSuchOutput { path: String, output: String },

    /// Derivations that need each other: no hash could have named them so.
    #[error("`{path}` needs itself")]
    Cycle { path: String },

    /// A path that does not follow from the derivation.
    #[error("output `{output}` has {found}, the derivation gives {wanted}")]
    OutputPath { output: String, found: String, wanted: String },

    /// The builder would write to another place than the one that is looked at.
    #[error("environment variable `{output}` is not `{wanted}`, the path of that output")]
    OutputVariable { output: String, wanted: String },

    /// JSON has no other texts.
    #[error("{what} `{text}` is not UTF-8, which JSON cannot say")]
    NotJson { what: &'static str, text: String },
}
