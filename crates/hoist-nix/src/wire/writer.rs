//! Writing the words of which messages are made.

use std::io::{self, Write};

use super::{WireError, padding_len};
use crate::{Sha256Hash, StoreDir, StorePath};

/// Writes the words of which messages are made.
///
/// As a [`Write`] it hands on raw bytes, such as an archive's. Words are small: give it a vector
/// or a buffered writer.
///
/// Every method fails with [`WireError::Write`] when the writer below fails.
#[derive(Debug)]
pub struct WireWriter<W> {
    out: W,
    dir: StoreDir,
}

#[expect(clippy::missing_errors_doc, reason = "said once for the type")]
impl<W: Write> WireWriter<W> {
    /// Writes to `out`, where store paths are below `dir`.
    pub fn new(out: W, dir: StoreDir) -> Self {
        Self { out, dir }
    }

    /// The writer below.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Returns the writer below, not flushed.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Writes a number.
    pub fn number(&mut self, number: u64) -> Result<(), WireError> {
        self.out.write_all(&number.to_le_bytes()).map_err(WireError::Write)
    }

    /// Writes 0 or 1.
    pub fn flag(&mut self, flag: bool) -> Result<(), WireError> {
        self.number(flag.into())
    }

    /// Writes a string.
    pub fn string(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let len = bytes.len() as u64;
        self.number(len)?;
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.write_all(&[0; 8][..padding_len(len)]))
            .map_err(WireError::Write)
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) -> Result<(), WireError> {
        self.string(text.as_bytes())
    }

    /// Writes a text, an empty one for none.
    pub fn optional_text(&mut self, text: Option<&str>) -> Result<(), WireError> {
        self.text(text.unwrap_or_default())
    }

    /// Writes a list of texts.
    pub fn texts(&mut self, texts: &[String]) -> Result<(), WireError> {
        self.list(texts, |writer, text| writer.text(text))
    }

    /// Writes an absolute store path.
    pub fn path(&mut self, path: &StorePath) -> Result<(), WireError> {
        let text = self.dir.print(path);
        self.text(&text)
    }

    /// Writes an absolute store path, an empty text for none.
    pub fn optional_path(&mut self, path: Option<&StorePath>) -> Result<(), WireError> {
        match path {
            Some(path) => self.path(path),
            None => self.text(""),
        }
    }

    /// Writes a list of absolute store paths.
    pub fn paths(&mut self, paths: &[StorePath]) -> Result<(), WireError> {
        self.list(paths, Self::path)
    }

    /// Writes a SHA-256 as 64 lower-case digits of base16.
    pub fn sha256(&mut self, hash: &Sha256Hash) -> Result<(), WireError> {
        self.text(&hash.base16())
    }

    /// Writes a list of anything.
    pub(super) fn list<T>(
        &mut self,
        elements: &[T],
        mut write: impl FnMut(&mut Self, &T) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.number(elements.len() as u64)?;
        elements.iter().try_for_each(|element| write(self, element))
    }

    /// Where store paths are below.
    pub(super) fn dir(&self) -> &StoreDir {
        &self.dir
    }
}

/// Raw bytes between the words.
impl<W: Write> Write for WireWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
