//! A NAR out of a cache, held against its narinfo while it is read.

use std::fmt;
use std::io::{self, Read};

use hoist_nix::{Compression, NarInfo, Sha256Hash, Sha256Hasher};

use crate::FetchError;
use crate::decode::Decoder;
use crate::meter::Meter;

/// Returns how many bytes the file of a NAR may have: no compression of ours adds more to what it
/// cannot compress, whatever the narinfo says.
pub(crate) fn file_limit(info: &NarInfo) -> u64 {
    let most = info.nar_size.saturating_add(info.nar_size / 64).saturating_add(64 * 1024);
    info.file_size.map_or(most, |file_size| file_size.min(most))
}

/// A decompressed NAR.
///
/// Its last bytes are handed over only after everything was held against the narinfo: size and
/// hash of NAR and file, and that nothing follows either. So whoever reads all of the NAR has the
/// right one, and whoever is given another gets an error, whose source is a [`FetchError`].
pub struct NarStream {
    decoder: Decoder,
    compression: Compression,
    wanted: Wanted,
    hasher: Sha256Hasher,
    state: State,
}

/// What the narinfo promised.
struct Wanted {
    nar_hash: Sha256Hash,
    nar_size: u64,
    file_hash: Option<Sha256Hash>,
    file_size: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading { read: u64 },
    Complete,
    Failed,
}

impl NarStream {
    /// Reads the NAR that `info` describes from its file.
    pub(crate) fn new(info: &NarInfo, file: Box<dyn Read + Send>) -> Result<Self, FetchError> {
        let compression = info.compression;
        // What is not compressed is hashed once, as a NAR.
        let hashes_file = info.file_hash.is_some() && compression != Compression::None;
        let meter = Meter::new(file, file_limit(info), hashes_file);
        let decoder = Decoder::new(compression, meter)
            .map_err(|source| FetchError::Decode { compression: compression.name(), source })?;
        let wanted = Wanted {
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            file_hash: info.file_hash,
            file_size: info.file_size,
        };
        let (hasher, state) = (Sha256Hasher::new(), State::Reading { read: 0 });
        Ok(Self { decoder, compression, wanted, hasher, state })
    }

    fn step(&mut self, read: u64, buffer: &mut [u8]) -> Result<usize, FetchError> {
        let wanted = self.wanted.nar_size;
        let left = usize::try_from(wanted - read).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = self.decode(&mut buffer[..room])?;
        if count == 0 {
            return Err(FetchError::NarTooShort { found: read, wanted });
        }
        self.hasher.update(&buffer[..count]);
        let read = read + count as u64;
        self.state = State::Reading { read };
        if read == wanted {
            self.check_end()?;
            self.state = State::Complete;
        }
        Ok(count)
    }

    /// Checks what is known once the NAR has its size.
    fn check_end(&mut self) -> Result<(), FetchError> {
        if self.decode(&mut [0])? > 0 {
            return Err(FetchError::NarTooLong { wanted: self.wanted.nar_size });
        }
        let is_at_end = self.decoder.is_at_end();
        if !is_at_end.map_err(|source| self.failure(source))? {
            return Err(FetchError::Trailing);
        }
        let (nar_hash, _) = std::mem::take(&mut self.hasher).finish();
        let file = self.decoder.file();
        let (file_size, file_hash) = (file.size(), file.take_hash().unwrap_or(nar_hash));
        if let Some(wanted) = self.wanted.file_size
            && wanted != file_size
        {
            return Err(FetchError::FileSize { found: file_size, wanted });
        }
        if nar_hash != self.wanted.nar_hash {
            return Err(FetchError::NarHash { found: nar_hash, wanted: self.wanted.nar_hash });
        }
        match self.wanted.file_hash {
            Some(wanted) if wanted != file_hash => {
                Err(FetchError::FileHash { found: file_hash, wanted })
            }
            _ => Ok(()),
        }
    }

    fn decode(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        loop {
            match self.decoder.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    /// Tells a file that cannot be read from one that cannot be decoded.
    fn failure(&mut self, source: io::Error) -> FetchError {
        let compression = self.compression.name();
        let of_file = self.decoder.file().take_failure();
        of_file.unwrap_or(FetchError::Decode { compression, source })
    }
}

impl Read for NarStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.state {
            _ if buffer.is_empty() => return Ok(0),
            State::Complete => return Ok(0),
            State::Failed => return Err(FetchError::Spent.into()),
            State::Reading { read } => read,
        };
        self.step(read, buffer).map_err(|error| {
            self.state = State::Failed;
            error.into()
        })
    }
}

impl fmt::Debug for NarStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NarStream")
            .field("compression", &self.compression)
            .field("nar_hash", &self.wanted.nar_hash)
            .finish_non_exhaustive()
    }
}
