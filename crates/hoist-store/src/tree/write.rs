//! Writing a tree into a directory that nobody else touches.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::Mode;

use super::dirs::{DIRECTORY, DirStack};
use super::nodes::{EndedDir, Folder, NewFile, Nodes, Style};
use super::piece::{Piece, PieceStep};
use super::pipeline::Stage;
use crate::{FileError, TreeError};

/// Writes nodes in the order of an archive; with [`finish`](Self::finish) all of them are on disk.
#[derive(Debug)]
pub(super) struct TreeWriter {
    pub(super) nodes: Nodes,
    pub(super) place: Place,
    /// The file that is being written, and how long it is so far.
    file: Option<(NewFile, u64)>,
}

/// Where the next node of a tree goes.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory that holds the root, and those that are open below it.
    dirs: DirStack,
    /// The path of the directory at work, for messages.
    at: PathBuf,
}

impl TreeWriter {
    /// Will write the root as `root_name` into the directory at `parent`.
    pub(super) fn new(parent: &Path, root_name: &OsStr, style: Style) -> Result<Self, FileError> {
        let fd = rustix::fs::open(parent, DIRECTORY, Mode::empty());
        let fd = fd.map_err(FileError::at("open", parent))?;
        let nodes = Nodes::new(Folder { fd: &fd, path: parent }, root_name, style)?;
        let mut dirs = DirStack::new();
        dirs.push(fd).map_err(FileError::at("open", parent))?;
        Ok(Self { nodes, place: Place { dirs, at: parent.to_owned() }, file: None })
    }

    /// Begins a file that will be `size` bytes long; [`contents`](Self::contents) and
    /// [`end_file`](Self::end_file) follow.
    pub(super) fn file(
        &mut self,
        name: Option<&[u8]>,
        executable: bool,
        size: u64,
    ) -> Result<(), FileError> {
        self.file = Some((self.nodes.file(self.place.folder(), name, executable, size)?, 0));
        Ok(())
    }

    /// Writes the next part of the file that was begun.
    pub(super) fn contents(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let (file, len) = self.file.as_mut().expect("a file was begun");
        self.nodes.contents(file, bytes, *len)?;
        *len += bytes.len() as u64;
        Ok(())
    }

    /// Completes the file that was begun.
    pub(super) fn end_file(&mut self) -> Result<(), FileError> {
        let (file, _) = self.file.take().expect("a file was begun");
        self.nodes.end_file(file)
    }

    pub(super) fn symlink(&self, name: Option<&[u8]>, target: &[u8]) -> Result<(), FileError> {
        self.nodes.symlink(self.place.folder(), name, target)
    }

    pub(super) fn directory(&mut self, name: Option<&[u8]>) -> Result<(), FileError> {
        self.place.enter(&self.nodes, name)
    }

    /// Completes the innermost directory.
    pub(super) fn end_directory(&mut self) -> Result<(), FileError> {
        let ended = self.place.leave()?;
        self.nodes.end_directory(ended)
    }

    /// Completes the tree: all of it is on disk afterwards.
    pub(super) fn finish(self) -> Result<(), FileError> {
        self.nodes.finish()
    }
}

impl Place {
    /// The directory at work.
    pub(super) fn folder(&self) -> Folder<'_> {
        Folder { fd: self.dir(), path: &self.at }
    }

    /// The same, to be kept, and where it is.
    pub(super) fn shared_folder(&self) -> (Arc<OwnedFd>, PathBuf) {
        (self.dir().clone(), self.at.clone())
    }

    fn dir(&self) -> &Arc<OwnedFd> {
        self.dirs.top().expect("the root's parent is never left")
    }

    /// Creates a directory, in which the next nodes go.
    pub(super) fn enter(&mut self, nodes: &Nodes, name: Option<&[u8]>) -> Result<(), FileError> {
        let (fd, path) = nodes.directory(self.folder(), name)?;
        self.dirs.push(fd).map_err(FileError::at("open", &path))?;
        self.at = path;
        Ok(())
    }

    /// Leaves the innermost directory.
    pub(super) fn leave(&mut self) -> Result<EndedDir, FileError> {
        let fd = self.dirs.pop().map_err(FileError::at("leave", &self.at))?;
        let path = self.at.clone();
        self.at.pop();
        Ok(EndedDir { fd, path, is_root: self.dirs.len() == 1 })
    }
}

impl Stage for TreeWriter {
    fn take(&mut self, piece: &Piece) -> Result<(), TreeError> {
        for step in &piece.steps {
            match step {
                PieceStep::File { name, executable, size } => {
                    self.file(piece.name(name.as_ref()), *executable, *size)
                }
                PieceStep::Contents(range) => self.contents(&piece.bytes.as_slice()[range.clone()]),
                PieceStep::EndFile => self.end_file(),
                PieceStep::Symlink { name, target } => {
                    self.symlink(piece.name(name.as_ref()), piece.text(target))
                }
                PieceStep::Directory { name } => self.directory(piece.name(name.as_ref())),
                PieceStep::EndDirectory => self.end_directory(),
            }?;
        }
        Ok(())
    }
}
