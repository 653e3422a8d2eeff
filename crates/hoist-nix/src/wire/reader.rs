//! Reading the words of which messages are made.

use std::io::{self, Read};

use super::{WireError, padding_len};
use crate::{Sha256Hash, StoreDir, StorePath, StorePathError};

/// What a peer may ask to be held before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireLimits {
    /// Longest string, in bytes.
    pub string_len: u64,
    /// Most elements of a list.
    pub list_len: u64,
    /// Most bytes of one message, archives and frames apart.
    pub message_len: u64,
}

/// Strings of 1 MiB, lists of 1 Mi elements, messages of 64 MiB: a list of 700,000 paths.
impl Default for WireLimits {
    fn default() -> Self {
        Self { string_len: 1 << 20, list_len: 1 << 20, message_len: 1 << 26 }
    }
}

/// Reads the words of which messages are made.
///
/// It takes from the input what the words take and no more. As a [`Read`] it hands on the raw
/// bytes behind them, such as an archive's. Words are small: give it a buffered reader.
#[derive(Debug)]
pub struct WireReader<R> {
    input: R,
    dir: StoreDir,
    limits: WireLimits,
    offset: u64,
    /// What the current message may still take.
    left: u64,
}

impl<R: Read> WireReader<R> {
    /// Reads from `input`, where store paths are below `dir`.
    pub fn new(input: R, dir: StoreDir) -> Self {
        Self::with_limits(input, dir, WireLimits::default())
    }

    /// Reads with limits other than the default ones.
    pub fn with_limits(input: R, dir: StoreDir, limits: WireLimits) -> Self {
        Self { input, dir, limits, offset: 0, left: limits.message_len }
    }

    /// The reader below.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// How many bytes were read, raw ones included.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// From here on a new message is counted.
    pub fn begin_message(&mut self) {
        self.left = self.limits.message_len;
    }

