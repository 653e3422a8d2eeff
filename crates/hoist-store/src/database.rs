//! The database of valid paths, as Nix has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_nix::{Sha256Hash, StoreDir, StorePath};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use crate::StoreError;

/// How long another process may hold the database before that is an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Source: `schema.sql` of Nix 2.8, schema 10.
const SCHEMA: &str = include_str!("schema.sql");

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

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    store_dir: StoreDir,
}

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

    pub(crate) fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        let text = self.store_dir.print(path);
        let sql = "select * from ValidPaths where path = ?";
        let row = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut query| query.query_row([text], RawInfo::read).optional())
            .map_err(|error| self.error(error))?;
        row.map(|row| self.info(row)).transpose()
    }

    pub(crate) fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        let text = self.store_dir.print(path);
        self.connection
            .prepare_cached("select 1 from ValidPaths where path = ?")
            .and_then(|mut query| query.exists([text]))
            .map_err(|error| self.error(error))
    }

    /// All valid paths, sorted.
    pub(crate) fn path_infos(&self) -> Result<Vec<PathInfo>, StoreError> {
        let rows = || {
            let mut query = self.connection.prepare("select * from ValidPaths order by path")?;
            query.query_map([], RawInfo::read)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = rows().map_err(|error| self.error(error))?;
        rows.into_iter().map(|row| self.info(row)).collect()
    }

    /// Enters a path without references; one that is there already stays as it is.
    pub(crate) fn register(
        &self,
        path: &StorePath,
        nar_hash: &Sha256Hash,
        nar_size: u64,
        registered_unix: u64,
        content_address: &str,
    ) -> Result<(), StoreError> {
        let sql = "insert into ValidPaths (path, hash, registrationTime, narSize, ca) \
                   values (?, ?, ?, ?, ?) on conflict (path) do nothing";
        let path = self.store_dir.print(path);
        let hash = format!("sha256:{}", nar_hash.base16());
        self.connection
            .execute(sql, params![path, hash, registered_unix, nar_size, content_address])
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    fn info(&self, raw: RawInfo) -> Result<PathInfo, StoreError> {
        let path = self.parse_path(&raw.path)?;
        let nar_hash = Sha256Hash::parse(&raw.hash)
            .map_err(|source| StoreError::RowHash { store_path: path.clone(), source })?;
        let deriver = raw.deriver.filter(|deriver| !deriver.is_empty());
        Ok(PathInfo {
            nar_hash,
            nar_size: raw.nar_size,
            registered_unix: raw.registered_unix,
            deriver: deriver.map(|deriver| self.parse_path(&deriver)).transpose()?,
            references: self.references(raw.id)?,
            ultimate: raw.ultimate.unwrap_or(false),
            signatures: raw.signatures.split_whitespace().map(str::to_owned).collect(),
            content_address: raw.content_address.filter(|address| !address.is_empty()),
            path,
        })
    }

    fn references(&self, id: i64) -> Result<Vec<StorePath>, StoreError> {
        let sql = "select path from Refs join ValidPaths on reference = id \
                   where referrer = ? order by path";
        let read = || {
            let mut query = self.connection.prepare_cached(sql)?;
            query.query_map([id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        };
        let paths = read().map_err(|error| self.error(error))?;
        paths.iter().map(|path| self.parse_path(path)).collect()
    }

    fn parse_path(&self, text: &str) -> Result<StorePath, StoreError> {
        let row_path = |source| StoreError::RowPath { path: self.path.clone(), source };
        self.store_dir.parse_path(text).map_err(row_path)
    }

    fn error(&self, error: rusqlite::Error) -> StoreError {
        database_error(&self.path, error)
    }
}

/// A row as it is.
struct RawInfo {
    id: i64,
    path: String,
    hash: String,
    registered_unix: u64,
    deriver: Option<String>,
    nar_size: Option<u64>,
    ultimate: Option<bool>,
    signatures: String,
    content_address: Option<String>,
}

impl RawInfo {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            path: row.get("path")?,
            hash: row.get("hash")?,
            registered_unix: row.get("registrationTime")?,
            deriver: row.get("deriver")?,
            nar_size: row.get("narSize")?,
            ultimate: row.get("ultimate")?,
            signatures: row.get::<_, Option<String>>("sigs")?.unwrap_or_default(),
            content_address: row.get("ca")?,
        })
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
