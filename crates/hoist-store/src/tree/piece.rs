//! Pieces of an archive, each with what it holds.

use std::io::{self, Write};
use std::ops::Range;

/// How long a piece is, but for the last node's words: long enough that a hand-over between two
/// threads costs nothing beside hashing it, short enough that a few of them are no memory.
pub(super) const PIECE_LEN: usize = 2 * 1024 * 1024;

/// The same where one thread fills the piece and hashes it: two of them fit into the cache that a
/// processor has for itself, so that no byte comes from memory twice.
const SMALL_PIECE_LEN: usize = 256 * 1024;

/// Room for the words, the name and the target of one node.
pub(super) const NODE_MAX_LEN: usize = 8 * 1024;

const PAGE_LEN: usize = 4096;

/// A piece of an archive: its bytes, and which of them are what.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// In the order of the archive; a file's contents may go on in the next piece.
    pub(super) steps: Vec<PieceStep>,
    /// Names and targets, which the steps refer to.
    pub(super) texts: Vec<u8>,
}

/// What stands in a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PieceStep {
    /// A file begins.
    File {
        name: Option<Text>,
        executable: bool,
        size: u64,
    },
    /// A part of the file's contents: these bytes of the piece.
    Contents(Range<usize>),
    /// The file is complete.
    EndFile,
    Symlink {
        name: Option<Text>,
        target: Text,
    },
    Directory {
        name: Option<Text>,
    },
    EndDirectory,
}

/// A name or a target: where it is in the texts of its piece.
pub(super) type Text = Range<usize>;

impl Piece {
    /// One of little memory.
    pub(super) fn small() -> Self {
        Self { bytes: Bytes::small(), ..Self::default() }
    }

    /// Empties the piece and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.steps.clear();
        self.texts.clear();
    }

    /// What a step refers to.
    pub(super) fn text(&self, text: &Text) -> &[u8] {
        &self.texts[text.clone()]
    }

    /// The name of a node; none for the root.
    pub(super) fn name(&self, name: Option<&Text>) -> Option<&[u8]> {
        name.map(|name| self.text(name))
    }

    pub(super) fn add_text(&mut self, text: &[u8]) -> Text {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }
}

/// Bytes that are filled from the front, which lies at the start of a page of memory. The memory
/// stays as it was when they are cleared, so that files are read into it without writing zeros
/// first.
#[derive(Debug)]
pub(super) struct Bytes {
    memory: Vec<u8>,
    /// How many of them are contents at most.
    len_max: usize,
    /// Where the first byte is.
    start: usize,
    /// Behind the last one.
    end: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { memory: Vec::new(), len_max: PIECE_LEN, start: 0, end: 0 }
    }
}

impl Bytes {
    /// Those of a small piece.
    pub(super) fn small() -> Self {
        Self { len_max: SMALL_PIECE_LEN, ..Self::default() }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn clear(&mut self) {
        self.end = self.start;
    }

    /// How many bytes of contents still fit into the piece.
    pub(super) fn room(&self) -> usize {
        self.len_max.saturating_sub(self.len())
    }

    /// Whether there is more in it than where a piece begins.
    pub(super) fn is_begun(&self) -> bool {
        self.room() < self.len_max
    }

    /// Lets `read` fill at most `max` bytes, and no more than fit into the piece. Returns how many
    /// it says it did.
    pub(super) fn fill_with<E>(
        &mut self,
        max: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let max = max.min(self.room());
        let count = read(self.next(max))?;
        self.end += count;
        Ok(count)
    }

    /// The place of the next `len` bytes.
    fn next(&mut self, len: usize) -> &mut [u8] {
        if self.memory.is_empty() {
            // All at once: the system gives pages where something is written.
            self.memory = vec![0; PAGE_LEN + self.len_max + NODE_MAX_LEN];
            self.start = self.memory.as_ptr().align_offset(PAGE_LEN).min(PAGE_LEN);
            self.end = self.start;
        }
        if self.end + len > self.memory.len() {
            self.memory.resize(self.end + len, 0);
        }
        &mut self.memory[self.end..self.end + len]
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.next(bytes.len()).copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
