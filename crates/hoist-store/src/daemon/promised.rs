//! An archive on its way to a daemon, held against what was promised of it.

use std::io::{self, Write};

use hoist_nix::Sha256Hasher;
use hoist_nix::wire::{FRAME_MAX_LEN, FramedWriter, WireError};

use super::channel::Channel;
use super::content::ContentCheck;
use crate::{AddNarError, NewPath};

/// The end of every archive, a `)`, is kept back until the archive was checked: without it the
/// daemon takes nothing, however it reads archives.
const HELD_LEN: u64 = 16;

/// Writes the NAR of a new path to a daemon in frames while hashing it.
pub(super) struct PromisedNar<'a> {
    new: &'a NewPath,
    channel: &'a mut Channel,
    hasher: Sha256Hasher,
    content: ContentCheck,
    size: u64,
    frame: Vec<u8>,
    held: Vec<u8>,
    refusal: Option<Refusal>,
}

/// Why no more of an archive is taken.
pub(super) enum Refusal {
    /// It is not what was promised.
    Promise(AddNarError),
    /// The daemon cannot be written to.
    Channel(io::Error),
}

impl<'a> PromisedNar<'a> {
    pub(super) fn new(new: &'a NewPath, channel: &'a mut Channel) -> Self {
        let frame = Vec::with_capacity(FRAME_MAX_LEN);
        let (hasher, held) = (Sha256Hasher::new(), Vec::new());
        let content = ContentCheck::new(new.content_address.as_ref());
        Self { new, channel, hasher, content, size: 0, frame, held, refusal: None }
    }

    /// Ends the frames: with all of the archive when `is_whole`, and its size, its hash and its
    /// content are as promised, otherwise before its end, so that the daemon refuses it.
    ///
    /// Returns what kept it from being sent.
    pub(super) fn finish(self, is_whole: bool) -> Result<(), Refusal> {
        let Self { new, channel, hasher, content, frame, held, refusal, .. } = self;
        let judged = match refusal {
            Some(Refusal::Channel(error)) => return Err(Refusal::Channel(error)),
            Some(refusal) => Err(refusal),
            None if is_whole => judge(new, hasher, content).map_err(Refusal::Promise),
            None => Ok(()), // whoever read it knows what is wrong with it
        };
        let mut out = FramedWriter::new(channel);
        let sent = if is_whole && judged.is_ok() {
            out.write_all(&frame).and_then(|()| out.write_all(&held))
        } else {
            Ok(())
        };
        let ended = sent.map_err(WireError::Write).and_then(|()| out.finish());
        match ended {
            Err(WireError::Write(error)) => Err(Refusal::Channel(error)),
            Err(error) => Err(Refusal::Channel(io::Error::other(error))),
            Ok(_) => judged,
        }
    }

    /// Sends full frames of what is not held.
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = FRAME_MAX_LEN - self.frame.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.frame.extend_from_slice(now);
            bytes = later;
            if self.frame.len() == FRAME_MAX_LEN {
                FramedWriter::new(&mut *self.channel).write_all(&self.frame)?;
                self.frame.clear();
            }
        }
        Ok(())
    }
}

impl Write for PromisedNar<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.size + bytes.len() as u64;
        if size > self.new.nar_size {
            let (path, wanted) = (self.new.path.clone(), self.new.nar_size);
            self.refusal = Some(Refusal::Promise(AddNarError::TooLong { path, wanted }));
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.hasher.update(bytes);
        self.content.update(bytes);
        let free = self.new.nar_size.saturating_sub(HELD_LEN).saturating_sub(self.size);
        let free = usize::try_from(free).map_or(bytes.len(), |free| free.min(bytes.len()));
        let (now, held) = bytes.split_at(free);
        self.held.extend_from_slice(held);
        self.size = size;
        if let Err(error) = self.send(now) {
            let kind = error.kind();
            self.refusal = Some(Refusal::Channel(error));
            return Err(kind.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn judge(new: &NewPath, hasher: Sha256Hasher, content: ContentCheck) -> Result<(), AddNarError> {
    let (found_hash, found_size) = hasher.finish();
    let path = || new.path.clone();
    if found_size != new.nar_size {
        let (found, wanted) = (found_size, new.nar_size);
        return Err(AddNarError::Size { path: path(), found, wanted });
    }
    if found_hash != new.nar_hash {
        let (found, wanted) = (found_hash, new.nar_hash);
        return Err(AddNarError::Hash { path: path(), found, wanted });
    }
    content.finish(new, found_hash)
}
