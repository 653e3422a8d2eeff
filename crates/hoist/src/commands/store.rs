//! `hoist store`: what is in the store, and whether it is whole.

use clap::Subcommand;
use hoist_nix::NarWriteError;
use hoist_schema::Exit;
use hoist_schema::record::{StorePathRecord, StoreProblemRecord};
use hoist_store::{PathInfo, Problem, Store, TreeError, dump};

use super::generations::rfc3339;
use super::switch::parse_store_path;
use crate::error::CliError;
use crate::output::{Output, count, size};
use crate::settings::Settings;

/// Look into the store
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store ls
  hoist store info /nix/store/…-pattern-search-0.1.0
  hoist store verify
  hoist store dump /nix/store/…-pattern-search-0.1.0 > x.nar")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// List the valid store paths
    Ls,
    /// Tell all about a store path
    Info {
        /// The store path
        store_path: String,
    },
    /// Hold the store against its database, every content against its hash
    Verify {
        /// Do not read the contents
        #[arg(long)]
        no_contents: bool,
    },
    /// Write a store path as a NAR to standard output
    Dump {
        /// The store path
        store_path: String,
    },
}

pub(crate) fn run(args: &StoreArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let store = settings.store()?;
    match &args.command {
        StoreCommand::Ls => list(&store, out),
        StoreCommand::Info { store_path } => info(&store, store_path, out),
        StoreCommand::Verify { no_contents } => verify(&store, !no_contents, out),
        StoreCommand::Dump { store_path } => write_nar(&store, store_path),
    }
}

/// What the store knows of a path, as a record.
pub(super) fn record_of(store: &Store, info: &PathInfo) -> StorePathRecord {
    StorePathRecord {
        store_path: store.dir().print(&info.path),
        path: store.physical(&info.path).display().to_string(),
        nar_hash: info.nar_hash.sri(),
        nar_size_bytes: info.nar_size.unwrap_or_default(),
        ca: info.content_address.clone(),
        references: info.references.iter().map(|path| store.dir().print(path)).collect(),
        registered: rfc3339(info.registered_unix),
    }
}

fn list(store: &Store, out: &Output) -> Result<Exit, CliError> {
    for info in store.list()? {
        let record = record_of(store, &info);
        out.line(&record.store_path);
        out.record(&record);
    }
    Ok(Exit::Success)
}

fn info(store: &Store, text: &str, out: &Output) -> Result<Exit, CliError> {
    let info = valid(store, text)?;
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
    Ok(Exit::Success)
}

fn verify(store: &Store, contents: bool, out: &Output) -> Result<Exit, CliError> {
    let progress = out.progress("verifying the store");
    let problems = store.verify(contents)?;
    let paths = store.list()?.len();
    drop(progress);
    for problem in &problems {
        let path = match problem {
            Problem::Missing { path }
            | Problem::Modified { path, .. }
            | Problem::Unreadable { path, .. } => path.to_string(),
            Problem::Unregistered { name } => name.clone(),
        };
        let record = StoreProblemRecord { path, problem: problem.to_string() };
        out.line(&record.problem);
        out.record(&record);
    }
    if problems.is_empty() {
        out.detail(format!("{}, all as registered", count(paths, "store path")));
        return Ok(Exit::Success);
    }
    let message = format!("{} in {}", count(problems.len(), "problem"), store.root().display());
    Err(CliError::new(Exit::No, message).hint("ship the affected packages again"))
}

fn write_nar(store: &Store, text: &str) -> Result<Exit, CliError> {
    let info = valid(store, text)?;
    let mut stdout = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    match dump(&store.physical(&info.path), &mut stdout) {
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Success), // the reader has seen enough
        dumped => Ok(dumped.map(|()| Exit::Success)?),
    }
}

fn is_broken_pipe(error: &TreeError) -> bool {
    let TreeError::Write { source: NarWriteError::Write(error), .. } = error else { return false };
    error.kind() == std::io::ErrorKind::BrokenPipe
}

fn valid(store: &Store, text: &str) -> Result<PathInfo, CliError> {
    let path = parse_store_path(store, text)?;
    store.path_info(&path)?.ok_or_else(|| {
        let message = format!("{} is not in {}", store.dir().print(&path), store.root().display());
        CliError::new(Exit::No, message).hint("`hoist store ls` lists what is")
    })
}
