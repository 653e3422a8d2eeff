//! Where trees lie from the moment nothing knows of them any more until they are removed.
//!
//! Moving a tree there is one rename, so it is done under the lock; removing it can take many
//! seconds where the file system discards blocks at once, and is done after.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::layout::{Layout, create_dir_all, is_absent};
use crate::lock::try_exclusive;

/// A folder of one collection, `nix/var/hoist/trash/gc-XXXXXX`. Its lock says that the process
/// lives; what a dead one left is removed by the next collection.
#[derive(Debug)]
pub(super) struct Trash {
    dir: PathBuf,
    entries: usize,
    _lock: File,
}

impl Trash {
    /// Makes a folder. The caller holds the store's lock alone: between being made and being
    /// locked, the folder looks like one of a dead process.
    pub(super) fn create(layout: &Layout) -> Result<Self, FileError> {
        let area = layout.trash();
        create_dir_all(&area)?;
        let made = tempfile::Builder::new().prefix("gc-").tempdir_in(&area);
        let dir = made.map_err(FileError::at("create a folder in", &area))?.keep();
        let lock = File::open(&dir).map_err(FileError::at("open", &dir))?;
        try_exclusive(&lock).map_err(FileError::at("lock", &dir))?;
        Ok(Self { dir, entries: 0, _lock: lock })
    }

    /// Takes over the folders that dead processes left. The caller holds the store's lock alone.
    pub(super) fn abandoned(layout: &Layout) -> Result<Vec<Self>, FileError> {
        let area = layout.trash();
        let listed = || FileError::at("list", &area);
        let entries = match fs::read_dir(&area) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries.map_err(listed())?,
        };
        let mut abandoned = Vec::new();
        for entry in entries {
            let dir = entry.map_err(listed())?.path();
            let Ok(lock) = File::open(&dir) else { continue }; // its owner has just removed it
            if try_exclusive(&lock).map_err(FileError::at("lock", &dir))? {
                abandoned.push(Self { dir, entries: 0, _lock: lock });
            }
        }
        Ok(abandoned)
    }

    /// Takes a tree; nothing being there is fine.
    pub(super) fn take(&mut self, tree: &Path) -> Result<(), FileError> {
        let place = self.dir.join(self.entries.to_string());
        let moved = match fs::rename(tree, &place) {
            // Moving a directory to another one changes its entry `..`, unless root does it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                make_writable(tree).and_then(|()| fs::rename(tree, &place))
            }
            moved => moved,
        };
        match moved {
            Err(error) if is_absent(&error) => Ok(()),
            moved => {
                moved.map_err(FileError::at("move away", tree))?;
                self.entries += 1;
                Ok(())
            }
        }
    }

    /// The trees in it; none where they cannot be listed.
    pub(super) fn trees(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Removes the folder, which is empty unless a tree could not be removed.
    pub(super) fn remove(self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

fn make_writable(tree: &Path) -> io::Result<()> {
    if fs::symlink_metadata(tree)?.is_dir() {
        fs::set_permissions(tree, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
