//! Counting, bounding and hashing the bytes of a file while they are read.

use std::io::{self, Read};

use hoist_nix::{Sha256Hash, Sha256Hasher};

use crate::FetchError;

/// Passes a file on, and keeps why it failed apart from why its contents cannot be decoded.
pub(crate) struct Meter {
    inner: Box<dyn Read + Send>,
    limit: u64,
    size: u64,
    hasher: Option<Sha256Hasher>,
    failure: Option<FetchError>,
}

impl Meter {
    /// Reads at most `limit` bytes from `inner`, hashing them where asked.
    pub(crate) fn new(inner: Box<dyn Read + Send>, limit: u64, hash_it: bool) -> Self {
        let hasher = hash_it.then(Sha256Hasher::new);
        Self { inner, limit, size: 0, hasher, failure: None }
    }

    /// How many bytes were read so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Why reading failed, if it did; told once.
    pub(crate) fn take_failure(&mut self) -> Option<FetchError> {
        self.failure.take()
    }

    /// The hash of all bytes read, where it was asked for; told once.
    pub(crate) fn take_hash(&mut self) -> Option<Sha256Hash> {
        self.hasher.take().map(|hasher| hasher.finish().0)
    }

    fn fail(&mut self, failure: FetchError) -> io::Error {
        self.failure = Some(failure);
        io::Error::other("the file failed")
    }
}

impl Read for Meter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.inner.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(source) => return Err(self.fail(FetchError::Read { read: self.size, source })),
        };
        self.size += count as u64;
        if self.size > self.limit {
            return Err(self.fail(FetchError::FileTooLong { limit: self.limit }));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}
