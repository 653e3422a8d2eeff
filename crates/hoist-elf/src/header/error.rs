//! Why a header is refused.

use std::fmt;

/// A place in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Why a header is refused: what was found, where, and what was wanted.
///
/// Messages start with `LINE:COLUMN:`, so that a caller puts `FILE:` before them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum HeaderError {
    #[error("{place}: found {found}, wanted {wanted}")]
    Unexpected { place: Place, found: String, wanted: &'static str },

    #[error("{place}: `{name}` is not a known type")]
    UnknownType { place: Place, name: String },

    /// It is C, but hosts without a C compiler cannot call or lay it out.
    #[error("{place}: {what} cannot be promised")]
    Unsupported { place: Place, what: String, instead: &'static str },

    #[error("{place}: `{name}` is declared again, and differently")]
    Conflict { place: Place, name: String },

    #[error("{place}: `struct {name}` is used by value, but its fields are not known here")]
    Incomplete { place: Place, name: String },

    #[error("{place}: {problem} in a constant expression")]
    Constant { place: Place, problem: String },

    #[error("{place}: {what} is not closed")]
    Unclosed { place: Place, what: &'static str },

    #[error("{place}: `#error` is reached: {message}")]
    ErrorDirective { place: Place, message: String },

    #[error("{place}: nested more than {limit} deep")]
    TooDeep { place: Place, limit: usize },

    #[error("the header has more than {limit} {what}")]
    TooLarge { what: &'static str, limit: usize },
}

impl HeaderError {
    /// Where it is; `None` when it is about the whole header.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Unexpected { place, .. }
            | Self::UnknownType { place, .. }
            | Self::Unsupported { place, .. }
            | Self::Conflict { place, .. }
            | Self::Incomplete { place, .. }
            | Self::Constant { place, .. }
            | Self::Unclosed { place, .. }
            | Self::ErrorDirective { place, .. }
            | Self::TooDeep { place, .. } => Some(*place),
            Self::TooLarge { .. } => None,
        }
    }

    /// What the reader can do about it; empty when the message says it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsupported { instead, .. } => instead,
            Self::UnknownType { .. } => {
                "declare the type in this header: what it includes is not read, except the types \
                 of <stdint.h>, <stddef.h> and <stdbool.h>"
            }
            Self::Incomplete { .. } => {
                "take a pointer, or define the struct before the function that uses it"
            }
            Self::ErrorDirective { .. } => {
                "the header is read as on 64-bit Linux, with no macros but its own"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
