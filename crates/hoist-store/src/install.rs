//! Moving finished trees to their paths and registering them: the order of writes that makes a
//! crash harmless.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hoist_nix::StorePath;

use crate::database::OutputOf;
use crate::lock::PathLock;
use crate::temp::TempDir;
use crate::tree::{remove_tree, seal, sync_dir};
use crate::{FileError, PathInfo, Store, StoreError};

/// A tree that is complete and on disk, but not at its path.
#[derive(Debug)]
pub(crate) struct Staged {
    /// What is to be registered of it; the time is that of its installation.
    pub(crate) info: PathInfo,
    /// Where it lies, in a [`TempDir`].
    pub(crate) tree: PathBuf,
}

impl Store {
    /// Moves trees to their paths and registers them in one transaction. Returns of each whether
    /// another was faster.
    ///
    /// Each holds a file open meanwhile: a long closure comes in several parts, references first.
    pub(crate) fn install(
        &self,
        staged: &[Staged],
        temp: &TempDir,
    ) -> Result<Vec<bool>, StoreError> {
        let _locks = self.lock_all(staged)?;
        let is_there = |staged: &Staged| self.is_there(&staged.info.path);
        let there: Vec<bool> = staged.iter().map(is_there).collect::<Result<_, _>>()?;
        let absent: Vec<&Staged> =
            staged.iter().zip(&there).filter(|(_, there)| !**there).map(|(new, _)| new).collect();
        if absent.is_empty() {
            return Ok(there);
        }
        let outputs = self.outputs_of(&absent)?;
        // What lies there without being registered is what a crash left, or nobody knows what.
        for (index, new) in absent.iter().enumerate() {
            set_aside(&self.physical(&new.info.path), temp, index)?;
        }
        temp.announce(absent.iter().map(|new| &new.info.path))?;
        let registered = self.move_and_register(&absent, &outputs);
        if registered.is_err() {
            for new in absent {
                if !self.may_be_valid(&new.info.path) {
                    // What cannot be removed is unregistered, and replaced when it is added again.
                    let _ = remove_tree(&self.physical(&new.info.path));
                }
            }
        }
        registered.map(|()| there)
    }

    /// Locks the paths in the order of their names, so that two who want the same never wait for
    /// each other.
    fn lock_all(&self, staged: &[Staged]) -> Result<Vec<PathLock>, FileError> {
        let mut targets: Vec<PathBuf> =
            staged.iter().map(|staged| self.physical(&staged.info.path)).collect();
        targets.sort_unstable();
        targets.dedup();
        targets.iter().map(|target| PathLock::acquire(target)).collect()
    }

    /// Enters trees into the database, once they are sure to stay at their paths.
    fn move_and_register(
        &self,
        staged: &[&Staged],
        outputs: &[OutputOf],
    ) -> Result<(), StoreError> {
        for new in staged {
            let target = self.physical(&new.info.path);
            fs::rename(&new.tree, &target).map_err(FileError::at("move the tree to", &target))?;
            seal(&target)?;
        }
        sync_dir(&self.layout.store())?;
        let registered_unix =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let at_this_time = |new: &&Staged| PathInfo { registered_unix, ..new.info.clone() };
        let infos: Vec<PathInfo> = staged.iter().map(at_this_time).collect();
        self.database()?.register(&infos, outputs)
    }

    /// Whether the store vouches for `path`, or cannot tell.
    fn may_be_valid(&self, path: &StorePath) -> bool {
        self.database().and_then(|database| database.is_valid(path)).unwrap_or(true)
    }

    /// Whether the store vouches for `path` and has it.
    pub(crate) fn is_there(&self, path: &StorePath) -> Result<bool, StoreError> {
        // The database comes first: one that cannot be opened, as on a full disk where it has to
        // make files beside it, is known before anything is moved to its path.
        let is_valid = self.database()?.is_valid(path)?;
        Ok(is_valid && fs::symlink_metadata(self.physical(path)).is_ok())
    }
}

/// Moves a leftover out of the way, into the folder that is removed next.
fn set_aside(target: &Path, temp: &TempDir, index: usize) -> Result<(), FileError> {
    if fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    match fs::rename(target, temp.path().join(format!("leftover-{index}"))) {
        // A read-only directory cannot be moved, only removed, unless by root.
        Err(_) => remove_tree(target),
        Ok(()) => Ok(()),
    }
}
