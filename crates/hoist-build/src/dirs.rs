//! Where hoist keeps what can be lost: the cache folder and the work folders of running builds.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::BuildError;

/// The cache folder: everything below it can be removed at any time, at the price of time.
#[derive(Debug, Clone)]
pub struct CacheDirs {
    root: PathBuf,
}

impl CacheDirs {
    /// The cache folder at `root`; it is made when it is first written to.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of its own for one kind of content, made if it is missing.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when it cannot be made.
    pub fn folder(&self, kind: &str) -> Result<PathBuf, BuildError> {
        // Builds write below it, and what root's builds leave there could be set-user-id.
        let make = |folder: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(BuildError::io("make the cache folder", folder))
        };
        let folder = self.root.join(kind);
        make(&self.root)?;
        make(&folder)?;
        Ok(folder)
    }
}

/// A folder for one run of a command, removed when dropped; one that a killed process left behind
/// is removed by the next run.
#[derive(Debug)]
pub struct WorkDir {
    folder: tempfile::TempDir,
    _lock: File,
}

/// Held by the owner of a work folder for as long as it lives.
const LOCK: &str = ".lock";

impl WorkDir {
    /// Makes a work folder and removes those whose owners are gone.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when the cache folder cannot be written.
    pub fn new(dirs: &CacheDirs) -> Result<Self, BuildError> {
        let parent = dirs.folder("work")?;
        sweep(&parent);
        let folder = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(&parent)
            .map_err(BuildError::io("make a work folder in", &parent))?;
        let path = folder.path().join(LOCK);
        let lock = File::create(&path).map_err(BuildError::io("make the lock", &path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(source) => BuildError::io("lock", &path)(source),
            TryLockError::WouldBlock => {
                BuildError::io("lock", &path)(std::io::ErrorKind::WouldBlock.into())
            }
        })?;
        Ok(Self { folder, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a folder below it.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, BuildError> {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).map_err(BuildError::io("make the folder", &folder))?;
        Ok(folder)
    }

    /// Keeps the folder for a look at what went wrong, and returns where it is.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        let _ = fs::remove_file(self.path().join(LOCK)); // without a lock, no sweep takes it
        self.folder.keep()
    }
}

/// Removes work folders whose lock nobody holds. One without a lock is either being made right
/// now or kept on purpose, so it stays.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path()); // another sweep may be ahead of this one
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_folder_whose_owner_is_gone_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let dirs = CacheDirs::new(home.path());
        let left_behind = dirs.folder("work").unwrap().join("build-gone");
        fs::create_dir(&left_behind).unwrap();
        File::create(left_behind.join(LOCK)).unwrap();

        let alive = WorkDir::new(&dirs).unwrap();
        assert!(!left_behind.exists());
        let other = WorkDir::new(&dirs).unwrap();
        assert!(alive.path().exists() && other.path().exists());
    }

    #[test]
    fn a_kept_folder_survives_the_next_sweep() {
        let home = tempfile::tempdir().unwrap();
        let dirs = CacheDirs::new(home.path());
        let kept = WorkDir::new(&dirs).unwrap().keep();
        drop(WorkDir::new(&dirs).unwrap());
        assert!(kept.exists());
    }
}
