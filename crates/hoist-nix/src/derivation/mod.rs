//! Derivations: what Nix builds, as the `ATerm` in a `.drv` file.
//!
//! A derivation names its outputs, the derivations and paths it needs, and the command that makes
//! the outputs. Its own store path follows from its text, and the paths of its outputs from its
//! text too ([`OutputPaths`]), unless their contents are known before (fixed) or name them
//! afterwards (floating).
//!
//! Source: the chapter “Derivations” of the Nix manual; `derivations.cc` of Nix 2.8 and 2.26 for
//! the text, and the files in `tests/fixtures/drv`.

mod error;
mod json;
mod output;
mod parse;
mod paths;
mod print;
#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet};

pub use error::DerivationError;
pub use json::DerivationJson;
pub use output::{DerivationOutput, OutputMethod, OutputName};
pub use paths::OutputPaths;

use crate::{ContentAddress, Sha256Hash, StoreDir, StorePath, StorePathError, StorePathName};

/// A derivation.
///
/// Strings that a builder sees are bytes, as they are for Nix; none holds a NUL byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The name without `.drv`; it is not in the text, but in the path.
    pub name: StorePathName,
    /// The outputs, one at least.
    pub outputs: BTreeMap<OutputName, DerivationOutput>,
    /// The derivations that are built before, and which of their outputs are needed.
    pub input_derivations: BTreeMap<StorePath, BTreeSet<OutputName>>,
    /// Other paths that are needed.
    pub input_sources: BTreeSet<StorePath>,
    /// For which system it is, e.g. `x86_64-linux`.
    pub platform: Vec<u8>,
    /// The program that is run.
    pub builder: Vec<u8>,
    /// The program's arguments, without its name.
    pub args: Vec<Vec<u8>>,
    /// The program's environment.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Derivation {
    /// Returns the paths that the derivation itself refers to: all its inputs.
    #[must_use]
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_derivations.keys().chain(&self.input_sources).cloned().collect()
    }

    /// Returns the path of its `.drv` file, which is a text by its contents.
    ///
    /// # Errors
    ///
    /// [`StorePathError::NameTooLong`] when the name with `.drv` is too long for a store path.
    pub fn store_path(&self, dir: &StoreDir) -> Result<StorePath, StorePathError> {
        let name = StorePathName::parse(&format!("{}.drv", self.name))?;
        let references: Vec<StorePath> = self.references().into_iter().collect();
        let text = ContentAddress::Text(Sha256Hash::of(&self.to_aterm(dir)));
        text.store_path(dir, &name, &references)
    }

    /// Whether an output is named by contents that are known before it is built.
    fn is_fixed(&self) -> bool {
        self.outputs.values().any(|output| matches!(output, DerivationOutput::Fixed { .. }))
    }

    /// Whether no path of an output is known before it is built.
    fn is_deferred(&self) -> bool {
        let is_deferred = |output: &DerivationOutput| {
            matches!(output, DerivationOutput::Floating { .. } | DerivationOutput::Deferred)
        };
        self.outputs.values().any(is_deferred)
    }

    /// Checks what both versions of Nix want of a derivation's name and the kinds of its outputs.
    fn check(&self) -> Result<(), DerivationError> {
        let name = self.name.as_str();
        if self.name.is_derivation() {
            return Err(DerivationError::NameOfDerivation { name: name.to_owned() });
        }
        let Some((first_name, first)) = self.outputs.first_key_value() else {
            return Err(DerivationError::NoOutputs);
        };
        if let Some((other_name, _)) =
            self.outputs.iter().find(|(_, output)| !output.goes_with(first))
        {
            let (first, other) = (first_name.to_string(), other_name.to_string());
            return Err(DerivationError::MixedOutputs { first, other });
        }
        let is_out = first_name.as_str() == "out" && self.outputs.len() == 1;
        if matches!(first, DerivationOutput::Fixed { .. }) && !is_out {
            let outputs = self.outputs.keys().map(ToString::to_string).collect();
            return Err(DerivationError::FixedOutputs { outputs });
        }
        Ok(())
    }
}
