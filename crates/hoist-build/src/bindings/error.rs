//! Why there is no module.

/// Why an ABI file gives no Python module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum BindingsError {
    #[error("the ABI file names no library")]
    NoLibrary,

    /// It would become code.
    #[error("{what} `{name}` is no C identifier")]
    Name { what: &'static str, name: String },

    #[error("{what} `{name}` is defined twice")]
    Twice { what: &'static str, name: String },

    #[error("{place} uses struct `{name}`, which the ABI file does not define")]
    NoStruct { place: String, name: String },

    /// Packed, over-aligned or with bit-fields; or the file is wrong.
    #[error("struct `{name}` is laid out otherwise than its fields: {why}")]
    Layout { name: String, why: String },

    #[error("struct `{name}` contains itself, or is nested too deep")]
    Cycle { name: String },

    #[error("{place} has a type that cannot be there: {why}")]
    Type { place: String, why: &'static str },
}
