//! Adding trees to a store.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hoist_nix::{ContentAddress, Sha256Hash, StorePath, StorePathName, fixed_recursive_sha256};

use crate::lock::PathLock;
use crate::temp::TempDir;
use crate::tree::{copy_canonical, hash_tree, remove_tree, seal, sync_dir};
use crate::{FileError, Store, StoreError};

/// What became of a tree that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its store path, which follows from its name and its contents.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: Sha256Hash,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// Whether the store had it before.
    pub already_there: bool,
}

impl Store {
    /// Adds the tree at `source` by its contents, as `nix-store --add-fixed --recursive sha256`
    /// does.
    ///
    /// The tree is copied while it is hashed, written to disk, moved to its path and registered;
    /// ended at any moment, the store has all of it or does not know of it. Who adds the same tree
    /// at the same time waits and finds it there. As long as the store is open afterwards, Nix
    /// collects no garbage in it: the time to make a root of the path.
    ///
    /// # Errors
    ///
    /// [`StoreError::Tree`] when the tree cannot be read or copied, [`StoreError::DerivationName`],
    /// and all that opening the database for writing can meet. Nothing is added then.
    pub fn add_tree(&self, name: &StorePathName, source: &Path) -> Result<Added, StoreError> {
        if name.is_derivation() {
            return Err(StoreError::DerivationName { name: name.as_str().to_owned() });
        }
        // Adding again what is there must not write; a path of that name makes it likely.
        if self.has_name(name)? {
            let (nar_hash, nar_size) = hash_tree(source)?;
            let path = fixed_recursive_sha256(self.dir(), name, &nar_hash);
            self.hold_off_collection()?;
            if self.is_there(&path)? {
                return Ok(Added { path, nar_hash, nar_size, already_there: true });
            }
        }
        let temp = TempDir::create(self)?;
        let copied = OsStr::new("tree");
        let (nar_hash, nar_size) = copy_canonical(source, temp.path(), copied)?;
        let path = fixed_recursive_sha256(self.dir(), name, &nar_hash);
        self.hold_off_collection()?;
        let mut added = Added { path, nar_hash, nar_size, already_there: true };
        if !self.is_there(&added.path)? {
            added.already_there = self.install(&added, &temp.path().join(copied), &temp)?;
        }
        Ok(added)
    }

    /// Whether some path of that name lies in the store.
    fn has_name(&self, name: &StorePathName) -> Result<bool, StoreError> {
        let dir = self.layout.store();
        let ending = format!("-{}", name.as_str());
        let entries = fs::read_dir(&dir).map_err(FileError::at("list", &dir))?;
        let is_alike = |entry: fs::DirEntry| entry.file_name().to_string_lossy().ends_with(&ending);
        Ok(entries.flatten().any(is_alike))
    }

    /// Moves a copied tree to its path and registers it. Returns whether another was faster.
    fn install(&self, added: &Added, tree: &Path, temp: &TempDir) -> Result<bool, StoreError> {
        let target = self.physical(&added.path);
        let _lock = PathLock::acquire(&target)?;
        if self.is_there(&added.path)? {
            return Ok(true);
        }
        // What lies there without being registered is what a crash left, or nobody knows what.
        set_aside(&target, temp)?;
        temp.announce(&added.path)?;
        fs::rename(tree, &target).map_err(FileError::at("move the tree to", &target))?;
        let registered = self.register(added, &target);
        if registered.is_err() && !self.may_be_valid(&added.path) {
            // What cannot be removed is unregistered, and replaced when it is added again.
            let _ = remove_tree(&target);
        }
        registered.map(|()| false)
    }

    /// Enters a tree that is at its path into the database, once it is sure to stay there.
    fn register(&self, added: &Added, target: &Path) -> Result<(), StoreError> {
        seal(target)?;
        sync_dir(&self.layout.store())?;
        let address = ContentAddress::Recursive(added.nar_hash.into()).to_string();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let database = self.database()?;
        database.register(&added.path, &added.nar_hash, added.nar_size, now, &address)
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
fn set_aside(target: &Path, temp: &TempDir) -> Result<(), FileError> {
    if fs::symlink_metadata(target).is_err() {
        return Ok(());
    }
    match fs::rename(target, temp.path().join("leftover")) {
        // A read-only directory cannot be moved, only removed, unless by root.
        Err(_) => remove_tree(target),
        Ok(()) => Ok(()),
    }
}
