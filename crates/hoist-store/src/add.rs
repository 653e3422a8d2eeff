//! Adding trees to a store.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use hoist_nix::{ContentAddress, Sha256Hash, StorePath, StorePathName, fixed_recursive_sha256};

use crate::install::Staged;
use crate::stat_cache::StatCache;
use crate::temp::{self, TempDir};
use crate::tree::{copy_canonical, read_tree};
use crate::{FileError, PathInfo, Store, StoreError};

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
    /// at the same time waits and finds it there. A tree that was added before, and that nothing in
    /// was changed since as far as `stat` tells, is not read again. As long as the store is open
    /// afterwards, Nix collects no garbage in it: the time to make a root of the path.
    ///
    /// # Errors
    ///
    /// [`StoreError::Tree`] when the tree cannot be read or copied, [`StoreError::DerivationName`],
    /// and all that opening the database for writing can meet. Nothing is added then.
    pub fn add_tree(&self, name: &StorePathName, source: &Path) -> Result<Added, StoreError> {
        if name.is_derivation() {
            return Err(StoreError::DerivationName { name: name.as_str().to_owned() });
        }
        let cache = StatCache::new(self.layout.stat_cache());
        if let Some((nar_hash, nar_size)) = cache.look_up(source) {
            let known = self.by_content(name, nar_hash, nar_size)?;
            if known.already_there {
                temp::tidy(self);
                return Ok(known);
            }
        } else if self.has_name(name)? {
            // Adding again what is there must not write; a path of that name makes it likely.
            let begun = SystemTime::now();
            let read = read_tree(source)?;
            cache.remember(source, &read, begun);
            let known = self.by_content(name, read.nar_hash, read.nar_size)?;
            if known.already_there {
                temp::tidy(self);
                return Ok(known);
            }
        }
        let temp = TempDir::create(self)?;
        let copied = OsStr::new("tree");
        let begun = SystemTime::now();
        let read = copy_canonical(source, temp.path(), copied)?;
        let mut added = self.by_content(name, read.nar_hash, read.nar_size)?;
        if !added.already_there {
            let staged = Staged { info: path_info(&added), tree: temp.path().join(copied) };
            added.already_there = self.install(&[staged], &temp)?[0];
        }
        cache.remember(source, &read, begun);
        Ok(added)
    }

    /// The path of a tree with that NAR, and whether the store has it; from now on no collection
    /// takes it away.
    fn by_content(
        &self,
        name: &StorePathName,
        nar_hash: Sha256Hash,
        nar_size: u64,
    ) -> Result<Added, StoreError> {
        let path = fixed_recursive_sha256(self.dir(), name, &nar_hash);
        self.hold_off_collection()?;
        let already_there = self.is_there(&path)?;
        Ok(Added { path, nar_hash, nar_size, already_there })
    }

    /// Whether some path of that name lies in the store.
    fn has_name(&self, name: &StorePathName) -> Result<bool, StoreError> {
        let dir = self.layout.store();
        let ending = format!("-{}", name.as_str());
        let entries = fs::read_dir(&dir).map_err(FileError::at("list", &dir))?;
        let is_alike = |entry: fs::DirEntry| entry.file_name().to_string_lossy().ends_with(&ending);
        Ok(entries.flatten().any(is_alike))
    }
}

/// What is registered of a tree that is named by its content.
fn path_info(added: &Added) -> PathInfo {
    PathInfo {
        path: added.path.clone(),
        nar_hash: added.nar_hash,
        nar_size: Some(added.nar_size),
        registered_unix: 0,
        deriver: None,
        references: Vec::new(),
        ultimate: false,
        signatures: Vec::new(),
        content_address: Some(ContentAddress::Recursive(added.nar_hash.into()).to_string()),
    }
}
