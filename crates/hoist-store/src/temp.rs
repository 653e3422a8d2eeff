//! Folders for trees that will be store paths, on the store's file system.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::layout::{Layout, create_dir_all};
use crate::lock::{FileLock, try_exclusive};
use crate::tree::remove_tree;

/// A folder of this process, removed when dropped. Its lock says that the process lives; what a
/// dead one left behind is removed when the next folder is made.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
    _lock: File,
}

impl TempDir {
    pub(crate) fn create(layout: &Layout) -> Result<Self, FileError> {
        let area = layout.temp();
        create_dir_all(&area)?;
        // Between making a folder and locking it, it looks like one of a dead process.
        let _one_at_a_time = FileLock::exclusive(&area.join("lock"))?;
        remove_stale(&area)?;
        let made = tempfile::Builder::new().prefix("add-").tempdir_in(&area);
        let path = made.map_err(FileError::at("create a folder in", &area))?.keep();
        let lock = File::open(&path).map_err(FileError::at("open", &path))?;
        try_exclusive(&lock).map_err(FileError::at("lock", &path))?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // The next process tries again.
        let _ = remove_tree(&self.path);
    }
}

fn remove_stale(area: &Path) -> Result<(), FileError> {
    let listed = || FileError::at("list", area);
    for entry in fs::read_dir(area).map_err(listed())? {
        let path = entry.map_err(listed())?.path();
        // One that cannot be opened was removed by its owner meanwhile, or is the lock file.
        let Ok(dir) = File::open(&path) else { continue };
        if path.is_dir() && try_exclusive(&dir).is_ok_and(|stale| stale) {
            // Leaving it costs space, failing would cost the user the command.
            let _ = remove_tree(&path);
        }
    }
    Ok(())
}
