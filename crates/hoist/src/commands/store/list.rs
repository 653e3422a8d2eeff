//! `hoist store ls`: the valid store paths.

use hoist_schema::Exit;
use hoist_store::Store;

use super::record_of;
use crate::error::CliError;
use crate::output::Output;

pub(super) fn run(store: &Store, out: &Output) -> Result<Exit, CliError> {
    for info in store.list()? {
        let record = record_of(store, &info);
        out.line(&record.store_path);
        out.record(&record);
    }
    Ok(Exit::Success)
}
