//! Opening a store and asking it about paths.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use hoist_nix::{StoreDir, StorePath};

use crate::database::Database;
use crate::layout::Layout;
use crate::lock::FileLock;
use crate::temp_roots::TempRoots;
use crate::{PathInfo, StoreError};

/// A store below a root of its own.
///
/// Each thread opens its own; stores on one root meet on locks, as do processes.
#[derive(Debug)]
pub struct Store {
    pub(crate) layout: Layout,
    dir: StoreDir,
    /// Opened when the first question needs it.
    database: OnceCell<Database>,
    /// Keeps schema changes away while the database is open.
    schema_lock: OnceCell<Option<FileLock>>,
    /// Keeps collections of garbage away from what was added and is no root yet.
    gc_lock: OnceCell<FileLock>,
    /// Keeps single paths away from them.
    pub(crate) temp_roots: OnceCell<TempRoots>,
}

impl Store {
    /// Opens the store below `root`, which hoist or Nix made.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAStore`] when there is none, [`StoreError::SchemaVersion`] when it has
    /// another schema.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let layout = Layout::new(root)?;
        layout.check()?;
        Ok(Self {
            layout,
            dir: StoreDir::default(),
            database: OnceCell::new(),
            schema_lock: OnceCell::new(),
            gc_lock: OnceCell::new(),
            temp_roots: OnceCell::new(),
        })
    }

    /// Opens the store below `root`, after making an empty one where there is none.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`StoreError::File`] when a part of it cannot be made.
    pub fn open_or_create(root: &Path) -> Result<Self, StoreError> {
        match Self::open(root) {
            Err(StoreError::NotAStore { .. }) => {
                Layout::new(root)?.create()?;
                Self::open(root)
            }
            opened => opened,
        }
    }

    /// The root, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The directory that store paths are named by, `/nix/store` wherever the root is.
    #[must_use]
    pub fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Where `path` lies, or would lie, on disk.
    #[must_use]
    pub fn physical(&self, path: &StorePath) -> PathBuf {
        self.layout.store().join(path.as_str())
    }

    /// Returns what the store knows of `path`; `None` when it does not vouch for it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database cannot be read.
    pub fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        self.database()?.path_info(path)
    }

    /// Returns what the store knows of all its paths, sorted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database cannot be read.
    pub fn list(&self) -> Result<Vec<PathInfo>, StoreError> {
        self.database()?.path_infos()
    }

    pub(crate) fn database(&self) -> Result<&Database, StoreError> {
        if let Some(database) = self.database.get() {
            return Ok(database);
        }
        // Where the lock cannot be taken for want of permission, nobody can change the schema on
        // our behalf, and reading needs no more.
        let lock = FileLock::shared(&self.layout.big_lock()).ok();
        self.schema_lock.get_or_init(|| lock);
        let database = Database::open(&self.layout.database(), &self.dir)?;
        Ok(self.database.get_or_init(|| database))
    }

    /// From now on, and as long as the store is open, no collection of garbage runs: the time to
    /// make a root of a path that was found.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] when the lock cannot be taken.
    pub fn hold_off_collection(&self) -> Result<(), StoreError> {
        if self.gc_lock.get().is_none() {
            let lock = FileLock::shared(&self.layout.gc_lock())?;
            self.gc_lock.get_or_init(|| lock);
        }
        Ok(())
    }

    /// Whether this store keeps collections of garbage from running.
    pub(crate) fn holds_off_collection(&self) -> bool {
        self.gc_lock.get().is_some()
    }
}
