//! Reading a NAR as a stream of events.

use std::io::Read;

use super::{MAGIC, is_file_name, is_target, lossy, padding_len};
use crate::NarError;

/// The longest word of the grammar, `nix-archive-1`.
const WORD_MAX_LEN: usize = MAGIC.len();

/// What an archive may ask for before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarLimits {
    /// Longest entry name, in bytes.
    pub name_len: usize,
    /// Longest symlink target, in bytes.
    pub target_len: usize,
    /// Most directories inside each other.
    pub depth: usize,
    /// Largest file, in bytes.
    pub file_size: u64,
}

/// What Linux can hold: names of 255 bytes, targets of 4095, as many directories inside each other
/// as one path can name; and files of 1 TiB.
impl Default for NarLimits {
    fn default() -> Self {
        Self { name_len: 255, target_len: 4095, depth: 2048, file_size: 1 << 40 }
    }
}

/// One step through an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NarEvent {
    /// A node begins.
    Node {
        /// Its name in the open directory; none for the root.
        name: Option<Vec<u8>>,
        /// What it is.
        node: NarNode,
    },
    /// The directory that was opened last is complete.
    EndDirectory,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NarNode {
    /// A file, whose contents [`NarReader::read_contents`] gives.
    File {
        /// Whether its owner may execute it.
        executable: bool,
        /// Its size in bytes.
        size: u64,
    },
    /// A symlink.
    Symlink {
        /// Where it points to: neither empty nor with a NUL byte, otherwise anything.
        target: Vec<u8>,
    },
    /// A directory; its entries follow up to [`NarEvent::EndDirectory`].
    Directory,
}

/// Reads a NAR without holding more of it than the names of the open directories.
///
/// It accepts what `nix-store --dump` writes and nothing else: every archive that is read to its
/// end is the only archive of its tree. Words are read one by one: give it a buffered reader.
///
/// ```
/// use hoist_nix::{NarEvent, NarLimits, NarNode, NarReader, NarWriter};
///
/// let mut nar = NarWriter::new(Vec::new())?;
/// nar.file(false, 2, &mut &b"1\n"[..])?;
/// let bytes = nar.finish();
///
/// let mut reader = NarReader::new(bytes.as_slice(), NarLimits::default())?;
/// let node = NarNode::File { executable: false, size: 2 };
/// assert_eq!(reader.next_event()?, Some(NarEvent::Node { name: None, node }));
/// let mut contents = [0; 8];
/// assert_eq!(reader.read_contents(&mut contents)?, 2);
/// assert_eq!(reader.next_event()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NarReader<R> {
    input: Counted<R>,
    limits: NarLimits,
    /// The last name of each open directory; none yet in a directory that is empty so far.
    open: Vec<Option<Vec<u8>>>,
    state: State,
    /// Whether the input may go on behind the archive.
    embedded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the root.
    Start,
    /// Inside a file.
    Contents { left: u64, size: u64 },
    /// Inside a directory.
    Directory,
    /// Behind the root.
    End,
}

impl<R: Read> NarReader<R> {
    /// Starts reading an archive that is all of `input`.
    ///
    /// # Errors
    ///
    /// [`NarError::Magic`] when `input` does not begin like a NAR.
    pub fn new(input: R, limits: NarLimits) -> Result<Self, NarError> {
        let mut input = Counted { inner: input, offset: 0 };
        match input.word("the start of an archive") {
            Ok(word) if word.as_slice() == MAGIC => {}
            Ok(_) | Err(NarError::Word { .. } | NarError::Padding { .. }) => {
                return Err(NarError::Magic);
            }
            Err(error) => return Err(error),
        }
        Ok(Self { input, limits, open: Vec::new(), state: State::Start, embedded: false })
    }

