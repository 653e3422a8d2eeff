//! Frames: how the worker protocol carries data whose length its sender need not know.

use std::io::{self, Read, Write};

use super::{WireError, WireReader};

/// The longest frame that is written. Nix 2.26 holds a frame as a whole while it reads it.
pub const FRAME_MAX_LEN: usize = 64 * 1024;

/// Reads the data inside frames: each a number and as many bytes, the last one empty.
///
/// A frame is never held, whatever length it claims.
#[derive(Debug)]
pub struct FramedReader<'r, R> {
    reader: &'r mut WireReader<R>,
    /// What is left of the current frame; `None` behind the last.
    left: Option<u64>,
}

impl<'r, R: Read> FramedReader<'r, R> {
    /// Reads the frames that follow in `reader`.
    pub fn new(reader: &'r mut WireReader<R>) -> Self {
        Self { reader, left: Some(0) }
    }

    /// Begins the next frame where the current one was read to its end, and returns how many bytes
    /// of it are left; 0 behind the last.
    ///
    /// # Errors
    ///
    /// [`WireError`] when the connection fails or ends.
    pub fn frame_left(&mut self) -> Result<u64, WireError> {
        if self.left == Some(0) {
            self.reader.begin_message();
            self.left = Some(self.reader.number()?).filter(|&len| len > 0);
        }
        Ok(self.left.unwrap_or(0))
    }

    /// Skips what is left, so that the connection stands behind the frames.
    ///
    /// # Errors
    ///
    /// [`WireError`] when the connection fails or ends before.
    pub fn skip_rest(mut self) -> Result<(), WireError> {
        let mut skipped = [0; 4096];
        while self.read_some(&mut skipped)? > 0 {}
        Ok(())
    }

    fn read_some(&mut self, bytes: &mut [u8]) -> Result<usize, WireError> {
        let left = self.frame_left()?;
        if left == 0 || bytes.is_empty() {
            return Ok(0);
        }
        let wanted = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let offset = self.reader.offset();
        let read = self.reader.read(&mut bytes[..wanted]);
        let count = read.map_err(|source| WireError::Read { offset, source })?;
        if count == 0 {
            return Err(WireError::Ended { offset });
        }
        self.left = Some(left - count as u64);
        Ok(count)
    }
}

impl<R: Read> Read for FramedReader<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_some(bytes).map_err(|error| match error {
            WireError::Read { source, .. } => source,
            WireError::Ended { .. } => io::Error::new(io::ErrorKind::UnexpectedEof, error),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })
    }
}

/// Writes data inside frames: each write is one, of at most [`FRAME_MAX_LEN`] bytes.
///
/// Small writes make small frames: put a [`io::BufWriter`] around it.
#[derive(Debug)]
pub struct FramedWriter<W> {
    out: W,
}

impl<W: Write> FramedWriter<W> {
    /// Writes frames to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Ends the frames, and returns the writer below, not flushed.
    ///
    /// # Errors
    ///
    /// [`WireError::Write`] when that fails.
    pub fn finish(mut self) -> Result<W, WireError> {
        self.out.write_all(&0_u64.to_le_bytes()).map_err(WireError::Write)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for FramedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An empty frame would be the last one.
        let frame = &bytes[..bytes.len().min(FRAME_MAX_LEN)];
        if !frame.is_empty() {
            self.out.write_all(&(frame.len() as u64).to_le_bytes())?;
            self.out.write_all(frame)?;
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreDir;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, usize)> {
        let mut reader = WireReader::new(bytes, StoreDir::default());
        let mut data = Vec::new();
        FramedReader::new(&mut reader).read_to_end(&mut data)?;
        Ok((data, reader.get_mut().len()))
    }

    #[test]
    fn frames_that_end_early_are_no_end() {
        let mut writer = FramedWriter::new(Vec::new());
        writer.write_all(b"abc").unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len(), 8 + 3 + 8);
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_frame_of_any_claimed_length_is_only_read() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend(b"abc");
        assert_eq!(read(&bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_left_can_be_skipped() {
        let mut writer = FramedWriter::new(Vec::new());
        writer.write_all(&vec![7; 2 * FRAME_MAX_LEN + 1]).unwrap();
        let mut bytes = writer.finish().unwrap();
        bytes.extend(b"next");
        let mut reader = WireReader::new(bytes.as_slice(), StoreDir::default());
        FramedReader::new(&mut reader).skip_rest().unwrap();
        assert_eq!(*reader.get_mut(), b"next");
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)
        ) {
            let mut writer = FramedWriter::new(Vec::new());
            for part in &parts {
                writer.write_all(part)?;
            }
            let mut bytes = writer.finish()?;
            bytes.extend(b"next");
            prop_assert_eq!(read(&bytes)?, (parts.concat(), 4));
        }
    }
}
