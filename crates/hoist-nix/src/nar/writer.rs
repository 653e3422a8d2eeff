//! Writing a NAR, node by node.

use std::io::{Read, Write};

use super::{MAGIC, is_file_name, is_target, lossy, padding_len};
use crate::NarWriteError;

/// How much of a file is read at once; larger pieces do not hash faster.
const CHUNK_LEN: usize = 128 * 1024;

/// Writes a NAR without holding more of it than a piece of one file.
///
/// The first call says what the root is. After [`directory`](Self::directory), each entry is a
/// call of [`entry`](Self::entry) and one of its node; [`end_directory`](Self::end_directory)
/// closes it. Words are written as they come: give it a buffered writer.
///
/// ```
/// use hoist_nix::{NarWriter, Sha256Hasher};
///
/// let mut nar = NarWriter::new(Sha256Hasher::new())?;
/// nar.directory()?;
/// nar.entry(b"a")?;
/// nar.file(false, 2, &mut &b"1\n"[..])?;
/// nar.end_directory()?;
/// let (_, nar_size) = nar.finish().finish();
/// assert_eq!(nar_size, 288);
/// # Ok::<(), hoist_nix::NarWriteError>(())
/// ```
#[derive(Debug)]
pub struct NarWriter<W> {
    out: W,
    /// The last name of each open directory; none yet in a directory that is empty so far.
    open: Vec<Option<Vec<u8>>>,
    state: State,
    /// Words that belong to one call, written together.
    words: Vec<u8>,
    chunk: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The root, or the node of an entry that has a name.
    WantsNode,
    /// Inside a directory, or behind the root.
    WantsEntry,
    /// Inside a file of this size.
    InsideFile(u64),
}

impl<W: Write> NarWriter<W> {
    /// Starts an archive on `out`.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Write`] when `out` fails.
    pub fn new(out: W) -> Result<Self, NarWriteError> {
        let (open, state) = (Vec::new(), State::WantsNode);
        let mut writer = Self { out, open, state, words: Vec::new(), chunk: Vec::new() };
        writer.word(MAGIC);
        writer.flush_words()?;
        Ok(writer)
    }