    /// Starts reading an archive inside a longer stream: it takes not a byte of `input` behind
    /// the archive, and says nothing of what follows there.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn embedded(input: R, limits: NarLimits) -> Result<Self, NarError> {
        Ok(Self { embedded: true, ..Self::new(input, limits)? })
    }

    /// Returns the next step, or `None` when the archive is at its end, and with it the input
    /// unless the archive is [`embedded`](Self::embedded).
    ///
    /// What is left of a file's contents is skipped, its padding checked.
    ///
    /// # Errors
    ///
    /// [`NarError`] naming the place and the rule it breaks; nothing can be read afterwards.
    pub fn next_event(&mut self) -> Result<Option<NarEvent>, NarError> {
        if let State::Contents { .. } = self.state {
            let mut skipped = [0; 4096];
            while self.read_contents(&mut skipped)? > 0 {}
            self.end_node()?;
        }
        match self.state {
            State::Start => {
                self.expect(b"(", "`(` before the root")?;
                self.node(None).map(Some)
            }
            State::Directory => self.entry_or_end().map(Some),
            State::End if self.embedded => Ok(None),
            State::End => self.input.expect_end().map(|()| None),
            State::Contents { .. } => unreachable!("contents were read to their end above"),
        }
    }

    /// Reads from the contents of the file that the last event began; 0 at their end, or where
    /// the last event was no file.
    ///
    /// # Errors
    ///
    /// [`NarError::Truncated`], [`NarError::Padding`] and [`NarError::Read`].
    pub fn read_contents(&mut self, buffer: &mut [u8]) -> Result<usize, NarError> {
        let State::Contents { left, size } = self.state else { return Ok(0) };
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.input.read_some(&mut buffer[..wanted])?;
        let left = left - count as u64;
        self.state = State::Contents { left, size };
        if left == 0 {
            self.input.padding(size)?;
        }
        Ok(count)
    }

    /// Reads a node behind its `(`.
    fn node(&mut self, name: Option<Vec<u8>>) -> Result<NarEvent, NarError> {
        self.expect(b"type", "`type`")?;
        let wanted = "`regular`, `symlink` or `directory`";
        let at = self.input.offset;
        let kind = self.input.word(wanted)?;
        let node = match kind.as_slice() {
            b"regular" => self.file()?,
            b"symlink" => self.symlink()?,
            b"directory" if self.open.len() >= self.limits.depth => {
                return Err(NarError::TooDeep { offset: at, limit: self.limits.depth });
            }
            b"directory" => {
                self.open.push(None);
                self.state = State::Directory;
                NarNode::Directory
            }
            other => return Err(NarError::Word { offset: at, found: lossy(other), wanted }),
        };
        Ok(NarEvent::Node { name, node })
    }

    fn file(&mut self) -> Result<NarNode, NarError> {
        let wanted = "`executable` or `contents`";
        let at = self.input.offset;
        let executable = match self.input.word(wanted)?.as_slice() {
            b"contents" => false,
            b"executable" => {
                self.expect(b"", "an empty string after `executable`")?;
                self.expect(b"contents", "`contents`")?;
                true
            }
            other => return Err(NarError::Word { offset: at, found: lossy(other), wanted }),
        };
        let size = self.input.length("file", self.limits.file_size)?;
        self.state = State::Contents { left: size, size };
        Ok(NarNode::File { executable, size })
    }

    fn symlink(&mut self) -> Result<NarNode, NarError> {
        self.expect(b"target", "`target`")?;
        let offset = self.input.offset;
        let target = self.input.bytes("symlink target", self.limits.target_len)?;
        if !is_target(&target) {
            return Err(NarError::Target { offset });
        }
        self.end_node()?;
        Ok(NarNode::Symlink { target })
    }

    fn entry_or_end(&mut self) -> Result<NarEvent, NarError> {
        let wanted = "`entry` or `)`";
        let at = self.input.offset;
        match self.input.word(wanted)?.as_slice() {
            b"entry" => {}
            b")" => {
                self.open.pop().expect("inside a directory one is open");
                self.end_entry()?;
                return Ok(NarEvent::EndDirectory);
            }
            other => return Err(NarError::Word { offset: at, found: lossy(other), wanted }),
        }
        self.expect(b"(", "`(` of an entry")?;
        self.expect(b"name", "`name`")?;
        let offset = self.input.offset;
        let name = self.input.bytes("entry name", self.limits.name_len)?;
        if !is_file_name(&name) {
            return Err(NarError::Name { offset, name: lossy(&name) });
        }
        let last = self.open.last_mut().expect("inside a directory one is open");
        if let Some(previous) = last.as_deref()
            && name.as_slice() <= previous
        {
            let (name, previous) = (lossy(&name), lossy(previous));
            return Err(NarError::Order { offset, name, previous });
        }
        *last = Some(name.clone());
        self.expect(b"node", "`node`")?;
        self.expect(b"(", "`(` of a node")?;
        self.node(Some(name))
    }

    fn end_node(&mut self) -> Result<(), NarError> {
        self.expect(b")", "`)` of a node")?;
        self.end_entry()
    }

    /// Behind a node: the end of the entry around it, or of the archive.
    fn end_entry(&mut self) -> Result<(), NarError> {
        if self.open.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.state = State::Directory;
        self.expect(b")", "`)` of an entry")
    }

    fn expect(&mut self, word: &[u8], wanted: &'static str) -> Result<(), NarError> {
        let offset = self.input.offset;
        let found = self.input.word(wanted)?;
        if found.as_slice() == word {
            return Ok(());
        }
        Err(NarError::Word { offset, found: lossy(found.as_slice()), wanted })
    }
}

/// The input and how far it was read.
#[derive(Debug)]
struct Counted<R> {
    inner: R,
    offset: u64,
}

/// A word of the grammar, on the stack.
struct Word {
    bytes: [u8; WORD_MAX_LEN],
    len: usize,
}

