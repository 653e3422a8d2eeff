//! Why the store or a tree could not be read or changed.

use std::io;
use std::path::{Path, PathBuf};

use hoist_nix::{
    ExportError, HashError, NarError, NarWriteError, Sha256Hash, StorePath, StorePathError,
};

use crate::{AddNarError, DaemonError};

/// One operation on one file that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct FileError {
    /// What was tried, as in “cannot … `path`”.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Makes an error of what the system said, for `map_err`.
    pub(crate) fn at<E: Into<io::Error>>(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self.source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Some(READ_ONLY_HINT),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(DISK_FULL_HINT),
            io::ErrorKind::PermissionDenied => {
                Some("run it as the user that owns the store, or choose a store of your own")
            }
            _ => None,
        }
    }
}

const READ_ONLY_HINT: &str =
    "mount the file system writable, or choose a store on another one (`--store`)";
const DISK_FULL_HINT: &str = "free some space on its file system; nothing was added";

/// Why a tree could not be archived, restored or copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum TreeError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// Sockets, devices and pipes have no place in an archive.
    #[error("`{}` is a {kind}, wanted a file, a directory or a symlink", path.display())]
    Unsupported { path: PathBuf, kind: &'static str },

    /// A file that changed while it was read.
    #[error("`{}` changed while it was read", path.display())]
    Changed { path: PathBuf },

    /// Directories inside directories beyond the limit.
    #[error("`{}` is more than {limit} directories deep", path.display())]
    TooDeep { path: PathBuf, limit: usize },

    /// The archive could not be written.
    #[error("cannot archive `{}`", path.display())]
    Write { path: PathBuf, source: NarWriteError },

    /// The archive is none.
    #[error("cannot restore `{}`", path.display())]
    Read { path: PathBuf, source: NarError },
}

impl TreeError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Unsupported { .. } => Some("remove it from the tree"),
            Self::Changed { .. } => Some("wait until nothing writes there, then try again"),
            Self::TooDeep { .. } | Self::Write { .. } | Self::Read { .. } => None,
        }
    }
}

/// Why the store could not answer or take a tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StoreError {
    /// A file of the store could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The tree could not be read or copied.
    #[error(transparent)]
    Tree(#[from] TreeError),

    /// What was offered as a path and its NAR is not taken.
    #[error(transparent)]
    AddNar(#[from] AddNarError),

    /// The daemon that keeps the store could not be asked, or said no.
    #[error(transparent)]
    Daemon(#[from] DaemonError),

    /// A stream of several paths is none, or could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),

    /// The store does not vouch for the path.
    #[error("store path `{path}` is not in the store")]
    NotInStore { path: StorePath },

    /// A link that would not keep what it points to.
    #[error("`{}` cannot be a root: {why}", link.display())]
    Root { link: PathBuf, why: &'static str },

    /// The path has other contents than were registered.
    #[error("`{path}` was modified: its hash is {found}, registered is {expected}")]
    Modified { path: StorePath, found: Sha256Hash, expected: Sha256Hash },

    /// No store was made below this folder yet.
    #[error("`{}` holds no store", root.display())]
    NotAStore { root: PathBuf },

    /// A schema that this version does not know.
    #[error("the store at `{}` has schema `{found}`, wanted {wanted}", root.display())]
    SchemaVersion { root: PathBuf, found: String, wanted: u32 },

    /// Nix parses every store path of this name as a derivation.
    #[error("name `{name}` ends with `.drv`, which is for derivations only")]
    DerivationName { name: String },

    /// The file system was full when the database was written.
    #[error("the file system of `{}` is full", path.display())]
    DiskFull { path: PathBuf, source: rusqlite::Error },

    /// Another process held the database for longer than the time-out.
    #[error("database `{}` is in use by another process", path.display())]
    DatabaseBusy { path: PathBuf, source: rusqlite::Error },

    /// The database is damaged, or none at all.
    #[error("database `{}` is damaged", path.display())]
    DatabaseCorrupt { path: PathBuf, source: rusqlite::Error },

    /// The database cannot be written.
    #[error("database `{}` is read-only", path.display())]
    DatabaseReadOnly { path: PathBuf, source: rusqlite::Error },

    /// Changes wait beside the database, and only a writer may bring them in.
    #[error("database `{}` has changes that only a writer can bring in", path.display())]
    DatabaseUnrecovered { path: PathBuf, source: rusqlite::Error },

    /// Anything else that the database refused.
    #[error("database `{}` failed", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },

    /// A row names something that is no store path.
    #[error("database `{}` has a row whose path is wrong", path.display())]
    RowPath { path: PathBuf, source: StorePathError },

    /// A row has something that is no hash.
    #[error("the database's row of `{store_path}` has a wrong hash")]
    RowHash { store_path: StorePath, source: HashError },
}

impl StoreError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Tree(error) => error.hint(),
            Self::AddNar(error) => error.hint(),
            Self::Daemon(error) => error.hint(),
            Self::Root { .. } => Some("choose another place for the link"),
            Self::Modified { .. } => Some("`hoist store verify` says what else was modified"),
            Self::NotAStore { .. } => Some("`hoist ship` makes one; or name another (`--store`)"),
            Self::SchemaVersion { .. } => Some("use the version of hoist or Nix that wrote it"),
            Self::DerivationName { .. } => Some("choose a name that ends otherwise"),
            Self::DiskFull { .. } => Some(DISK_FULL_HINT),
            Self::DatabaseBusy { .. } => Some("wait for the other process, then try again"),
            Self::DatabaseCorrupt { .. } | Self::RowPath { .. } | Self::RowHash { .. } => {
                Some("restore the database from a copy, or move the store away and ship again")
            }
            Self::DatabaseReadOnly { .. } => Some(READ_ONLY_HINT),
            Self::DatabaseUnrecovered { .. } => Some("open the store once where it can be written"),
            Self::Export(_) | Self::NotInStore { .. } | Self::Database { .. } => None,
        }
    }
}

/// Why a profile could not be read or switched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ProfileError {
    /// A file of the profile could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),

    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// A name that would be a hidden file, lead elsewhere or look like a generation.
    #[error("`{name}` cannot name a profile: {why}")]
    Name { name: String, why: &'static str },

    /// A generation must be of a path that the store vouches for.
    #[error("store path `{path}` is not in the store")]
    NotInStore { path: StorePath },

    /// The profile has no such generation.
    #[error("profile `{profile}` has no generation {number}")]
    NoGeneration { profile: String, number: u64 },

    /// The profile points nowhere.
    #[error("profile `{profile}` has no generation")]
    NoGenerations { profile: String },

    /// Nothing to go back to.
    #[error("profile `{profile}` has no generation before {current} that is not marked bad")]
    NoOlderGeneration { profile: String, current: u64 },

    /// The current generation is never deleted.
    #[error("generation {number} is the current one of profile `{profile}`")]
    CurrentGeneration { profile: String, number: u64 },

    /// Something else lies where a link belongs.
    #[error("`{}` is not a link to a {wanted}", path.display())]
    NotALink { path: PathBuf, wanted: &'static str },
}

impl ProfileError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Name { .. } => Some("use letters, digits and `+-._?=`"),
            Self::NotInStore { .. } => Some("add it first: `hoist ship` or `hoist pack`"),
            Self::NoGeneration { .. } | Self::NoOlderGeneration { .. } => {
                Some("`hoist generations` lists what there is")
            }
            Self::CurrentGeneration { .. } => Some("switch to another one first"),
            Self::NoGenerations { .. } => Some("`hoist ship` makes the first"),
            Self::NotALink { .. } => Some("move it away"),
        }
    }
}
