//! Copying a tree in the form of a store path while hashing it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use hoist_nix::{NarWriter, Sha256Hash, Sha256Hasher};

use super::archive::write_error;
use super::walk::{Node, Step, Walk};
use super::write::{NewFile, Style, TreeWriter};
use crate::{FileError, TreeError};

/// Copies the tree at `source` to `name` in the directory at `parent`, canonical but for the
/// root's mode, all of it on disk. Returns the SHA-256 and the size of its NAR.
///
/// Every byte is read once: what was hashed is what was written.
pub(crate) fn copy_canonical(
    source: &Path,
    parent: &Path,
    name: &OsStr,
) -> Result<(Sha256Hash, u64), TreeError> {
    let mut walk = Walk::new(source);
    let mut tree = TreeWriter::new(parent, name, Style::Canonical)?;
    let mut nar = NarWriter::new(Sha256Hasher::new()).map_err(write_error(source))?;
    while let Some(step) = walk.next()? {
        let Step::Node { name, node } = step else {
            nar.end_directory().map_err(write_error(walk.at()))?;
            tree.end_directory()?;
            continue;
        };
        let name = name.as_deref();
        if let Some(name) = name {
            nar.entry(name).map_err(write_error(walk.at()))?;
        }
        match node {
            Node::Directory => {
                nar.directory().map_err(write_error(walk.at()))?;
                tree.directory(name)?;
            }
            Node::Symlink { target } => {
                nar.symlink(&target).map_err(write_error(walk.at()))?;
                tree.symlink(name, &target)?;
            }
            Node::File { file, executable, size } => {
                let new = tree.file(name, executable)?;
                let mut contents = Tee { from: file, to: &new, failure: None };
                let hashed = nar.file(executable, size, &mut contents);
                if let Some(source) = contents.failure {
                    return Err(FileError::at("write", &new.path)(source).into());
                }
                hashed.map_err(write_error(walk.at()))?;
                tree.end_file(&new)?;
            }
        }
    }
    tree.finish()?;
    Ok(nar.finish().finish())
}

/// A file whose bytes are copied as they are read.
struct Tee<'a> {
    from: File,
    to: &'a NewFile,
    /// Why the copy could not be written; the reader only learns that it failed.
    failure: Option<io::Error>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if let Err(failure) = (&self.to.file).write_all(&buffer[..count]) {
            self.failure = Some(failure);
            return Err(io::Error::other("the copy could not be written"));
        }
        Ok(count)
    }
}
