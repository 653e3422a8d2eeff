//! Making and opening a database.

use std::path::Path;
use std::time::Duration;

use hoist_nix::StoreDir;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Database, database_error};
use crate::StoreError;

/// How long another process may hold the database before that is an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Source: `schema.sql` of Nix 2.8, schema 10.
const SCHEMA: &str = include_str!("schema.sql");

impl Database {
    /// Makes the tables that are not there yet.
    pub(crate) fn create(path: &Path) -> Result<(), StoreError> {
        let failed = |error| database_error(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        let tables = format!("begin immediate; {SCHEMA} commit;");
        connection.execute_batch(&tables).map_err(failed)
    }

    /// Opens the database for writing, or for reading where it cannot be written.
    pub(crate) fn open(path: &Path, store_dir: &StoreDir) -> Result<Self, StoreError> {
        let failed = |error| database_error(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        if let Err(error) = prepare(&connection) {
            if !is_write_protected(&connection, &error) {
                return Err(failed(error));
            }
            connection = open_immutable(path)?;
            prepare(&connection).map_err(failed)?;
        }
        Ok(Self { connection, path: path.to_owned(), store_dir: store_dir.clone() })
    }
}

/// Sets up a connection; the first look at the database finds out whether it can be read.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Nix leaves a commit to the next checkpoint. Here a profile may follow at once, and must not
    // be on disk before its path.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

/// `SQLite` reads a database with a write-ahead log only where it may write files beside it.
fn is_write_protected(connection: &Connection, error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    let refused = [ErrorCode::CannotOpen, ErrorCode::ReadOnly, ErrorCode::PermissionDenied];
    code.is_some_and(|code| refused.contains(&code)) && connection.is_readonly("main") == Ok(true)
}

/// Opens a database that cannot change, as nobody can write it.
fn open_immutable(path: &Path) -> Result<Connection, StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(path), flags)
        .map_err(|error| database_error(path, error))?;
    if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        let source = rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY_RECOVERY),
            None,
        );
        return Err(StoreError::DatabaseUnrecovered { path: path.to_owned(), source });
    }
    Ok(connection)
}

fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02x}").expect("a string takes every character");
        }
    }
    uri + "?immutable=1"
}
