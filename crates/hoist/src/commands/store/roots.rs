//! `hoist store roots`: what keeps store paths from being removed.

use hoist_schema::Exit;
use hoist_schema::record::RootRecord;
use hoist_store::{Root, RootKind, Store};

use crate::error::CliError;
use crate::output::{DIM, Output};

/// List what keeps store paths from being removed
///
/// A path is kept by a generation, by a pin, by another link that Nix takes for a root, or by a
/// process that uses it; and so is all that it refers to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store roots
  hoist store roots --json | jq 'select(.kind == \"process\")'")]
pub(super) struct RootsArgs {}

pub(super) fn run(store: &Store, out: &Output) -> Result<Exit, CliError> {
    let progress = out.progress("looking for roots");
    let found = store.roots()?;
    drop(progress);
    for root in &found.roots {
        let record = record_of(store, root);
        let what = describe(&record);
        out.line(format!("{:<9}  {}  {DIM}{what}{DIM:#}", record.kind, record.store_path));
        out.record(&record);
    }
    for link in &found.unreadable_links {
        Output::warn(format!("cannot follow {}", link.display()));
    }
    Ok(Exit::Success)
}

fn record_of(store: &Store, root: &Root) -> RootRecord {
    let store_path = store.dir().print(&root.path);
    let of_kind = |kind| {
        let store_path = store_path.clone();
        RootRecord { kind, store_path, link: None, pin: None, pid: None, program: None }
    };
    let linked = |kind, link: &std::path::Path| {
        let link = Some(link.display().to_string());
        RootRecord { link, ..of_kind(kind) }
    };
    match &root.kind {
        RootKind::Profile { link } => linked("profile", link),
        RootKind::Link { link } => linked("link", link),
        RootKind::Indirect { link, .. } => linked("indirect", link),
        RootKind::Pin { name } => RootRecord { pin: Some(name.clone()), ..of_kind("pin") },
        RootKind::Process { pid, name, file } => RootRecord {
            link: Some(format!("/proc/{pid}/{file}")),
            pid: Some(*pid),
            program: Some(name.clone()),
            ..of_kind("process")
        },
        RootKind::Temporary { pid } => RootRecord { pid: Some(*pid), ..of_kind("temporary") },
        _ => of_kind("other"),
    }
}

/// What keeps it, for people.
fn describe(record: &RootRecord) -> String {
    match (&record.pin, &record.program, record.pid, &record.link) {
        (Some(pin), ..) => pin.clone(),
        (_, Some(program), Some(pid), Some(file)) => {
            let file = file.rsplit('/').next().unwrap_or_default();
            format!("{program}, process {pid} ({file})")
        }
        (_, _, Some(pid), _) => format!("process {pid}"),
        (.., Some(link)) => link.clone(),
        _ => String::new(),
    }
}
