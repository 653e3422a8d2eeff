//! Entering paths.

use hoist_nix::{Sha256Hash, StorePath};
use rusqlite::params;

use super::Database;
use crate::StoreError;

impl Database {
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
}
