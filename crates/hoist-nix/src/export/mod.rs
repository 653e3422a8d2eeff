//! The stream of `nix-store --export`: some store paths with what a store must know of them.
//!
//! For each path: the number 1, its NAR, the number 0x4558494e, the path, its references, its
//! deriver or an empty string, and 0; behind the last one 0. Numbers, strings and lists are those
//! of the [`wire`](crate::wire). What is said of a path comes behind its archive, so a reader has
//! to put the archive aside before it knows what it is. Neither content address nor signatures
//! are in the stream: whoever imports it trusts whoever exported it.
//!
//! Source: `export-import.cc` of Nix, and the streams in `tests/fixtures/export`.

mod error;
#[cfg(test)]
mod properties;
mod reader;
mod writer;

pub use error::ExportError;
pub use reader::ExportReader;
pub use writer::ExportWriter;

use crate::{StoreDir, StorePath};

/// Behind each archive; it is `NIXE` in ASCII.
const MAGIC: u64 = 0x4558_494e;

/// What an export says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedPath {
    /// The path.
    pub path: StorePath,
    /// The paths that it needs, sorted, each once; itself among them when it holds its own path.
    pub references: Vec<StorePath>,
    /// The derivation that it is an output of.
    pub deriver: Option<StorePath>,
}

impl ExportedPath {
    /// Checks that a store has everything that the path needs, as Nix does on import: a closure
    /// comes with references first.
    ///
    /// # Errors
    ///
    /// [`ExportError::MissingReference`] for the first other path that is not valid.
    pub fn check_references(
        &self,
        dir: &StoreDir,
        mut is_valid: impl FnMut(&StorePath) -> bool,
    ) -> Result<(), ExportError> {
        let mut others = self.references.iter().filter(|reference| **reference != self.path);
        match others.find(|reference| !is_valid(reference)) {
            None => Ok(()),
            Some(reference) => Err(ExportError::MissingReference {
                path: dir.print(&self.path),
                reference: dir.print(reference),
            }),
        }
    }
}
