//! What a collection of garbage asks: everything at once, and to forget most of it.

use std::collections::HashMap;

use hoist_nix::StorePath;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Database;
use crate::StoreError;

/// A row of the table of that name, and what it keeps from being collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValidPath {
    /// The row's number.
    pub(crate) id: i64,
    pub(crate) path: StorePath,
    /// Size of its NAR in bytes; 0 where it is not known.
    pub(crate) nar_size: u64,
    pub(crate) registered_unix: u64,
    /// Places in the list of what it refers to, and of its deriver where that is valid.
    pub(crate) needs: Vec<usize>,
}

impl Database {
    /// Everything that is registered, as of one moment, sorted by path.
    pub(crate) fn registered(&self) -> Result<Vec<ValidPath>, StoreError> {
        let reading = self.begin(TransactionBehavior::Deferred)?;
        self.read_all(&reading)
    }

    /// Lets `choose` pick from everything that is registered what to forget, by its place, and
    /// forgets it; nobody registers anything in between. Returns what `choose` says besides.
    ///
    /// What is chosen must be closed: the database refuses to forget what something that stays
    /// refers to, and then forgets nothing.
    pub(crate) fn forget<T>(
        &self,
        choose: impl FnOnce(&[ValidPath]) -> (Vec<usize>, T),
    ) -> Result<T, StoreError> {
        let failed = |error| self.error(error);
        let writing = self.begin(TransactionBehavior::Immediate)?;
        let registered = self.read_all(&writing)?;
        let (chosen, said) = choose(&registered);
        // References first: paths of other origin may refer to each other in a circle.
        for sql in ["delete from Refs where referrer = ?", "delete from ValidPaths where id = ?"] {
            let mut delete = writing.prepare_cached(sql).map_err(failed)?;
            for &place in &chosen {
                delete.execute([registered[place].id]).map_err(failed)?;
            }
        }
        writing.commit().map_err(failed)?;
        Ok(said)
    }

    fn begin(&self, behavior: TransactionBehavior) -> Result<Transaction<'_>, StoreError> {
        Transaction::new_unchecked(&self.connection, behavior).map_err(|error| self.error(error))
    }

    fn read_all(&self, connection: &Connection) -> Result<Vec<ValidPath>, StoreError> {
        let failed = |error| self.error(error);
        let mut registered = Vec::new();
        let mut derivers = Vec::new();
        let sql = "select id, path, narSize, registrationTime, deriver from ValidPaths \
                   order by path";
        let mut rows = connection.prepare(sql).map_err(failed)?;
        let mut rows = rows.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let text: String = row.get(1).map_err(failed)?;
            let row_path = |source| StoreError::RowPath { path: self.path.clone(), source };
            let nar_size: Option<u64> = row.get(2).map_err(failed)?;
            derivers.push(row.get::<_, Option<String>>(4).map_err(failed)?);
            registered.push(ValidPath {
                id: row.get(0).map_err(failed)?,
                path: self.store_dir.parse_path(&text).map_err(row_path)?,
                nar_size: nar_size.unwrap_or(0),
                registered_unix: row.get(3).map_err(failed)?,
                needs: Vec::new(),
            });
        }
        self.read_references(connection, &mut registered)?;
        self.add_derivers(&mut registered, &derivers);
        Ok(registered)
    }

    fn read_references(
        &self,
        connection: &Connection,
        registered: &mut [ValidPath],
    ) -> Result<(), StoreError> {
        let failed = |error| self.error(error);
        let places: HashMap<i64, usize> =
            registered.iter().enumerate().map(|(place, path)| (path.id, place)).collect();
        let mut rows =
            connection.prepare("select referrer, reference from Refs").map_err(failed)?;
        let mut rows = rows.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let place = |column| row.get(column).map(|id: i64| places.get(&id).copied());
            let ends = (place(0).map_err(failed)?, place(1).map_err(failed)?);
            if let (Some(referrer), Some(reference)) = ends
                && referrer != reference
            {
                registered[referrer].needs.push(reference);
            }
        }
        Ok(())
    }

    /// A path keeps the derivation that made it: Nix's setting `keep-derivations`, on by default.
    fn add_derivers(&self, registered: &mut [ValidPath], derivers: &[Option<String>]) {
        for (place, deriver) in derivers.iter().enumerate() {
            let Some(deriver) = deriver.as_deref() else { continue };
            let Ok(deriver) = self.store_dir.parse_path(deriver) else { continue };
            let found = registered.binary_search_by(|path| path.path.cmp(&deriver));
            if let Ok(found) = found.map(|found| (found != place).then_some(found)) {
                registered[place].needs.extend(found);
            }
        }
    }
}
