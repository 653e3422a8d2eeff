//! What an open store keeps from being collected.
//!
//! A process writes the paths that it needs into a file of its own and holds a lock on that: a
//! collector reads the files that are locked and removes the others. While a collection runs,
//! which the global lock tells, the collector is told over a socket, and answers when the path is
//! safe.
//!
//! Source: `gc.cc` of Nix 2.8 and 2.26.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use hoist_nix::StorePath;

use crate::layout::{Layout, create_dir_all};
use crate::lock::{FileLock, try_exclusive};
use crate::{FileError, Store};

/// How long to wait for a collector that is not listening yet, or does not listen at all.
const RETRY: Duration = Duration::from_millis(50);

/// The file of one open store, removed when that is closed.
#[derive(Debug)]
pub(crate) struct TempRoots {
    file: File,
    path: PathBuf,
    kept: RefCell<HashSet<StorePath>>,
    /// The running collector, once it was asked. It is asked over one connection until its end, as
    /// Nix does: collectors of Nix that meet many short ones abort now and then.
    collector: RefCell<Option<UnixStream>>,
}

impl Store {
    /// Keeps `path` from being collected as long as the store is open, whether or not it is there
    /// already.
    pub(crate) fn keep_for_now(&self, path: &StorePath) -> Result<(), FileError> {
        let roots = if let Some(roots) = self.temp_roots.get() {
            roots
        } else {
            let made = TempRoots::create(&self.layout)?;
            self.temp_roots.get_or_init(|| made)
        };
        if roots.kept.borrow().contains(path) {
            return Ok(());
        }
        // Written first: the next collection reads it, and only one that runs now has to be told.
        let text = self.dir().print(path);
        (&roots.file)
            .write_all(format!("{text}\0").as_bytes())
            .map_err(FileError::at("write", &roots.path))?;
        roots.tell_collector(&self.layout, &text)?;
        roots.kept.borrow_mut().insert(path.clone());
        Ok(())
    }
}

impl TempRoots {
    fn create(layout: &Layout) -> Result<Self, FileError> {
        let dir = layout.temp_roots();
        create_dir_all(&dir)?;
        let process = std::process::id();
        // Nix reads the number at the start of the name. A second store of this process has a file
        // of its own, as has a process of another namespace that has the same number.
        let mut names = (1..).map(|count| match count {
            1 => process.to_string(),
            _ => format!("{process}.{count}"),
        });
        loop {
            let path = dir.join(names.next().expect("the names do not end"));
            if let Some(file) = claim(&path).map_err(FileError::at("lock", &path))? {
                let (kept, collector) = (RefCell::default(), RefCell::default());
                return Ok(Self { file, path, kept, collector });
            }
        }
    }

    /// Returns when no collection that is running takes `path` any more.
    fn tell_collector(&self, layout: &Layout, path: &str) -> Result<(), FileError> {
        let mut collector = self.collector.borrow_mut();
        loop {
            if FileLock::try_shared(&layout.gc_lock())?.is_some() {
                *collector = None;
                return Ok(());
            }
            if ask_to_keep(&mut collector, &layout.gc_socket(), path).is_ok() {
                return Ok(());
            }
            // It does not listen yet, not any more, or never: its lock tells when it is over.
            *collector = None;
            sleep(RETRY);
        }
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        // Left behind, it is unlocked, and a collector removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes and locks an empty file; `None` when somebody holds the one that is there.
fn claim(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path)?;
        if !try_exclusive(&file)? {
            return Ok(None);
        }
        // One with something in it is of a dead process, or was just removed by a collector, which
        // leaves a byte in it.
        let locked = file.metadata()?;
        let is_at_path = fs::symlink_metadata(path).is_ok_and(|found| found.ino() == locked.ino());
        match (is_at_path, locked.len()) {
            (true, 0) => return Ok(Some(file)),
            (true, _) => fs::remove_file(path)?,
            (false, _) => {}
        }
    }
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    // A socket's address is short, which the store's root need not be.
    let dir = File::open(socket.parent().expect("the socket is in a folder"))?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", dir.as_raw_fd()))
}

/// Asks the running collector to keep `path`, over a new connection where there is none.
fn ask_to_keep(collector: &mut Option<UnixStream>, socket: &Path, path: &str) -> io::Result<()> {
    if collector.is_none() {
        *collector = Some(connect(socket)?);
    }
    let stream = collector.as_mut().expect("it was connected above");
    stream.write_all(format!("{path}\n").as_bytes())?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    match answer {
        [b'1'] => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
