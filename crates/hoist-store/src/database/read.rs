//! What the database knows.

use hoist_nix::{Sha256Hash, StorePath};
use rusqlite::{OptionalExtension, Row};

use super::{Database, PathInfo};
use crate::StoreError;

impl Database {
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
    pub(crate) fn paths(&self) -> Result<Vec<StorePath>, StoreError> {
        let read = || {
            let mut query = self.connection.prepare("select path from ValidPaths order by path")?;
            query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        };
        let paths = read().map_err(|error| self.error(error))?;
        paths.iter().map(|path| self.parse_path(path)).collect()
    }

    /// What is known of all valid paths, sorted by path.
    pub(crate) fn path_infos(&self) -> Result<Vec<PathInfo>, StoreError> {
        let rows = || {
            let mut query = self.connection.prepare("select * from ValidPaths order by path")?;
            query.query_map([], RawInfo::read)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = rows().map_err(|error| self.error(error))?;
        rows.into_iter().map(|row| self.info(row)).collect()
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
