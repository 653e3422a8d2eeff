//! Locks that processes hold on files; a process that dies lets go of them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::FileError;

/// A lock on a file that stays, such as Nix's `big-lock`.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits until nobody holds the lock alone, and shares it. Where the file can only be read,
    /// that is enough for it to be there.
    pub(crate) fn shared(path: &Path) -> Result<Self, FileError> {
        Self::lock(open_any(path), path, FlockOperation::LockShared)
    }

    /// Shares the lock unless somebody holds it alone.
    pub(crate) fn try_shared(path: &Path) -> Result<Option<Self>, FileError> {
        Self::try_lock(open_lock_file(path), path, FlockOperation::NonBlockingLockShared)
    }

    /// Holds the lock alone unless somebody holds it; a file that can only be read is enough.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>, FileError> {
        Self::try_lock(open_any(path), path, FlockOperation::NonBlockingLockExclusive)
    }

    fn try_lock(
        opened: io::Result<File>,
        path: &Path,
        operation: FlockOperation,
    ) -> Result<Option<Self>, FileError> {
        let file = opened.map_err(FileError::at("open", path))?;
        match retry_on_intr(|| flock(&file, operation)) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(FileError::at("lock", path)(error)),
        }
    }

    /// Waits until nobody holds the lock, and holds it alone; a file that can only be read is enough.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, FileError> {
        Self::lock(open_any(path), path, FlockOperation::LockExclusive)
    }

    fn lock(
        opened: io::Result<File>,
        path: &Path,
        operation: FlockOperation,
    ) -> Result<Self, FileError> {
        let file = opened.map_err(FileError::at("open", path))?;
        wait(&file, operation).map_err(FileError::at("lock", path))?;
        Ok(Self { _file: file })
    }
}

/// The lock on something that may be made or replaced: `PATH.lock` beside it, as Nix has it.
///
/// The file is removed at the end. Who waited for it then holds the lock of a file that is gone,
/// which a byte in it tells, and tries again.
///
/// Source: `PathLocks` of Nix.
#[derive(Debug)]
pub(crate) struct PathLock {
    file: File,
    path: PathBuf,
}

impl PathLock {
    /// Waits until nobody else holds the lock of `target`.
    pub(crate) fn acquire(target: &Path) -> Result<Self, FileError> {
        let locked =
            Self::try_with(target, |file| wait(file, FlockOperation::LockExclusive).map(|()| true));
        Ok(locked?.expect("a lock that is waited for is held"))
    }

    /// Takes the lock of `target` unless somebody holds it.
    pub(crate) fn try_acquire(target: &Path) -> Result<Option<Self>, FileError> {
        Self::try_with(target, try_exclusive)
    }

    fn try_with(
        target: &Path,
        lock: impl Fn(&File) -> io::Result<bool>,
    ) -> Result<Option<Self>, FileError> {
        let path = lock_path(target);
        let failed = || FileError::at("lock", &path);
        loop {
            let file = open_lock_file(&path).map_err(failed())?;
            if !lock(&file).map_err(failed())? {
                return Ok(None);
            }
            if file.metadata().map_err(failed())?.size() == 0 {
                return Ok(Some(Self { file, path }));
            }
        }
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        // In this order: a file that has the byte is gone. Left behind, it locks nobody out.
        if fs::remove_file(&self.path).is_ok() {
            let _ = self.file.write_all(b"d");
        }
    }
}

/// Takes the lock on an open file or directory unless somebody holds it.
pub(crate) fn try_exclusive(file: &File) -> io::Result<bool> {
    match retry_on_intr(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn wait(file: &File, operation: FlockOperation) -> io::Result<()> {
    Ok(retry_on_intr(|| flock(file, operation))?)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Opens a lock file for writing, as it may have to be made, or for reading where it is there.
fn open_any(path: &Path) -> io::Result<File> {
    match open_lock_file(path) {
        Err(error) if is_write_protected(&error) && path.exists() => File::open(path),
        opened => opened,
    }
}

fn is_write_protected(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn lock_path(target: &Path) -> PathBuf {
    let mut path = OsString::from(target);
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_locked_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let lock = PathLock::acquire(&target).unwrap();
        assert!(PathLock::try_acquire(&target).unwrap().is_none());
        drop(lock);
        assert!(!lock_path(&target).exists());
        assert!(PathLock::try_acquire(&target).unwrap().is_some());
    }

    #[test]
    fn who_waited_does_not_hold_a_lock_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("x");
        let holders = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _lock = PathLock::acquire(&target).unwrap();
                        let others = holders.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(others, 0);
                        holders.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
