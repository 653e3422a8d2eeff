//! `hoist pack`: a folder becomes a store path.

use std::path::PathBuf;

use hoist_schema::Exit;
use hoist_schema::record::StorePathRecord;

use super::store::record_of;
use crate::error::CliError;
use crate::output::Output;
use crate::settings::{Settings, store_path_name};

/// Add a file or folder to the store as a content-addressed path, and print it
///
/// The path is the one that `nix-store --add-fixed --recursive sha256` gives.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist pack dist --name pattern-search-0.1.0
  hoist pack libx.so
  hoist --store daemon pack libx.so      into the store of this machine's Nix")]
pub(crate) struct PackArgs {
    /// The file or folder
    path: PathBuf,
    /// Name of the store path [default: the last part of PATH]
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(args: &PackArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let path = args.path.canonicalize().map_err(CliError::io("find", &args.path))?;
    let last = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = store_path_name(args.name.as_deref().unwrap_or(last))
        .map_err(|error| error.hint("name it with --name"))?;
    let progress = out.progress(format!("packing {}", path.display()));
    let store = settings.any_store(true)?;
    let backend = store.backend();
    let added = backend.add_tree(&name, &path)?;
    drop(progress);
    if out.is_json()
        && let Some(info) = backend.path_info(&added.path)?
    {
        let record: StorePathRecord = record_of(&store, &info);
        out.record(&record);
    }
    out.line(backend.dir().print(&added.path));
    Ok(Exit::Success)
}
