//! The database of valid paths, as Nix has it.

mod collect;
mod open;
mod order;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use hoist_nix::{Sha256Hash, StoreDir, StorePath};
use rusqlite::{Connection, ErrorCode};

pub(crate) use self::order::references_first;
pub(crate) use self::write::OutputOf;
use crate::StoreError;

pub(crate) use self::collect::ValidPath;

/// What the store knows of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: Sha256Hash,
    /// Size of its NAR in bytes; none in databases of very old versions of Nix.
    pub nar_size: Option<u64>,
    /// When it was added, in seconds since 1970.
    pub registered_unix: u64,
    /// The derivation that it is an output of, where Nix built it.
    pub deriver: Option<StorePath>,
    /// The paths that it needs, sorted; itself among them when it holds its own path.
    pub references: Vec<StorePath>,
    /// Whether it was built here, so that no signature is needed to trust it.
    pub ultimate: bool,
    /// Signatures, each `KEY-NAME:BASE64`.
    pub signatures: Vec<String>,
    /// Its content address as text; hoist's paths all have `fixed:r:sha256:…`.
    pub content_address: Option<String>,
}

/// An open database; what is asked of it lies in the files of this folder.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    store_dir: StoreDir,
}

impl Database {
    fn error(&self, error: rusqlite::Error) -> StoreError {
        database_error(&self.path, error)
    }
}

fn database_error(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path, source },
        // `SQLite` has many names for a failed write; a full disk is the usual cause.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_disk_full(&path) => {
            StoreError::DiskFull { path, source }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::DatabaseBusy { path, source }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::DatabaseCorrupt { path, source }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::DatabaseReadOnly { path, source }
        }
        _ => StoreError::Database { path, source },
    }
}

/// Whether the file system has not even room for what the database writes at least.
fn is_disk_full(path: &Path) -> bool {
    const NEEDED: u64 = 128 * 1024;
    let dir = path.parent().unwrap_or(path);
    rustix::fs::statvfs(dir).is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < NEEDED)
}
