//! Copying a tree in the form of a store path while hashing it.

use std::ffi::OsStr;
use std::path::Path;

use hoist_nix::{Sha256Hash, Sha256Hasher};

use super::crew::write_pieces;
use super::nodes::Style;
use super::piece::Piece;
use super::pipeline::{Source, Stage, Worker, feed, pump, run, worker};
use super::read::TreeReader;
use super::state::{Oddity, TreeState};
use super::write::TreeWriter;
use crate::TreeError;

/// A tree that was read: its NAR, and what it looked like meanwhile.
#[derive(Debug)]
pub(crate) struct TreeRead {
    /// SHA-256 of its NAR.
    pub(crate) nar_hash: Sha256Hash,
    /// Size of its NAR in bytes.
    pub(crate) nar_size: u64,
    pub(crate) state: TreeState,
    /// The first node that is not as in a store.
    pub(crate) oddity: Option<Oddity>,
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
    let mut first = Piece::default();
    if reader.fill(&mut first)? {
        let write: Worker<'_> = Box::new(|link| write_pieces(&mut tree, &link));
        run(vec![worker(&mut hasher), write], source, |link| feed(&mut reader, first, &link))?;
    } else {
        hasher.take(&first)?;
        tree.take(&first)?;
    }
    tree.finish()?;
    Ok(tree_read(reader, hasher))
}

/// Reads the tree at `path` for its hash, ahead of hashing it.
pub(crate) fn read_tree(path: &Path) -> Result<TreeRead, TreeError> {
    let mut reader = TreeReader::new(path)?;
    let mut hasher = Sha256Hasher::new();
    pump(&mut reader, &mut [&mut hasher], path)?;
    Ok(tree_read(reader, hasher))
}

/// As [`read_tree`], on this thread alone.
pub(crate) fn read_tree_here(path: &Path) -> Result<TreeRead, TreeError> {
    let mut reader = TreeReader::small(path)?;
    let mut hasher = Sha256Hasher::new();
    let mut piece = Piece::small();
    loop {
        let more = reader.fill(&mut piece)?;
        hasher.take(&piece)?;
        if !more {
            return Ok(tree_read(reader, hasher));
        }
    }
}

fn tree_read(reader: TreeReader, hasher: Sha256Hasher) -> TreeRead {
    let (nar_hash, nar_size) = hasher.finish();
    let (state, oddity) = reader.finish();
    TreeRead { nar_hash, nar_size, state, oddity }
}
