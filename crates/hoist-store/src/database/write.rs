//! Entering paths.

use hoist_nix::{Signature, StorePath};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::order::references_first;
use super::{Database, PathInfo};
use crate::{AddNarError, StoreError};

/// That a derivation makes a path, whether or not that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputOf {
    pub(crate) derivation: StorePath,
    /// The name of the output, such as `out`.
    pub(crate) name: String,
    pub(crate) path: StorePath,
}

impl Database {
    /// Enters paths with their references in one transaction. What is said of a path that is there
    /// already replaces what was said before, but for the time.
    ///
    /// - `outputs`: those of the derivations among `infos`.
    pub(crate) fn register(
        &self,
        infos: &[PathInfo],
        outputs: &[OutputOf],
    ) -> Result<(), StoreError> {
        let ordered = references_first(infos)?;
        let transaction = self.transaction()?;
        for info in ordered {
            self.register_one(&transaction, info)?;
        }
        for output in outputs {
            self.enter_output(&transaction, output).map_err(|error| self.error(error))?;
        }
        transaction.commit().map_err(|error| self.error(error))
    }

    /// Adds those signatures to a valid path that it does not have.
    pub(crate) fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &[Signature],
    ) -> Result<(), StoreError> {
        let transaction = self.transaction()?;
        let Some(mut info) = self.path_info(path)? else {
            return Err(StoreError::NotInStore { path: path.clone() });
        };
        info.signatures.extend(signatures.iter().map(ToString::to_string));
        let sql = "update ValidPaths set sigs = ? where path = ?";
        transaction
            .prepare_cached(sql)
            .and_then(|mut update| {
                update.execute(params![signatures_text(&info), self.store_dir.print(path)])
            })
            .and_then(|_| transaction.commit())
            .map_err(|error| self.error(error))
    }

    /// A transaction that no other writer can come before.
    fn transaction(&self) -> Result<Transaction<'_>, StoreError> {
        Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
            .map_err(|error| self.error(error))
    }

    fn register_one(&self, connection: &Connection, info: &PathInfo) -> Result<(), StoreError> {
        let failed = |error| self.error(error);
        let id = self.enter_row(connection, info).map_err(failed)?;
        connection
            .prepare_cached("delete from Refs where referrer = ?")
            .and_then(|mut delete| delete.execute([id]))
            .map_err(failed)?;
        for reference in &info.references {
            let Some(reference_id) = self.id(connection, reference).map_err(failed)? else {
                let (path, reference) = (info.path.clone(), reference.clone());
                return Err(AddNarError::Reference { path, reference }.into());
            };
            connection
                .prepare_cached("insert or ignore into Refs (referrer, reference) values (?, ?)")
                .and_then(|mut insert| insert.execute([id, reference_id]))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Returns the row's number.
    fn enter_row(&self, connection: &Connection, info: &PathInfo) -> rusqlite::Result<i64> {
        let sql = "insert into ValidPaths \
                   (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) \
                   values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (path) do update set \
                   hash = excluded.hash, deriver = excluded.deriver, narSize = excluded.narSize, \
                   ultimate = excluded.ultimate, sigs = excluded.sigs, ca = excluded.ca \
                   returning id";
        let row = params![
            self.store_dir.print(&info.path),
            format!("sha256:{}", info.nar_hash.base16()),
            info.registered_unix,
            info.deriver.as_ref().map(|deriver| self.store_dir.print(deriver)),
            info.nar_size,
            info.ultimate.then_some(1),
            signatures_text(info),
            info.content_address,
        ];
        connection.prepare_cached(sql)?.query_row(row, |row| row.get(0))
    }

    fn enter_output(&self, connection: &Connection, output: &OutputOf) -> rusqlite::Result<()> {
        let sql = "insert or replace into DerivationOutputs (drv, id, path) \
                   select id, ?, ? from ValidPaths where path = ?";
        let (path, derivation) =
            (self.store_dir.print(&output.path), self.store_dir.print(&output.derivation));
        connection.prepare_cached(sql)?.execute([&output.name, &path, &derivation]).map(|_| ())
    }

    fn id(&self, connection: &Connection, path: &StorePath) -> rusqlite::Result<Option<i64>> {
        let mut query = connection.prepare_cached("select id from ValidPaths where path = ?")?;
        query.query_row([self.store_dir.print(path)], |row| row.get(0)).optional()
    }
}

/// The signatures in order, each once; none where there are none, as Nix writes it.
fn signatures_text(info: &PathInfo) -> Option<String> {
    let mut signatures: Vec<&str> = info.signatures.iter().map(String::as_str).collect();
    signatures.sort_unstable();
    signatures.dedup();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}
