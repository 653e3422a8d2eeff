//! `hoist store`: what is in the store, whether it is whole, and what may go.

mod dump;
mod export;
mod gc;
mod hash;
mod info;
mod list;
mod pin;
mod restore;
mod roots;
mod verify;

use clap::Subcommand;
use hoist_schema::Exit;
use hoist_schema::record::StorePathRecord;
use hoist_store::PathInfo;

use super::generations::rfc3339;
use super::switch::parse_store_path;
use crate::error::CliError;
use crate::output::Output;
use crate::place::AnyStore;
use crate::settings::Settings;

/// Look into the store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store ls
  hoist store info /nix/store/…-pattern-search-0.1.0
  hoist store verify
  hoist store dump /nix/store/…-pattern-search-0.1.0 > x.nar
  hoist store restore dist < x.nar
  hoist store gc --keep 5")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// List the valid store paths
    Ls,
    Info(info::InfoArgs),
    Verify(verify::VerifyArgs),
    Dump(dump::DumpArgs),
    Restore(restore::RestoreArgs),
    Hash(hash::HashArgs),
    Export(export::ExportArgs),
    Import(export::ImportArgs),
    Gc(gc::GcArgs),
    Roots(roots::RootsArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
}

pub(crate) fn run(args: &StoreArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let folder = || {
        settings.require_folder()?;
        Ok::<_, CliError>(settings.store()?)
    };
    match &args.command {
        StoreCommand::Ls => list::run(&settings.any_store(false)?, out),
        StoreCommand::Info(args) => info::run(args, &settings.any_store(false)?, out),
        StoreCommand::Verify(args) => verify::run(args, &folder()?, out),
        StoreCommand::Dump(args) => dump::run(args, &settings.any_store(false)?),
        StoreCommand::Restore(args) => restore::run(args, out),
        StoreCommand::Hash(args) => hash::run(args, out),
        StoreCommand::Export(args) => export::export(args, &folder()?),
        StoreCommand::Import(args) => {
            settings.require_folder()?;
            export::import(args, settings.store_for_writing()?, out)
        }
        StoreCommand::Gc(args) => gc::run(args, &folder()?, settings, out),
        StoreCommand::Roots(_) => roots::run(&folder()?, out),
        StoreCommand::Pin(args) => pin::pin(args, &folder()?, out),
        StoreCommand::Unpin(args) => pin::unpin(args, &folder()?, out),
    }
}

/// What the store knows of a path, as a record.
pub(super) fn record_of(store: &AnyStore, info: &PathInfo) -> StorePathRecord {
    let dir = store.backend().dir();
    StorePathRecord {
        store_path: dir.print(&info.path),
        path: store.physical(&info.path).display().to_string(),
        nar_hash: info.nar_hash.sri(),
        nar_size_bytes: info.nar_size.unwrap_or_default(),
        ca: info.content_address.clone(),
        references: info.references.iter().map(|path| dir.print(path)).collect(),
        deriver: info.deriver.as_ref().map(|path| dir.print(path)),
        signatures: info.signatures.clone(),
        registered: rfc3339(info.registered_unix),
    }
}

/// What the store knows of the path that `text` names, which must be valid.
fn valid(store: &AnyStore, text: &str) -> Result<PathInfo, CliError> {
    let path = parse_store_path(text)?;
    store.backend().path_info(&path)?.ok_or_else(|| {
        let message = format!("{} is not in {}", store.backend().dir().print(&path), store.name());
        CliError::new(Exit::No, message).hint("`hoist store ls` lists what is")
    })
}
