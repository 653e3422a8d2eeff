//! Copying a NAR byte by byte out of a longer stream.

use std::io::{self, Read, Write};

use super::{NarLimits, NarReader};
use crate::NarError;

/// How much of a file is copied at once.
const CHUNK_LEN: usize = 64 * 1024;

/// Why a NAR could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NarCopyError {
    /// What was read is not an archive, or could not be read.
    #[error(transparent)]
    Nar(#[from] NarError),

    /// The writer failed.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

/// Copies one archive from `input`, which may go on behind it, to `out`, and returns its size in
/// bytes. It takes not a byte behind the archive.
///
/// Both sides see single words: give it a buffered reader and a buffered writer.
///
/// # Errors
///
/// [`NarCopyError::Nar`] when `input` does not begin with an archive that [`NarReader`] accepts,
/// [`NarCopyError::Write`] when `out` fails. Part of the archive may be written by then.
pub fn copy_nar(
    input: &mut (impl Read + ?Sized),
    limits: NarLimits,
    out: &mut (impl Write + ?Sized),
) -> Result<u64, NarCopyError> {
    let mut tee = Tee { input, out, copied: 0, write_error: None };
    let read = read_through(&mut tee, limits);
    match (tee.write_error, read) {
        (Some(error), _) => Err(NarCopyError::Write(error)),
        (None, Err(error)) => Err(NarCopyError::Nar(error)),
        (None, Ok(())) => Ok(tee.copied),
    }
}

fn read_through(input: &mut impl Read, limits: NarLimits) -> Result<(), NarError> {
    let mut nar = NarReader::embedded(input, limits)?;
    let mut chunk = vec![0; CHUNK_LEN];
    while nar.next_event()?.is_some() {
        while nar.read_contents(&mut chunk)? > 0 {}
    }
    Ok(())
}

/// Hands on what is read, and keeps the two sides' errors apart.
struct Tee<'a, R: ?Sized, W: ?Sized> {
    input: &'a mut R,
    out: &'a mut W,
    copied: u64,
    write_error: Option<io::Error>,
}

impl<R: Read + ?Sized, W: Write + ?Sized> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.out.write_all(&buffer[..count]).map_err(|error| {
            let kind = error.kind();
            self.write_error = Some(error);
            io::Error::from(kind)
        })?;
        self.copied += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NarWriter;

    fn archive() -> Vec<u8> {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.directory().unwrap();
        nar.entry(b"file").unwrap();
        nar.file(true, 100_000, &mut io::repeat(7)).unwrap();
        nar.end_directory().unwrap();
        nar.finish()
    }

    #[test]
    fn the_copy_ends_with_the_archive() {
        let archive = archive();
        let stream = [archive.as_slice(), b"what follows"].concat();
        let (mut input, mut out) = (stream.as_slice(), Vec::new());
        let size = copy_nar(&mut input, NarLimits::default(), &mut out).unwrap();
        assert_eq!((size, input), (archive.len() as u64, &b"what follows"[..]));
        assert!(out == archive);
    }

    #[test]
    fn a_writer_that_is_full_is_not_a_broken_archive() {
        let mut room = [0; 50];
        let answer = copy_nar(&mut archive().as_slice(), NarLimits::default(), &mut &mut room[..]);
        assert!(matches!(answer, Err(NarCopyError::Write(_))), "{answer:?}");
    }

    #[test]
    fn an_archive_that_ends_early_is_refused() {
        let archive = archive();
        let mut input = &archive[..archive.len() - 1];
        let answer = copy_nar(&mut input, NarLimits::default(), &mut io::sink());
        assert!(matches!(answer, Err(NarCopyError::Nar(NarError::Truncated { .. }))), "{answer:?}");
    }
}