    /// Begins a message with a number; `None` where the connection ends before it.
    ///
    /// # Errors
    ///
    /// [`WireError::Read`], and [`WireError::Ended`] where it ends inside the number.
    pub fn first_number(&mut self) -> Result<Option<u64>, WireError> {
        self.begin_message();
        let mut bytes = [0; 8];
        if self.read_some(&mut bytes[..1])? == 0 {
            return Ok(None);
        }
        self.fill(&mut bytes[1..])?;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// [`WireError::Read`], [`WireError::Ended`], [`WireError::TooMuch`].
    pub fn number(&mut self) -> Result<u64, WireError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads a number that is 0 or 1.
    ///
    /// # Errors
    ///
    /// [`WireError::Number`], and those of [`number`](Self::number).
    pub fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        let offset = self.offset;
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(WireError::Number { offset, what, found, wanted: "0 or 1" }),
        }
    }

    /// Reads how many elements a list has.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`], and those of [`number`](Self::number).
    pub fn count(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.length(what, self.limits.list_len)
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`], [`WireError::Padding`], and those of [`number`](Self::number).
    pub fn string(&mut self, what: &'static str) -> Result<Vec<u8>, WireError> {
        let len = self.length(what, self.limits.string_len.min(self.left))?;
        let mut bytes = vec![0; usize::try_from(len).expect("no longer than the limit")];
        self.fill(&mut bytes)?;
        let offset = self.offset;
        let mut padding = [0; 8];
        let padding = &mut padding[..padding_len(len)];
        self.fill(padding)?;
        if padding.iter().all(|&byte| byte == 0) {
            Ok(bytes)
        } else {
            Err(WireError::Padding { offset })
        }
    }

    /// Reads a string that is UTF-8.
    ///
    /// # Errors
    ///
    /// [`WireError::Text`], and those of [`string`](Self::string).
    pub fn text(&mut self, what: &'static str) -> Result<String, WireError> {
        let offset = self.offset;
        String::from_utf8(self.string(what)?).map_err(|_| WireError::Text { offset, what })
    }

    /// Reads a text, of which an empty one means none.
    ///
    /// # Errors
    ///
    /// Those of [`text`](Self::text).
    pub fn optional_text(&mut self, what: &'static str) -> Result<Option<String>, WireError> {
        Ok(Some(self.text(what)?).filter(|text| !text.is_empty()))
    }

    /// Reads a list of texts.
    ///
    /// # Errors
    ///
    /// Those of [`count`](Self::count) and [`text`](Self::text).
    pub fn texts(&mut self, what: &'static str) -> Result<Vec<String>, WireError> {
        self.list(what, |reader| reader.text(what))
    }

    /// Reads an absolute store path.
    ///
    /// # Errors
    ///
    /// [`WireError::StorePath`], and those of [`text`](Self::text).
    pub fn path(&mut self, what: &'static str) -> Result<StorePath, WireError> {
        let offset = self.offset;
        let text = self.text(what)?;
        self.dir.parse_path(&text).map_err(Self::wrong_path(offset, what))
    }

    /// Reads an absolute store path, of which an empty one means none.
    ///
    /// # Errors
    ///
    /// Those of [`path`](Self::path).
    pub fn optional_path(&mut self, what: &'static str) -> Result<Option<StorePath>, WireError> {
        let offset = self.offset;
        let Some(text) = self.optional_text(what)? else { return Ok(None) };
        self.dir.parse_path(&text).map(Some).map_err(Self::wrong_path(offset, what))
    }

    /// Reads a list of absolute store paths, in the order in which they come.
    ///
    /// # Errors
    ///
    /// Those of [`count`](Self::count) and [`path`](Self::path).
    pub fn paths(&mut self, what: &'static str) -> Result<Vec<StorePath>, WireError> {
        self.list(what, |reader| reader.path(what))
    }

    /// Reads a SHA-256 as 64 lower-case digits of base16.
    ///
    /// # Errors
    ///
    /// [`WireError::Hash`], and those of [`text`](Self::text).
    pub fn sha256(&mut self, what: &'static str) -> Result<Sha256Hash, WireError> {
        let offset = self.offset;
        let text = self.text(what)?;
        let wrong = |source| WireError::Hash { offset, what, source };
        let hash = Sha256Hash::parse(&text).map_err(wrong)?;
        if hash.base16() == text {
            return Ok(hash);
        }
        let found = text.chars().count();
        let wanted = "64 lower-case digits of base16".to_owned();
        Err(wrong(crate::HashError::Length { text, found, wanted }))
    }

    /// Reads a list of anything.
    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.count(what)?;
        // Grown as they come: the count is only a claim.
        (0..count).map(|_| element(self)).collect::<Result<_, _>>()
    }

    /// Where store paths are below.
    pub(super) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    pub(super) fn wrong_path(
        offset: u64,
        what: &'static str,
    ) -> impl FnOnce(StorePathError) -> WireError {
        move |source| WireError::StorePath { offset, what, source }
    }

    fn length(&mut self, what: &'static str, limit: u64) -> Result<u64, WireError> {
        let offset = self.offset;
        match self.number()? {
            found if found > limit => Err(WireError::TooLong { offset, what, found, limit }),
            found => Ok(found),
        }
    }

    /// Reads bytes of the current message.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), WireError> {
        let limit = self.limits.message_len;
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(WireError::TooMuch { offset: self.offset, limit })?;
        let mut filled = 0;
        while filled < bytes.len() {
            match self.read_some(&mut bytes[filled..])? {
                0 => return Err(WireError::Ended { offset: self.offset }),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn read_some(&mut self, bytes: &mut [u8]) -> Result<usize, WireError> {
        let offset = self.offset;
        self.read_raw(bytes).map_err(|source| WireError::Read { offset, source })
    }

    fn read_raw(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.input.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
            }
        }
    }
}

/// The raw bytes behind the words.
impl<R: Read> Read for WireReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_raw(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> WireReader<&[u8]> {
        WireReader::new(bytes, StoreDir::default())
    }

    #[test]
    fn a_length_that_nothing_backs_is_refused_before_it_is_allocated() {
        let huge = u64::MAX.to_le_bytes();
        assert!(matches!(reader(&huge).string("it"), Err(WireError::TooLong { .. })));
        assert!(matches!(reader(&huge).paths("it"), Err(WireError::TooLong { .. })));
        let within_the_limit = (1_u64 << 20).to_le_bytes();
        assert!(matches!(reader(&within_the_limit).texts("it"), Err(WireError::Ended { .. })));
    }

    #[test]
    fn padding_is_zero() {
        let refusal = reader(b"\x05\0\0\0\0\0\0\0abcde\0\0x").string("it").unwrap_err();
        assert_eq!(refusal.to_string(), "the padding at byte 13 is not zero");
    }

    #[test]
    fn many_small_parts_are_too_much_together() {
        let limits = WireLimits { message_len: 64, ..WireLimits::default() };
        let mut bytes = 9_u64.to_le_bytes().to_vec();
        bytes.extend([0; 72]);
        let mut reader = WireReader::with_limits(bytes.as_slice(), StoreDir::default(), limits);
        assert!(matches!(reader.texts("it"), Err(WireError::TooMuch { limit: 64, .. })));
    }

    #[test]
    fn an_end_between_messages_is_no_error() {
        assert_eq!(reader(b"").first_number().unwrap(), None);
        assert_eq!(reader(&[1, 0, 0, 0, 0, 0, 0, 0]).first_number().unwrap(), Some(1));
        assert!(matches!(reader(&[1]).first_number(), Err(WireError::Ended { offset: 1 })));
    }

    #[test]
    fn a_hash_has_one_text() {
        let hash = Sha256Hash::of(b"");
        let word = |text: &str| {
            let mut writer = super::super::WireWriter::new(Vec::new(), StoreDir::default());
            writer.text(text).unwrap();
            writer.into_inner()
        };
        assert_eq!(reader(&word(&hash.base16())).sha256("it").unwrap(), hash);
        for text in [hash.nix32(), hash.to_string(), hash.base16().to_uppercase()] {
            let refusal = reader(&word(&text)).sha256("it").unwrap_err();
            assert!(matches!(refusal, WireError::Hash { .. }), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0_u8..4, 0..64)) {
            let _ = reader(&bytes).string("it");
            let _ = reader(&bytes).paths("it");
            let _ = reader(&bytes).sha256("it");
        }
    }
}
