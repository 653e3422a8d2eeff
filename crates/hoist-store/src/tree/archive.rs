//! Trees as archives.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use hoist_nix::{NarError, NarEvent, NarLimits, NarNode, NarReader, NarWriteError};
use hoist_nix::{Sha256Hash, Sha256Hasher};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::copy::read_tree;
use super::nodes::Style;
use super::piece::{Bytes, Piece};
use super::pipeline::{Link, Source, Worker, drain, feed, run, worker};
use super::read::{TreeReader, write_error};
use super::write::TreeWriter;
use super::{DEPTH_LIMIT, remove_tree, sync_dir};
use crate::{FileError, TreeError};

/// Writes the tree at `path` to `out` as a NAR, the bytes of `nix-store --dump PATH`.
///
/// Of the modes only the owner's executable bit is kept; a symlink is kept as one, at `path`
/// too. `out` gets large pieces and needs no buffer; the tree is read ahead meanwhile.
///
/// # Errors
///
/// [`TreeError`] naming the file. `out` then holds the start of an archive.
pub fn dump(path: &Path, out: &mut impl Write) -> Result<(), TreeError> {
    let mut reader = TreeReader::new(path)?;
    let failed = |error| write_error(path)(NarWriteError::Write(error));
    drain(&mut reader, |piece| out.write_all(piece.bytes.as_slice()).map_err(failed), path)?;
    out.flush().map_err(failed)
}

/// Returns the SHA-256 and the size in bytes of the NAR of the tree at `path`.
///
/// # Errors
///
/// [`TreeError`] naming the file.
pub fn hash_tree(path: &Path) -> Result<(Sha256Hash, u64), TreeError> {
    let read = read_tree(path)?;
    Ok((read.nar_hash, read.nar_size))
}

/// Restores the NAR that is all of `nar` to `dest`, where nothing may be yet.
///
/// Files get the user's usual modes. The tree is made in a hidden folder beside `dest`, written to
/// disk and moved: `dest` is whole or not there. `nar` need not be buffered.
///
/// # Errors
///
/// [`TreeError::Read`] when `nar` is not a NAR within hoist's limits, [`TreeError::File`] when
/// `dest` exists or cannot be written.
pub fn restore(mut nar: impl Read, dest: &Path) -> Result<(), TreeError> {
    let parent = match dest.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let beside = tempfile::Builder::new().prefix(".hoist-restore-").tempdir_in(parent);
    let beside = beside.map_err(FileError::at("restore into", parent))?;
    let root_name = OsStr::new("tree");
    let root = beside.path().join(root_name);
    let tree = TreeWriter::new(beside.path(), root_name, Style::Plain).map_err(TreeError::from);
    let restored = tree.and_then(|tree| unpack(&mut nar, tree, None, dest)).and_then(|()| {
        renameat_with(CWD, &root, CWD, dest, RenameFlags::NOREPLACE)
            .map_err(FileError::at("restore to", dest))?;
        Ok(sync_dir(parent)?)
    });
    if restored.is_err() {
        // What is left beside is of no use to anyone; the first error is the one to tell.
        let _ = remove_tree(&root);
    }
    restored
}

/// Unpacks the NAR that is all of `nar` to `name` in the directory at `parent`, canonical but for
/// the root's mode, all of it on disk. Returns the SHA-256 and the size in bytes of what was read.
///
/// `nar` need not be buffered. Behind the move to its place, the root wants to be [sealed]. After
/// an error a part of the tree may lie there, which is the caller's to remove.
///
/// [sealed]: super::seal
///
/// # Errors
///
/// [`TreeError::Read`] when `nar` is not a NAR within hoist's limits or cannot be read,
/// [`TreeError::File`] when the tree cannot be written.
pub(crate) fn unpack_canonical(
    nar: &mut dyn Read,
    parent: &Path,
    name: &OsStr,
) -> Result<(Sha256Hash, u64), TreeError> {
    let tree = TreeWriter::new(parent, name, Style::Canonical)?;
    let mut hasher = Sha256Hasher::new();
    unpack(nar, tree, Some(&mut hasher), &parent.join(name))?;
    Ok(hasher.finish())
}

/// Writes the tree of an archive, which is read here, hashed on one thread and written on another;
/// without threads when it fits into one piece.
fn unpack(
    nar: &mut dyn Read,
    tree: TreeWriter,
    hasher: Option<&mut Sha256Hasher>,
    dest: &Path,
) -> Result<(), TreeError> {
    let mut source = NarSource { nar, dest, offset: 0 };
    let mut first = Piece::default();
    if !source.fill(&mut first)? {
        if let Some(hasher) = hasher {
            hasher.update(first.bytes.as_slice());
        }
        return write_nodes(first.bytes.as_slice(), tree, dest);
    }
    let mut workers: Vec<Worker<'_>> = Vec::new();
    workers.extend(hasher.map(|hasher| worker(hasher)));
    workers.push(Box::new(|link| {
        write_nodes(PieceReader { link, piece: Piece::default(), taken: 0 }, tree, dest)
    }));
    run(workers, dest, |link| feed(&mut source, first, &link))
}

fn write_nodes(nar: impl Read, mut tree: TreeWriter, dest: &Path) -> Result<(), TreeError> {
    let read_error = |source| TreeError::Read { path: dest.to_owned(), source };
    let limits = NarLimits { depth: DEPTH_LIMIT, ..NarLimits::default() };
    let mut nar = NarReader::new(nar, limits).map_err(read_error)?;
    let mut chunk = Bytes::default();
    while let Some(event) = nar.next_event().map_err(read_error)? {
        let NarEvent::Node { name, node } = event else {
            tree.end_directory()?;
            continue;
        };
        match node {
            NarNode::Directory => tree.directory(name.as_deref())?,
            NarNode::Symlink { target } => tree.symlink(name.as_deref(), &target)?,
            NarNode::File { executable, size } => {
                tree.file(name.as_deref(), executable, size)?;
                loop {
                    chunk.clear();
                    while chunk
                        .fill_with(usize::MAX, |room| nar.read_contents(room))
                        .map_err(read_error)?
                        > 0
                    {}
                    if chunk.len() == 0 {
                        break;
                    }
                    tree.contents(chunk.as_slice())?;
                }
                tree.end_file()?;
            }
        }
    }
    Ok(tree.finish()?)
}

/// An archive that comes from elsewhere, in pieces of which nothing else is known.
struct NarSource<'a> {
    nar: &'a mut dyn Read,
    /// What it is to be, for messages.
    dest: &'a Path,
    offset: u64,
}

impl Source for NarSource<'_> {
    fn fill(&mut self, piece: &mut Piece) -> Result<bool, TreeError> {
        piece.clear();
        while piece.bytes.room() > 0 {
            match piece.bytes.fill_with(usize::MAX, |room| self.nar.read(room)) {
                Ok(0) => return Ok(false),
                Ok(count) => self.offset += count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    let source = NarError::Read { offset: self.offset, source };
                    return Err(TreeError::Read { path: self.dest.to_owned(), source });
                }
            }
        }
        Ok(true)
    }
}

/// The bytes of the pieces that come along.
struct PieceReader {
    link: Link,
    piece: Piece,
    taken: usize,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.piece.bytes.len() {
            let Some(next) = self.link.take() else { return Ok(0) };
            let empty = std::mem::replace(&mut self.piece, next);
            self.taken = 0;
            if empty.bytes.len() > 0 {
                self.link.pass(empty);
            }
        }
        let count = (&self.piece.bytes.as_slice()[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}
