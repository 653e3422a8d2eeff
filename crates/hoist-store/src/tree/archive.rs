//! Trees as archives.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use hoist_nix::{NarEvent, NarLimits, NarNode, NarReader, NarWriteError, NarWriter};
use hoist_nix::{Sha256Hash, Sha256Hasher};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::walk::{Node, Step, Walk};
use super::write::{Style, TreeWriter};
use super::{DEPTH_LIMIT, remove_tree, sync_dir};
use crate::{FileError, TreeError};

/// Writes the tree at `path` to `out` as a NAR, the bytes of `nix-store --dump PATH`.
///
/// Of the modes only the owner's executable bit is kept; a symlink is kept as one, at `path`
/// too. Give it a buffered writer.
///
/// # Errors
///
/// [`TreeError`] naming the file. `out` then holds the start of an archive.
pub fn dump(path: &Path, out: &mut impl Write) -> Result<(), TreeError> {
    let mut walk = Walk::new(path);
    let mut nar = NarWriter::new(out).map_err(write_error(path))?;
    while let Some(step) = walk.next()? {
        let written = match step {
            Step::EndDirectory => nar.end_directory(),
            Step::Node { name, node } => {
                name.map_or(Ok(()), |name| nar.entry(&name)).and_then(|()| match node {
                    Node::Directory => nar.directory(),
                    Node::Symlink { target } => nar.symlink(&target),
                    Node::File { mut file, executable, size } => {
                        nar.file(executable, size, &mut file)
                    }
                })
            }
        };
        written.map_err(write_error(walk.at()))?;
    }
    nar.finish().flush().map_err(NarWriteError::Write).map_err(write_error(path))
}

/// Returns the SHA-256 and the size in bytes of the NAR of the tree at `path`.
///
/// # Errors
///
/// [`TreeError`] naming the file.
pub fn hash_tree(path: &Path) -> Result<(Sha256Hash, u64), TreeError> {
    let mut hasher = Sha256Hasher::new();
    dump(path, &mut hasher)?;
    Ok(hasher.finish())
}

/// Restores the NAR that is all of `nar` to `dest`, where nothing may be yet.
///
/// Files get the user's usual modes. The tree is made in a hidden folder beside `dest`, written to
/// disk and moved: `dest` is whole or not there. Give it a buffered reader.
///
/// # Errors
///
/// [`TreeError::Read`] when `nar` is not a NAR within hoist's limits, [`TreeError::File`] when
/// `dest` exists or cannot be written.
pub fn restore(nar: impl Read, dest: &Path) -> Result<(), TreeError> {
    let parent = match dest.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let beside = tempfile::Builder::new().prefix(".hoist-restore-").tempdir_in(parent);
    let beside = beside.map_err(FileError::at("restore into", parent))?;
    let root_name = OsStr::new("tree");
    let root = beside.path().join(root_name);
    let restored = TreeWriter::new(beside.path(), root_name, Style::Plain).map_err(TreeError::from);
    let restored = restored.and_then(|tree| write_nodes(nar, tree, dest)).and_then(|()| {
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
    let mut hashed = Hashed { from: nar, hasher: Sha256Hasher::new() };
    let buffered = BufReader::with_capacity(256 * 1024, &mut hashed);
    write_nodes(buffered, tree, &parent.join(name))?;
    Ok(hashed.hasher.finish())
}

/// Hashes what is read through it.
struct Hashed<'a> {
    from: &'a mut dyn Read,
    hasher: Sha256Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn write_nodes(nar: impl Read, mut tree: TreeWriter, dest: &Path) -> Result<(), TreeError> {
    let read_error = |source| TreeError::Read { path: dest.to_owned(), source };
    let limits = NarLimits { depth: DEPTH_LIMIT, ..NarLimits::default() };
    let mut nar = NarReader::new(nar, limits).map_err(read_error)?;
    let mut chunk = vec![0; 64 * 1024];
    while let Some(event) = nar.next_event().map_err(read_error)? {
        let NarEvent::Node { name, node } = event else {
            tree.end_directory()?;
            continue;
        };
        match node {
            NarNode::Directory => tree.directory(name.as_deref())?,
            NarNode::Symlink { target } => tree.symlink(name.as_deref(), &target)?,
            NarNode::File { executable, .. } => {
                let mut new = tree.file(name.as_deref(), executable)?;
                while let count @ 1.. = nar.read_contents(&mut chunk).map_err(read_error)? {
                    let written = new.file.write_all(&chunk[..count]);
                    written.map_err(FileError::at("write", &new.path))?;
                }
                tree.end_file(&new)?;
            }
        }
    }
    Ok(tree.finish()?)
}

/// Makes an error of what kept a node from being archived, for `map_err`.
pub(super) fn write_error(path: &Path) -> impl FnOnce(NarWriteError) -> TreeError {
    move |source| match source {
        NarWriteError::ContentsShort { .. } => TreeError::Changed { path: path.to_owned() },
        NarWriteError::Contents(source) => FileError::at("read", path)(source).into(),
        source => TreeError::Write { path: path.to_owned(), source },
    }
}
