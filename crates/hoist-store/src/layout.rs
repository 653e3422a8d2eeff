//! Where the parts of a store lie below its root.
//!
//! Source: what `nix-store --store 'local?root=ROOT' --init` makes, Nix 2.8 and 2.26.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use crate::database::Database;
use crate::lock::FileLock;
use crate::tree::sync_dir;
use crate::{FileError, StoreError};

/// The schema that Nix has had since 2015.
const SCHEMA: u32 = 10;

/// What Nix keeps back, to be given up when a collection of garbage finds the disk full.
const RESERVED_SIZE: u64 = 8 * 1024 * 1024;

/// The paths of a store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Result<Self, FileError> {
        let root = std::path::absolute(root).map_err(FileError::at("find", root))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the store paths lie.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("nix/store")
    }

    /// Where Nix keeps a link to each distinct file, when it shares equal ones.
    pub(crate) fn shared_files(&self) -> PathBuf {
        self.store().join(".links")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.database_dir().join("db.sqlite")
    }

    /// Held shared while the database is open, alone while its schema changes.
    pub(crate) fn big_lock(&self) -> PathBuf {
        self.database_dir().join("big-lock")
    }

    /// Held shared while paths are added, alone by a collection of garbage.
    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.state("gc.lock")
    }

    /// What processes keep from being collected as long as they live.
    pub(crate) fn temp_roots(&self) -> PathBuf {
        self.state("temproots")
    }

    /// Where a running collection of garbage is told of new roots.
    pub(crate) fn gc_socket(&self) -> PathBuf {
        self.state("gc-socket/socket")
    }

    /// Links that keep paths from being collected.
    pub(crate) fn gc_roots(&self) -> PathBuf {
        self.state("gcroots")
    }

    /// Links to the links that keep paths from being collected and lie anywhere.
    pub(crate) fn auto_roots(&self) -> PathBuf {
        self.gc_roots().join("auto")
    }

    /// Links that keep paths because somebody said so.
    pub(crate) fn pins(&self) -> PathBuf {
        self.gc_roots().join("hoist")
    }

    pub(crate) fn profiles(&self) -> PathBuf {
        self.state("profiles")
    }

    /// What hoist knows of the generations of all profiles.
    pub(crate) fn generations(&self) -> PathBuf {
        self.root.join("nix/var/hoist/generations")
    }

    /// Where trees lie that nothing needs any more, until they are removed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("nix/var/hoist/trash")
    }

    /// What is known of trees that were added, by what `stat` says of them.
    pub(crate) fn stat_cache(&self) -> PathBuf {
        self.root.join("nix/var/hoist/stat")
    }

    /// Where trees are made that will be store paths.
    pub(crate) fn temp(&self) -> PathBuf {
        self.root.join("nix/var/hoist/tmp")
    }

    /// Checks that there is a store of the right schema.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let schema = self.schema_file();
        let found = match fs::read_to_string(&schema) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => {
                return Err(StoreError::NotAStore { root: self.root.clone() });
            }
            Err(error) => return Err(FileError::at("read", &schema)(error).into()),
        };
        if found.trim() == SCHEMA.to_string() {
            return Ok(());
        }
        let found = found.trim().chars().take(20).collect();
        Err(StoreError::SchemaVersion { root: self.root.clone(), found, wanted: SCHEMA })
    }

    /// Makes an empty store; the schema file, made last, says that it is whole.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        let dirs = ["temproots", "profiles/per-user", "gcroots/per-user", "db"];
        for dir in dirs.map(|dir| self.state(dir)).into_iter().chain([self.shared_files()]) {
            create_dir_all(&dir)?;
        }
        let gcroot = self.state("gcroots/profiles");
        match symlink(self.profiles(), &gcroot) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(FileError::at("create", &gcroot)(error).into());
            }
            _ => {}
        }
        // Two that create at the same time take turns; the second finds a store.
        let _lock = FileLock::exclusive(&self.big_lock())?;
        if self.schema_file().exists() {
            return self.check();
        }
        self.reserve_space();
        Database::create(&self.database())?;
        Ok(replace_file(&self.schema_file(), SCHEMA.to_string().as_bytes())?)
    }

    /// A store without the reserve works as well; Nix makes it again at every start.
    pub(crate) fn reserve_space(&self) {
        let path = self.reserve();
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let reserved = file
            .map_err(|_| rustix::io::Errno::IO)
            .and_then(|file| fallocate(&file, FallocateFlags::empty(), 0, RESERVED_SIZE));
        if reserved.is_err() {
            let _ = fs::remove_file(&path);
        }
    }

    /// Gives the reserve up, so that a full disk takes what a collection of garbage writes.
    pub(crate) fn release_space(&self) {
        let _ = fs::remove_file(self.reserve()); // there may be none
    }

    fn reserve(&self) -> PathBuf {
        self.database_dir().join("reserved")
    }

    fn database_dir(&self) -> PathBuf {
        self.state("db")
    }

    fn schema_file(&self) -> PathBuf {
        self.database_dir().join("schema")
    }

    fn state(&self, path: &str) -> PathBuf {
        self.root.join("nix/var/nix").join(path)
    }
}

/// Makes a directory and those above it as Nix makes them.
pub(crate) fn create_dir_all(dir: &Path) -> Result<(), FileError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
    made.map_err(FileError::at("create", dir))
}

/// Replaces a file by one rename, so that it has its old contents or all of the new. The caller
/// holds a lock that keeps others from doing so at the same time.
pub(crate) fn replace_file(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let dir = path.parent().expect("a file of the store is in a directory");
    let new = path.with_added_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(FileError::at("write", path))?;
    sync_dir(dir)
}

/// Whether the error says that a file is not there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
