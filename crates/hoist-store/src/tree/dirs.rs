//! A stack of open directories that never holds many file descriptors.

use std::io;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, Stat, fstat, openat};

/// How a directory is opened: never through a symlink.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How many of the innermost directories stay open; processes may hold 1024 files by default.
const OPEN_MAX: usize = 64;

/// The directories from a root to the one at work. The outer ones are closed while the stack is
/// deep, and opened again as `..` of the inner one when it ends, which must be the same directory.
#[derive(Debug)]
pub(super) struct DirStack {
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    /// Shared with whoever still works in the directory.
    fd: Option<Arc<OwnedFd>>,
    /// Device and inode.
    identity: (u64, u64),
}

impl DirStack {
    pub(super) fn new() -> Self {
        Self { levels: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// The directory at work.
    pub(super) fn top(&self) -> Option<&Arc<OwnedFd>> {
        self.levels.last().map(|level| level.fd.as_ref().expect("the innermost is open"))
    }

    /// Enters a directory, and returns what the system says of it.
    pub(super) fn push(&mut self, fd: OwnedFd) -> io::Result<Stat> {
        let stat = fstat(&fd)?;
        self.levels.push(Level { fd: Some(fd.into()), identity: identity(&stat) });
        if let Some(outer) = self.levels.len().checked_sub(OPEN_MAX + 1) {
            self.levels[outer].fd = None;
        }
        Ok(stat)
    }

    /// Ends the directory at work and returns it.
    pub(super) fn pop(&mut self) -> io::Result<Arc<OwnedFd>> {
        let inner = self.levels.pop().and_then(|level| level.fd).expect("a directory is open");
        if let Some(outer) = self.levels.last_mut()
            && outer.fd.is_none()
        {
            let fd = openat(&inner, "..", DIRECTORY, Mode::empty())?;
            if identity(&fstat(&fd)?) != outer.identity {
                return Err(io::Error::other("the directory was moved meanwhile"));
            }
            outer.fd = Some(fd.into());
        }
        Ok(inner)
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}