impl Word {
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<R: Read> Counted<R> {
    /// Reads a string that can be a word of the grammar.
    fn word(&mut self, wanted: &'static str) -> Result<Word, NarError> {
        let offset = self.offset;
        let len = self.number()?;
        let fitting = usize::try_from(len).ok().filter(|&len| len <= WORD_MAX_LEN);
        let Some(fitting) = fitting else {
            let found = format!("a string of {len} bytes");
            return Err(NarError::Word { offset, found, wanted });
        };
        let mut word = Word { bytes: [0; WORD_MAX_LEN], len: fitting };
        self.read_all(&mut word.bytes[..fitting])?;
        self.padding(len)?;
        Ok(word)
    }

    /// Reads a string of at most `limit` bytes.
    fn bytes(&mut self, what: &'static str, limit: usize) -> Result<Vec<u8>, NarError> {
        let len = self.length(what, limit as u64)?;
        let mut bytes = vec![0; usize::try_from(len).expect("within a limit that is a usize")];
        self.read_all(&mut bytes)?;
        self.padding(len)?;
        Ok(bytes)
    }

    fn length(&mut self, what: &'static str, limit: u64) -> Result<u64, NarError> {
        let offset = self.offset;
        let found = self.number()?;
        if found > limit {
            return Err(NarError::TooLong { offset, what, found, limit });
        }
        Ok(found)
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.read_all(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn padding(&mut self, len: u64) -> Result<(), NarError> {
        let offset = self.offset;
        let mut bytes = [0; 7];
        let padding = &mut bytes[..padding_len(len)];
        self.read_all(padding)?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(NarError::Padding { offset });
        }
        Ok(())
    }

    fn expect_end(&mut self) -> Result<(), NarError> {
        match self.read_up_to(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(NarError::Trailing { offset: self.offset - 1 }),
            Err(error) => Err(error),
        }
    }

    fn read_all(&mut self, mut buffer: &mut [u8]) -> Result<(), NarError> {
        while !buffer.is_empty() {
            let count = self.read_some(buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    /// Reads at least one byte.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, NarError> {
        match self.read_up_to(buffer)? {
            0 => Err(NarError::Truncated { offset: self.offset }),
            count => Ok(count),
        }
    }

    fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize, NarError> {
        loop {
            match self.inner.read(buffer) {
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NarError::Read { offset: self.offset, source }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NarWriter;

    fn read_to_end(bytes: &[u8], limits: NarLimits) -> Result<usize, NarError> {
        let mut reader = NarReader::new(bytes, limits)?;
        let mut events = 0;
        while reader.next_event()?.is_some() {
            events += 1;
        }
        Ok(events)
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        for level in 0..depth {
            nar.directory().unwrap();
            if level + 1 < depth {
                nar.entry(b"d").unwrap();
            }
        }
        for _ in 0..depth {
            nar.end_directory().unwrap();
        }
        nar.finish()
    }

    #[test]
    fn refuses_directories_deeper_than_the_limit() {
        let limits = NarLimits { depth: 3, ..NarLimits::default() };
        assert_eq!(read_to_end(&nested(3), limits).unwrap(), 6);
        let refusal = read_to_end(&nested(4), limits).unwrap_err();
        assert!(matches!(refusal, NarError::TooDeep { limit: 3, .. }), "{refusal}");
    }

    #[test]
    fn refuses_a_file_larger_than_the_limit_before_reading_it() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(false, 9, &mut &b"123456789"[..]).unwrap();
        let limits = NarLimits { file_size: 8, ..NarLimits::default() };
        let refusal = read_to_end(&nar.finish(), limits).unwrap_err();
        assert_eq!(refusal.to_string(), "file at byte 88 is 9 bytes long, limit 8");
    }

    #[test]
    fn an_embedded_archive_leaves_what_follows_it() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(false, 3, &mut &b"abc"[..]).unwrap();
        let mut bytes = nar.finish();
        bytes.extend_from_slice(b"more");

        let mut input = bytes.as_slice();
        let mut reader = NarReader::embedded(&mut input, NarLimits::default()).unwrap();
        while reader.next_event().unwrap().is_some() {}
        assert_eq!(reader.next_event().unwrap(), None);
        assert_eq!(input, b"more");

        let refusal = read_to_end(&bytes, NarLimits::default()).unwrap_err();
        assert!(matches!(refusal, NarError::Trailing { .. }), "{refusal}");
    }

    #[test]
    fn the_contents_need_not_be_read() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(true, 9000, &mut std::io::repeat(7)).unwrap();
        let bytes = nar.finish();
        assert_eq!(read_to_end(&bytes, NarLimits::default()).unwrap(), 1);
        let mut reader = NarReader::new(bytes.as_slice(), NarLimits::default()).unwrap();
        reader.next_event().unwrap();
        reader.read_contents(&mut [0; 5]).unwrap();
        assert_eq!(reader.next_event().unwrap(), None);
    }
}
