//! Writing an export, path by path.

use std::io::Write;

use super::{ExportError, ExportedPath, MAGIC};
use crate::StoreDir;
use crate::wire::WireWriter;

/// Writes the stream that `nix-store --import` reads.
///
/// References come before what needs them, or Nix refuses the stream. Words are written one by
/// one: give it a buffered writer.
///
/// ```
/// use hoist_nix::{ExportWriter, ExportedPath, NarWriter, StoreDir, StorePath};
///
/// let path = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt")?;
/// let said = ExportedPath { path, references: Vec::new(), deriver: None };
/// let mut export = ExportWriter::new(Vec::new(), StoreDir::default());
/// export.path(&said, |out| {
///     let mut nar = NarWriter::new(out)?;
///     nar.file(false, 12, &mut &b"hello world\n"[..])?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })?;
/// assert_eq!(export.finish()?.len(), 240);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportWriter<W> {
    words: WireWriter<W>,
}

impl<W: Write> ExportWriter<W> {
    /// Starts an export of paths below `dir` on `out`.
    pub fn new(out: W, dir: StoreDir) -> Self {
        Self { words: WireWriter::new(out, dir) }
    }

    /// Writes a path; `write_nar` writes its archive, whole and nothing else.
    ///
    /// # Errors
    ///
    /// [`ExportError::Write`] when the writer below fails, or the error of `write_nar`. The
    /// export is then of no use.
    pub fn path<E: From<ExportError>>(
        &mut self,
        said: &ExportedPath,
        write_nar: impl FnOnce(&mut WireWriter<W>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.words.number(1).map_err(ExportError::from)?;
        write_nar(&mut self.words)?;
        self.say(said).map_err(E::from)
    }

    /// Ends the export and returns the writer below, not flushed.
    ///
    /// # Errors
    ///
    /// [`ExportError::Write`] when the writer below fails.
    pub fn finish(mut self) -> Result<W, ExportError> {
        self.words.number(0)?;
        Ok(self.words.into_inner())
    }

    fn say(&mut self, said: &ExportedPath) -> Result<(), ExportError> {
        let mut references = said.references.clone();
        references.sort_unstable();
        references.dedup();
        self.words.number(MAGIC)?;
        self.words.path(&said.path)?;
        self.words.paths(&references)?;
        self.words.optional_path(said.deriver.as_ref())?;
        Ok(self.words.number(0)?)
    }
}
