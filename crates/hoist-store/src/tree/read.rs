//! Reading a tree as pieces of its archive.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::mem;
use std::path::Path;

use hoist_nix::{NarWriteError, NarWriter};
use rustix::fs::{Mode, Stat, fstat};

use super::piece::{Bytes, NODE_MAX_LEN, Piece, PieceStep};
use super::pipeline::Source;
use super::state::{Oddity, StateHasher, TreeState, is_same};
use super::walk::{Step, Walk};
use crate::{FileError, TreeError};

/// Reads a tree in the order of its archive, ready to be stopped wherever a piece is full.
#[derive(Debug)]
pub(super) struct TreeReader {
    walk: Walk,
    /// Writes into the piece that is being filled.
    nar: NarWriter<Bytes>,
    /// The file that is being read.
    file: Option<OpenFile>,
    state: StateHasher,
    oddity: Option<Oddity>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    left: u64,
    /// As it was when it was opened.
    stat: Stat,
}

impl TreeReader {
    pub(super) fn new(root: &Path) -> Result<Self, TreeError> {
        Self::with(Bytes::default(), root)
    }

    /// For small pieces.
    pub(super) fn small(root: &Path) -> Result<Self, TreeError> {
        Self::with(Bytes::small(), root)
    }

    fn with(bytes: Bytes, root: &Path) -> Result<Self, TreeError> {
        let nar = NarWriter::new(bytes).map_err(write_error(root))?;
        Ok(Self {
            walk: Walk::new(root)?,
            nar,
            file: None,
            state: StateHasher::new(),
            oddity: None,
        })
    }

    /// What the tree looked like while it was read, after all of it was, and the first node that is
    /// not as in a store.
    pub(super) fn finish(self) -> (TreeState, Option<Oddity>) {
        (self.state.finish(), self.oddity)
    }

    /// Goes on until the piece is full. Returns whether there is more.
    fn fill_piece(&mut self, piece: &mut Piece) -> Result<bool, TreeError> {
        loop {
            if let Some(mut open) = self.file.take() {
                if !self.read_contents(&mut open, piece)? {
                    self.file = Some(open);
                    return Ok(true);
                }
                self.end_file(&open, piece)?;
            }
            if self.nar.get_mut().room() < NODE_MAX_LEN {
                return Ok(true);
            }
            let Some(step) = self.walk.next()? else { return Ok(false) };
            self.step(&step, piece)?;
        }
    }

    fn step(&mut self, step: &Step, piece: &mut Piece) -> Result<(), TreeError> {
        let at = self.walk.at();
        if matches!(step, Step::EndDirectory) {
            self.state.end_directory();
            piece.steps.push(PieceStep::EndDirectory);
            return self.nar.end_directory().map_err(write_error(at));
        }
        let name = self.walk.name();
        if let Some(name) = name {
            self.nar.entry(name).map_err(write_error(at))?;
        }
        let text = name.map(|name| piece.add_text(name));
        let (step, stat, written) = match step {
            Step::File => {
                let (file, stat) = self.walk.open_file()?;
                let executable = Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR);
                let left = u64::try_from(stat.st_size).unwrap_or(0);
                self.file = Some(OpenFile { file, left, stat });
                let step = PieceStep::File { name: text, executable, size: left };
                (step, stat, self.nar.begin_file(executable, left))
            }
            Step::Symlink => {
                let (stat, target) = (self.walk.stat()?, self.walk.read_link()?);
                let step = PieceStep::Symlink { name: text, target: piece.add_text(&target) };
                (step, stat, self.nar.symlink(&target))
            }
            Step::Directory(stat) => {
                (PieceStep::Directory { name: text }, *stat, self.nar.directory())
            }
            Step::EndDirectory => unreachable!("it has no name and was handled above"),
        };
        piece.steps.push(step);
        self.state.node(name, &stat);
        if self.oddity.is_none() {
            self.oddity = Oddity::of(at, &stat);
        }
        written.map_err(write_error(at))
    }

    /// Reads on in a file. Returns whether it is at its end, otherwise the piece is full.
    fn read_contents(&mut self, open: &mut OpenFile, piece: &mut Piece) -> Result<bool, TreeError> {
        let bytes = self.nar.get_mut();
        let is_begun = !is_at_start(open);
        // What does not fit begins a piece, so that all but its last write is of whole pages.
        if !is_begun && open.left > bytes.room() as u64 && bytes.is_begun() {
            return Ok(false);
        }
        let start = bytes.len();
        while open.left > 0 && bytes.room() > 0 {
            let wanted = usize::try_from(open.left).unwrap_or(usize::MAX);
            match bytes.fill_with(wanted, |room| open.file.read(room)) {
                Ok(0) => return Err(TreeError::Changed { path: self.walk.at().to_owned() }),
                Ok(count) => open.left -= count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::at("read", self.walk.at())(error).into()),
            }
        }
        if bytes.len() > start {
            piece.steps.push(PieceStep::Contents(start..bytes.len()));
        }
        Ok(open.left == 0)
    }

    fn end_file(&mut self, open: &OpenFile, piece: &mut Piece) -> Result<(), TreeError> {
        let after = fstat(&open.file).map_err(FileError::at("read", self.walk.at()))?;
        if !is_same(&open.stat, &after) {
            self.state.set_unsteady();
        }
        piece.steps.push(PieceStep::EndFile);
        self.nar.end_file().map_err(write_error(self.walk.at()))
    }
}

impl Source for TreeReader {
    fn fill(&mut self, piece: &mut Piece) -> Result<bool, TreeError> {
        piece.clear();
        let more = self.fill_piece(piece);
        // The piece gets what was filled, and its memory is filled next.
        mem::swap(self.nar.get_mut(), &mut piece.bytes);
        self.nar.get_mut().clear();
        more
    }
}

fn is_at_start(open: &OpenFile) -> bool {
    u64::try_from(open.stat.st_size).is_ok_and(|size| size == open.left)
}

/// Makes an error of what kept a node from being archived, for `map_err`.
pub(super) fn write_error(path: &Path) -> impl FnOnce(NarWriteError) -> TreeError {
    move |source| TreeError::Write { path: path.to_owned(), source }
}
