//! Getting what was written to disk: early, and with as few waits as can be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fdatasync, fsync, syncfs};
use rustix::io::fcntl_dupfd_cloexec;

use super::dirs::DIRECTORY;
use crate::FileError;

/// Up to this many files and directories are synced one by one; beyond, the file system is synced
/// once, which is cheaper then but also waits for what others wrote.
const ONE_BY_ONE_MAX: usize = 64;

/// After so many bytes, or so many nodes, they are sent to disk while more is written: the disk
/// works meanwhile, and the last sync finds little to do.
const AHEAD_BYTES: u64 = 16 * 1024 * 1024;
const AHEAD_NODES: usize = 2048;

/// What was written and may not be on disk yet.
#[derive(Debug)]
pub(super) struct Syncer {
    /// Opened before the first write: the system tells of a failed write-back only those who had
    /// the file system open by then.
    file_system: OwnedFd,
    root: PathBuf,
    /// All nodes that are complete, while they are few.
    few: Option<Vec<(Arc<OwnedFd>, PathBuf)>>,
    nodes_behind: usize,
    bytes_behind: u64,
    ahead: Option<JoinHandle<rustix::io::Result<()>>>,
    /// What a sync ahead said; the system does not say it twice.
    failure: rustix::io::Result<()>,
}

impl Syncer {
    /// For what is written below the directory `dir`, which is at `root`.
    pub(super) fn new(dir: &OwnedFd, root: &Path) -> Result<Self, FileError> {
        let file_system = fcntl_dupfd_cloexec(dir, 0).map_err(FileError::at("open", root))?;
        Ok(Self {
            file_system,
            root: root.to_owned(),
            few: Some(Vec::new()),
            nodes_behind: 0,
            bytes_behind: 0,
            ahead: None,
            failure: Ok(()),
        })
    }

    /// Notes that `len` bytes of `file` went into the page cache.
    pub(super) fn wrote(&mut self, file: &OwnedFd, len: usize) {
        self.bytes_behind += len as u64;
        if self.bytes_behind >= AHEAD_BYTES {
            match self.few {
                Some(_) => self.sync_ahead(fcntl_dupfd_cloexec(file, 0), fdatasync),
                None => self.sync_all_ahead(),
            }
        }
    }

    /// Takes a node that is complete, at `path`. Gives it back when it is of no use, since closing
    /// it takes time and need not be waited for by others who add.
    pub(super) fn add<N: Into<Arc<OwnedFd>>>(&mut self, node: N, path: PathBuf) -> Option<N> {
        self.nodes_behind += 1;
        if self.nodes_behind >= AHEAD_NODES {
            self.sync_all_ahead();
        }
        match &mut self.few {
            Some(few) if few.len() < ONE_BY_ONE_MAX => {
                few.push((node.into(), path));
                None
            }
            few => {
                *few = None;
                Some(node)
            }
        }
    }

    fn sync_all_ahead(&mut self) {
        let file_system = fcntl_dupfd_cloexec(&self.file_system, 0);
        self.sync_ahead(file_system, syncfs);
    }

    /// Starts a sync beside what goes on, unless one is running. It is none to rely on: what cannot
    /// be started is left to the last one.
    fn sync_ahead(
        &mut self,
        what: rustix::io::Result<OwnedFd>,
        sync: fn(OwnedFd) -> rustix::io::Result<()>,
    ) {
        if self.ahead.as_ref().is_some_and(|ahead| !ahead.is_finished()) {
            return;
        }
        self.join();
        let Ok(what) = what else { return };
        self.ahead = thread::Builder::new().spawn(move || sync(what)).ok();
        (self.nodes_behind, self.bytes_behind) = (0, 0);
    }

    fn join(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            let ended = ahead.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            self.failure = self.failure.and(ended);
        }
    }

    /// Waits until all of it is on disk.
    pub(super) fn finish(&mut self) -> Result<(), FileError> {
        self.join();
        self.failure.map_err(FileError::at("sync", &self.root))?;
        match self.few.take() {
            None => syncfs(&self.file_system).map_err(FileError::at("sync", &self.root)),
            Some(few) => few
                .iter()
                .try_for_each(|(node, path)| fsync(node).map_err(FileError::at("sync", path))),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // No thread outlives the call, whatever ended it.
        if let Some(ahead) = self.ahead.take() {
            let _ = ahead.join();
        }
    }
}

/// Writes the entries of a directory to disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), FileError> {
    rustix::fs::open(dir, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())
        .and_then(fsync)
        .map_err(FileError::at("sync", dir))
}
