//! `hoist store info`: all about one store path.

use hoist_schema::Exit;

use super::{record_of, valid};
use crate::error::CliError;
use crate::output::{Output, size};
use crate::place::AnyStore;

/// Tell all about a store path
#[derive(Debug, clap::Args)]
pub(super) struct InfoArgs {
    /// The store path
    store_path: String,
}

pub(super) fn run(args: &InfoArgs, store: &AnyStore, out: &Output) -> Result<Exit, CliError> {
    let info = valid(store, &args.store_path)?;
    let record = record_of(store, &info);
    out.record(&record);
    out.line(format!("store path  {}", record.store_path));
    out.line(format!("lies at     {}", record.path));
    out.line(format!("NAR         {}, {}", size(record.nar_size_bytes), record.nar_hash));
    out.line(format!("content     {}", record.ca.as_deref().unwrap_or("not addressed by it")));
    out.line(format!("registered  {}", record.registered));
    for reference in &record.references {
        out.line(format!("refers to   {reference}"));
    }
    if let Some(deriver) = &record.deriver {
        out.line(format!("built by    {deriver}"));
    }
    for signature in &record.signatures {
        out.line(format!("signed      {signature}"));
    }
    Ok(Exit::Success)
}
