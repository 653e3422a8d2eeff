//! `hoist store pin` and `unpin`: store paths that stay because somebody said so.

use hoist_schema::Exit;
use hoist_schema::record::PinRecord;
use hoist_store::{GcError, Pin, Store};

use crate::commands::switch::parse_store_path;
use crate::error::CliError;
use crate::output::Output;

/// Keep a store path, with all that it refers to, until it is unpinned
///
/// The pin is a link that Nix takes for a root as well.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store pin /nix/store/…-pattern-search-0.1.0 --name before-the-fair
  hoist store unpin before-the-fair")]
pub(super) struct PinArgs {
    /// The store path
    store_path: String,
    /// Name of the pin [default: the last part of the store path]
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn pin(args: &PinArgs, store: &Store, out: &Output) -> Result<Exit, CliError> {
    let path = parse_store_path(&args.store_path)?;
    let name = args.name.clone().unwrap_or_else(|| path.to_string());
    let was_there = store.pin(&path, &name)?;
    let pin = Pin { name, path };
    say(store, &pin, true, !was_there, out);
    Ok(Exit::Success)
}

/// Remove a pin, or all pins of a store path
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store unpin before-the-fair
  hoist store unpin /nix/store/…-pattern-search-0.1.0")]
pub(super) struct UnpinArgs {
    /// Name of the pin, or the store path
    pin: String,
}

pub(super) fn unpin(args: &UnpinArgs, store: &Store, out: &Output) -> Result<Exit, CliError> {
    let path = parse_store_path(&args.pin).ok();
    let is_meant = |pin: &Pin| pin.name == args.pin || Some(&pin.path) == path.as_ref();
    let pins: Vec<Pin> = store.pins()?.into_iter().filter(is_meant).collect();
    if pins.is_empty() {
        return Err(GcError::NoPin { name: args.pin.clone() }.into());
    }
    for pin in pins {
        store.unpin(&pin.name)?;
        say(store, &pin, false, true, out);
    }
    Ok(Exit::Success)
}

fn say(store: &Store, pin: &Pin, pinned: bool, changed: bool, out: &Output) {
    let store_path = store.dir().print(&pin.path);
    let verb = match (pinned, changed) {
        (true, true) => "keeps",
        (true, false) => "keeps already",
        (false, _) => "no longer keeps",
    };
    out.detail(format!("pin {} {verb} {store_path}", pin.name));
    out.record(&PinRecord { pin: pin.name.clone(), store_path, pinned, changed });
}