    /// Writes a file of exactly `size` bytes from `contents`.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::ContentsShort`] when `contents` ends early, [`NarWriteError::Contents`]
    /// and [`NarWriteError::Write`] when either side fails. The archive is then of no use.
    pub fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut impl Read,
    ) -> Result<(), NarWriteError> {
        self.begin_file(executable, size)?;
        self.copy(size, contents)?;
        self.end_file()
    }

    /// Begins a file whose contents the caller writes to [`get_mut`](Self::get_mut), `size` bytes
    /// of them, before it calls [`end_file`](Self::end_file): for contents that are in the right
    /// place already.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Write`] when the writer below fails.
    pub fn begin_file(&mut self, executable: bool, size: u64) -> Result<(), NarWriteError> {
        self.begin_node(b"regular");
        if executable {
            self.word(b"executable");
            self.word(b"");
        }
        self.word(b"contents");
        self.words.extend_from_slice(&size.to_le_bytes());
        self.state = State::InsideFile(size);
        self.flush_words()
    }

    /// Ends the file that was begun last.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Write`] when the writer below fails.
    ///
    /// # Panics
    ///
    /// When no file was begun.
    pub fn end_file(&mut self) -> Result<(), NarWriteError> {
        let State::InsideFile(size) = self.state else { panic!("a file was begun") };
        self.state = State::WantsEntry;
        self.words.resize(padding_len(size), 0);
        self.end_node()
    }

    /// The writer below, for the contents of a file that was begun and for nothing else.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes a symlink.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Target`] when `target` is empty or holds a NUL byte.
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), NarWriteError> {
        if !is_target(target) {
            return Err(NarWriteError::Target);
        }
        self.begin_node(b"symlink");
        self.word(b"target");
        self.word(target);
        self.end_node()
    }

    /// Opens a directory; its entries follow.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Write`] when the writer below fails.
    pub fn directory(&mut self) -> Result<(), NarWriteError> {
        self.begin_node(b"directory");
        self.open.push(None);
        self.flush_words()
    }

    /// Names the next node of the open directory.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Name`] for a name that no file can have, [`NarWriteError::Order`] when it
    /// does not come after the one before it, byte by byte.
    ///
    /// # Panics
    ///
    /// When no directory is open, or the entry before has no node.
    pub fn entry(&mut self, name: &[u8]) -> Result<(), NarWriteError> {
        assert_eq!(self.state, State::WantsEntry, "an entry begins where one is wanted");
        let last = self.open.last_mut().expect("an entry is inside a directory");
        if !is_file_name(name) {
            return Err(NarWriteError::Name { name: lossy(name) });
        }
        if let Some(previous) = last
            && name <= previous.as_slice()
        {
            return Err(NarWriteError::Order { name: lossy(name), previous: lossy(previous) });
        }
        let last = last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(name);
        for word in [b"entry", &b"("[..], b"name", name, b"node"] {
            self.word(word);
        }
        self.state = State::WantsNode;
        self.flush_words()
    }

    /// Closes the directory that was opened last.
    ///
    /// # Errors
    ///
    /// [`NarWriteError::Write`] when the writer below fails.
    ///
    /// # Panics
    ///
    /// When no directory is open, or its last entry has no node.
    pub fn end_directory(&mut self) -> Result<(), NarWriteError> {
        assert_eq!(self.state, State::WantsEntry, "a directory ends behind an entry's node");
        self.open.pop().expect("a directory is open");
        self.end_node()
    }

    /// Ends the archive and returns the writer below, not flushed.
    ///
    /// # Panics
    ///
    /// When the root was not written or is still open.
    #[must_use]
    pub fn finish(self) -> W {
        assert!(self.open.is_empty() && self.state == State::WantsEntry, "the root is complete");
        self.out
    }

    fn begin_node(&mut self, kind: &[u8]) {
        assert_eq!(self.state, State::WantsNode, "a node follows the start or an entry's name");
        self.state = State::WantsEntry;
        for word in [b"(", &b"type"[..], kind] {
            self.word(word);
        }
    }

    /// Closes a node, and the entry around it.
    fn end_node(&mut self) -> Result<(), NarWriteError> {
        self.word(b")");
        if !self.open.is_empty() {
            self.word(b")");
        }
        self.flush_words()
    }

    fn copy(&mut self, size: u64, contents: &mut impl Read) -> Result<(), NarWriteError> {
        self.chunk.resize(CHUNK_LEN, 0);
        let mut left = size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
            match contents.read(&mut self.chunk[..wanted]) {
                Ok(0) => {
                    let found = size - left;
                    return Err(NarWriteError::ContentsShort { declared: size, found });
                }
                Ok(count) => {
                    self.out.write_all(&self.chunk[..count]).map_err(NarWriteError::Write)?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NarWriteError::Contents(error)),
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) {
        let len = word.len() as u64;
        self.words.extend_from_slice(&len.to_le_bytes());
        self.words.extend_from_slice(word);
        self.words.resize(self.words.len() + padding_len(len), 0);
    }

    fn flush_words(&mut self) -> Result<(), NarWriteError> {
        self.out.write_all(&self.words).map_err(NarWriteError::Write)?;
        self.words.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_directory(
        write: impl FnOnce(&mut NarWriter<Vec<u8>>) -> Result<(), NarWriteError>,
    ) -> String {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.directory().unwrap();
        write(&mut nar).unwrap_err().to_string()
    }

    #[test]
    fn refuses_names_out_of_order() {
        let refusal = in_directory(|nar| {
            nar.entry(b"b")?;
            nar.symlink(b"x")?;
            nar.entry(b"a")
        });
        assert_eq!(refusal, "entry `a` does not come after `b`");
    }

    #[test]
    fn refuses_a_name_twice() {
        let refusal = in_directory(|nar| {
            nar.entry(b"a")?;
            nar.symlink(b"x")?;
            nar.entry(b"a")
        });
        assert_eq!(refusal, "entry `a` does not come after `a`");
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            let refusal = in_directory(|nar| nar.entry(name));
            assert!(refusal.ends_with("is not the name of a file"), "{refusal}");
        }
    }

    #[test]
    fn refuses_a_file_that_became_shorter() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        let refusal = nar.file(false, 3, &mut &b"ab"[..]).unwrap_err();
        assert_eq!(refusal.to_string(), "the contents ended after 2 bytes, wanted 3");
    }

    #[test]
    fn contents_may_be_written_past_the_writer() {
        let mut ours = NarWriter::new(Vec::new()).unwrap();
        ours.begin_file(true, 3).unwrap();
        ours.get_mut().extend_from_slice(b"abc");
        ours.end_file().unwrap();
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(true, 3, &mut &b"abc"[..]).unwrap();
        assert_eq!(ours.finish(), nar.finish());
    }

    #[test]
    fn refuses_a_symlink_without_a_target() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        assert!(matches!(nar.symlink(b""), Err(NarWriteError::Target)));
        assert!(matches!(nar.symlink(b"a\0"), Err(NarWriteError::Target)));
    }
}
