//! Copying a tree in the form of a store path while hashing it.

use std::ffi::OsStr;
use std::path::Path;

use hoist_nix::{Sha256Hash, Sha256Hasher};

use super::pipeline::pump;
use super::read::TreeReader;
use super::state::TreeState;
use super::write::{Style, TreeWriter};
use crate::TreeError;

/// A tree that was read: its NAR, and what it looked like meanwhile.
#[derive(Debug)]
pub(crate) struct TreeRead {
    /// SHA-256 of its NAR.
    pub(crate) nar_hash: Sha256Hash,
    /// Size of its NAR in bytes.
    pub(crate) nar_size: u64,
    pub(crate) state: TreeState,
}

/// Copies the tree at `source` to `name` in the directory at `parent`, canonical but for the
/// root's mode, all of it on disk.
///
/// Every byte is read once: what was hashed is what was written.
pub(crate) fn copy_canonical(
    source: &Path,
    parent: &Path,
    name: &OsStr,
) -> Result<TreeRead, TreeError> {
    let mut reader = TreeReader::new(source)?;
    let mut hasher = Sha256Hasher::new();
    let mut tree = TreeWriter::new(parent, name, Style::Canonical)?;
    pump(&mut reader, &mut [&mut hasher, &mut tree], source)?;
    tree.finish()?;
    let (nar_hash, nar_size) = hasher.finish();
    Ok(TreeRead { nar_hash, nar_size, state: reader.state() })
}

/// Reads the tree at `path` for its hash.
pub(crate) fn read_tree(path: &Path) -> Result<TreeRead, TreeError> {
    let mut reader = TreeReader::new(path)?;
    let mut hasher = Sha256Hasher::new();
    pump(&mut reader, &mut [&mut hasher], path)?;
    let (nar_hash, nar_size) = hasher.finish();
    Ok(TreeRead { nar_hash, nar_size, state: reader.state() })
}
