//! Folders for trees that will be store paths, on the store's file system.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;
use rustix::fs::fremovexattr;

use crate::layout::create_dir_all;
use crate::lock::{FileLock, PathLock, try_exclusive};
use crate::tree::remove_tree;
use crate::{FileError, Store, StoreError};

/// A folder of this process, removed when dropped. Its lock says that the process lives; what a
/// dead one left behind is removed when the next folder is made.
#[derive(Debug)]
pub(crate) struct TempDir {
    path: PathBuf,
    _lock: File,
}

impl TempDir {
    pub(crate) fn create(store: &Store) -> Result<Self, FileError> {
        let area = store.layout.temp();
        create_dir_all(&area)?;
        // Between making a folder and locking it, it looks like one of a dead process.
        let _one_at_a_time = FileLock::exclusive(&area.join("lock"))?;
        remove_stale(store, list_stale(&area)?);
        let made = tempfile::Builder::new().prefix("add-").tempdir_in(&area);
        let path = made.map_err(FileError::at("create a folder in", &area))?.keep();
        let lock = File::open(&path).map_err(FileError::at("open", &path))?;
        try_exclusive(&lock).map_err(FileError::at("lock", &path))?;
        // What is made in it would inherit an access list, which no store path has. There is none
        // to remove, or the file system has no such lists.
        let _ = fremovexattr(&lock, "system.posix_acl_default");
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down where trees of this folder go, so that they are found there after a crash.
    pub(crate) fn announce<'p>(
        &self,
        paths: impl Iterator<Item = &'p StorePath>,
    ) -> Result<(), FileError> {
        let file = announcement(&self.path);
        let paths: Vec<&str> = paths.map(StorePath::as_str).collect();
        fs::write(&file, paths.join("\n")).map_err(FileError::at("write", &file))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // The next process tries again.
        let _ = remove_tree(&self.path);
    }
}

fn announcement(dir: &Path) -> PathBuf {
    dir.join("target")
}

/// Removes what dead processes left, for who makes no folder itself: one that was killed behind
/// registering its tree has the next one find the tree there.
pub(crate) fn tidy(store: &Store) {
    remove_stale(store, stale_dirs(store).unwrap_or_default());
}

/// What cannot be removed costs space, but not the user the command.
fn remove_stale(store: &Store, stale: Vec<StaleDir>) {
    for StaleDir { path, .. } in stale {
        if remove_leftovers(store, &path).is_ok() {
            let _ = remove_tree(&path);
        }
    }
}

/// A folder that a dead process left. Its lock is held now, so that nobody else removes it.
#[derive(Debug)]
pub(crate) struct StaleDir {
    pub(crate) path: PathBuf,
    _lock: File,
}

/// The folders that dead processes left; none while another process is making one, which removes
/// them itself.
pub(crate) fn stale_dirs(store: &Store) -> Result<Vec<StaleDir>, FileError> {
    let area = store.layout.temp();
    if !area.is_dir() {
        return Ok(Vec::new());
    }
    match FileLock::try_exclusive(&area.join("lock"))? {
        Some(_one_at_a_time) => list_stale(&area),
        None => Ok(Vec::new()),
    }
}

fn list_stale(area: &Path) -> Result<Vec<StaleDir>, FileError> {
    let listed = || FileError::at("list", area);
    let mut stale = Vec::new();
    for entry in fs::read_dir(area).map_err(listed())? {
        let path = entry.map_err(listed())?.path();
        // One that cannot be opened was removed by its owner meanwhile.
        let Ok(dir) = File::open(&path) else { continue };
        if path.is_dir() && try_exclusive(&dir).is_ok_and(|locked| locked) {
            stale.push(StaleDir { path, _lock: dir });
        }
    }
    Ok(stale)
}

/// Removes the trees that a dead process moved to their paths and did not register.
fn remove_leftovers(store: &Store, dir: &Path) -> Result<(), StoreError> {
    let announced = fs::read_to_string(announcement(dir)).unwrap_or_default();
    for path in announced.lines().filter_map(|line| StorePath::parse(line).ok()) {
        let target = store.physical(&path);
        // Who holds the lock replaces the tree by its own.
        let Some(_lock) = PathLock::try_acquire(&target)? else { continue };
        if !store.database()?.is_valid(&path)? {
            remove_tree(&target)?;
        }
    }
    Ok(())
}
