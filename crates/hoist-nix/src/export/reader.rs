//! Reading an export, path by path.

use std::io::{Read, Write};

use super::{ExportError, ExportedPath, MAGIC};
use crate::wire::WireReader;
use crate::{NarLimits, NarReader, StoreDir, copy_nar};

/// Reads the stream of `nix-store --export` without holding an archive.
///
/// Of each path the archive comes first, so it goes to a closure, or to a writer, before it is
/// known whose it is. Words are read one by one: give it a buffered reader.
///
/// ```
/// # use hoist_nix::{ExportError, ExportReader, ExportWriter, ExportedPath, NarLimits, NarWriter};
/// # use hoist_nix::{StoreDir, StorePath};
/// # let path = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt")?;
/// # let said = ExportedPath { path, references: Vec::new(), deriver: None };
/// # let mut writer = ExportWriter::new(Vec::new(), StoreDir::default());
/// # writer.path(&said, |out| {
/// #     let mut nar = NarWriter::new(out)?;
/// #     nar.file(false, 1, &mut &b"x"[..])?;
/// #     Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # let stream = writer.finish()?;
/// let mut export =
///     ExportReader::new(stream.as_slice(), StoreDir::default(), NarLimits::default());
/// let mut spool = Vec::new();
/// while let Some(exported) = export.next_path_into(&mut spool)? {
///     assert_eq!(exported.path.name(), "hello.txt");
///     assert_eq!(spool.len(), 120);
///     spool.clear();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportReader<R> {
    words: WireReader<R>,
    nar_limits: NarLimits,
    /// Whether the input may go on behind the export.
    embedded: bool,
    ended: bool,
}

impl<R: Read> ExportReader<R> {
    /// Reads an export that is all of `input`, of paths below `dir`.
    pub fn new(input: R, dir: StoreDir, nar_limits: NarLimits) -> Self {
        let words = WireReader::new(input, dir);
        Self { words, nar_limits, embedded: false, ended: false }
    }

    /// Reads an export inside a longer stream: it takes not a byte of `input` behind the export.
    pub fn embedded(input: R, dir: StoreDir, nar_limits: NarLimits) -> Self {
        Self { embedded: true, ..Self::new(input, dir, nar_limits) }
    }

    /// Gives the next path's archive to `take`, then returns what `take` made of it and what the
    /// export says of the path; `None` at the end. What `take` leaves of the archive is skipped,
    /// and checked all the same.
    ///
    /// # Errors
    ///
    /// [`ExportError`] naming the place and the rule it breaks, or the error of `take`; nothing
    /// can be read afterwards.
    pub fn next_path<T, E: From<ExportError>>(
        &mut self,
        take: impl FnOnce(&mut NarReader<&mut WireReader<R>>) -> Result<T, E>,
    ) -> Result<Option<(ExportedPath, T)>, E> {
        if !self.begin_path()? {
            return Ok(None);
        }
        let start = self.words.offset();
        let wrong = |error| ExportError::in_archive(start, error);
        let mut nar = NarReader::embedded(&mut self.words, self.nar_limits).map_err(wrong)?;
        let taken = take(&mut nar)?;
        while nar.next_event().map_err(wrong)?.is_some() {}
        Ok(Some((self.end_path()?, taken)))
    }

    /// Copies the next path's archive to `out`, then returns what the export says of the path;
    /// `None` at the end. Give it a buffered writer.
    ///
    /// # Errors
    ///
    /// [`ExportError`] naming the place and the rule it breaks; nothing can be read afterwards,
    /// and part of the archive may be written.
    pub fn next_path_into(
        &mut self,
        out: &mut (impl Write + ?Sized),
    ) -> Result<Option<ExportedPath>, ExportError> {
        if !self.begin_path()? {
            return Ok(None);
        }
        let start = self.words.offset();
        copy_nar(&mut self.words, self.nar_limits, out)
            .map_err(|error| ExportError::in_copy(start, error))?;
        self.end_path().map(Some)
    }

    /// Whether an archive follows.
    fn begin_path(&mut self) -> Result<bool, ExportError> {
        if self.ended {
            return Ok(false);
        }
        self.words.begin_message();
        let offset = self.words.offset();
        match self.words.number()? {
            1 => Ok(true),
            0 => {
                self.ended = true;
                self.check_end()?;
                Ok(false)
            }
            found => Err(ExportError::Marker { offset, found }),
        }
    }

    fn check_end(&mut self) -> Result<(), ExportError> {
        if self.embedded {
            return Ok(());
        }
        let offset = self.words.offset();
        match self.words.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ExportError::Trailing { offset }),
            Err(source) => Err(ExportError::Read { offset, source }),
        }
    }

    /// Reads what follows an archive.
    fn end_path(&mut self) -> Result<ExportedPath, ExportError> {
        let offset = self.words.offset();
        let found = self.words.number()?;
        if found != MAGIC {
            return Err(ExportError::Magic { offset, found });
        }
        let path = self.words.path("the path")?;
        let references = self.words.paths("a reference")?;
        if let Some(pair) = references.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (previous, reference) = (pair[0].to_string(), pair[1].to_string());
            let offset = self.words.offset();
            return Err(ExportError::Order { offset, reference, previous });
        }
        let deriver = self.words.optional_path("the deriver")?;
        let offset = self.words.offset();
        match self.words.number()? {
            0 => Ok(ExportedPath { path, references, deriver }),
            found => Err(ExportError::Signature { offset, found }),
        }
    }
}
