//! `hoist store ls`: what is in the store.

use hoist_schema::Exit;

use super::record_of;
use crate::error::CliError;
use crate::output::Output;
use crate::place::AnyStore;

pub(super) fn run(store: &AnyStore, out: &Output) -> Result<Exit, CliError> {
    let backend = store.backend();
    for path in backend.paths()? {
        out.line(backend.dir().print(&path));
        if !out.is_json() {
            continue;
        }
        // Who collects garbage meanwhile may have removed it.
        if let Some(info) = backend.path_info(&path)? {
            out.record(&record_of(store, &info));
        }
    }
    Ok(Exit::Success)
}
