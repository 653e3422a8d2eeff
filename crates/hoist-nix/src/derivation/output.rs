//! The outputs of a derivation.

use std::borrow::Borrow;
use std::fmt;

use super::DerivationError;
use crate::{
    ContentAddress, Hash, HashAlgorithm, StoreDir, StorePath, StorePathError, StorePathName,
};

/// The name of an output, such as `out` or `dev`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(String);

impl OutputName {
    /// Reads a name by the rules of a [`StorePathName`], and not `drv`, which would name the
    /// derivation itself: less than both Nix 2.8 and 2.26 accept, who take `.` and `..`, too.
    ///
    /// # Errors
    ///
    /// [`DerivationError::OutputName`].
    pub fn parse(name: &str) -> Result<Self, DerivationError> {
        let refused = |source| DerivationError::OutputName { name: name.to_owned(), source };
        StorePathName::parse(name).map_err(|source| refused(Some(source)))?;
        if name == "drv" { Err(refused(None)) } else { Ok(Self(name.to_owned())) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the path of this output: that of the derivation for `out`, else with the
    /// output's behind it.
    pub(super) fn path_name(
        &self,
        derivation: &StorePathName,
    ) -> Result<StorePathName, StorePathError> {
        match self.0.as_str() {
            "out" => Ok(derivation.clone()),
            other => StorePathName::parse(&format!("{derivation}-{other}")),
        }
    }
}

/// Its order is that of its text.
impl Borrow<str> for OutputName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of an output is hashed where its contents name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMethod {
    /// The bytes of the one file that it is.
    Flat,
    /// Its NAR.
    Recursive,
}

/// How the path of an output comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DerivationOutput {
    /// From the derivation; this is the path.
    InputAddressed(StorePath),
    /// From its contents, which must have this hash. Such an output is named `out` and the only
    /// one.
    Fixed {
        /// What is hashed.
        method: OutputMethod,
        /// The hash.
        hash: Hash,
    },
    /// From its contents, whatever they will be; an experiment of Nix.
    Floating {
        /// What is hashed.
        method: OutputMethod,
        /// The kind of hash.
        algorithm: HashAlgorithm,
    },
    /// From the derivation, once the paths of its floating inputs are known.
    Deferred,
}

impl DerivationOutput {
    /// Whether one derivation can have both outputs.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Floating { algorithm, .. }, Self::Floating { algorithm: other, .. }) => {
                algorithm == other
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The path, where it is known before the build; `name` is that of the derivation.
    pub(super) fn path(&self, dir: &StoreDir, name: &StorePathName) -> Option<StorePath> {
        match self {
            Self::InputAddressed(path) => Some(path.clone()),
            Self::Fixed { method, hash } => {
                let address = match method {
                    OutputMethod::Flat => ContentAddress::Flat(hash.clone()),
                    OutputMethod::Recursive => ContentAddress::Recursive(hash.clone()),
                };
                let path = address.store_path(dir, name, &[]);
                Some(path.expect("it has no references that could be refused"))
            }
            Self::Floating { .. } | Self::Deferred => None,
        }
    }

    /// The kind of hash as the text has it, such as `r:sha256`; empty where none is.
    pub(super) fn method_and_algorithm(&self) -> String {
        let (method, algorithm) = match self {
            Self::Fixed { method, hash } => (method, hash.algorithm()),
            Self::Floating { method, algorithm } => (method, *algorithm),
            Self::InputAddressed(_) | Self::Deferred => return String::new(),
        };
        let prefix = match method {
            OutputMethod::Flat => "",
            OutputMethod::Recursive => "r:",
        };
        format!("{prefix}{}", algorithm.name())
    }
}
