//! `hoist store export` and `import`: store paths as one stream.

use std::fs::File;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;
use hoist_schema::Exit;
use hoist_store::{AddNarError, Store, StoreError, Trust};

use super::dump::is_broken_pipe;
use super::record_of;
use crate::commands::switch::parse_store_path;
use crate::error::CliError;
use crate::output::Output;
use crate::place::AnyStore;

/// Write store paths to standard output as one stream, which `nix-store --import` reads too
///
/// What they refer to comes along only if it is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store export /nix/store/…-pattern-search-0.1.0 > x.export
  hoist store export /nix/store/…-x | ssh host hoist store import")]
pub(super) struct ExportArgs {
    /// The store paths
    #[arg(required = true)]
    store_paths: Vec<String>,
}

pub(super) fn export(args: &ExportArgs, store: &Store) -> Result<Exit, CliError> {
    let parse = |text: &String| parse_store_path(text);
    let paths: Vec<StorePath> = args.store_paths.iter().map(parse).collect::<Result<_, _>>()?;
    let mut out = stdout().lock();
    match store.export(&paths, &mut out).map_err(|error| (is_cut_short(&error), error)) {
        Err((true, _)) => return Ok(Exit::Success), // the reader has enough
        Err((false, error)) => return Err(error.into()),
        Ok(()) => {}
    }
    out.flush().map_err(CliError::io("write to", Path::new("standard output")))?;
    Ok(Exit::Success)
}

fn is_cut_short(error: &StoreError) -> bool {
    let mut cause = Some(error as &dyn std::error::Error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return true;
        }
        cause = error.source();
    }
    is_broken_pipe(error)
}

/// Add the store paths of a stream that `hoist store export` or `nix-store --export` wrote
///
/// All of the stream is read and found good before any path appears. A path that is not named by
/// its content is taken only with --trust-sender: such a stream has no signatures.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store import < x.export
  nix-store --export $(nix-store -qR /nix/store/…-x) | hoist store import --trust-sender")]
pub(super) struct ImportArgs {
    /// The stream [default: standard input]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Take paths on the word of whoever sent the stream
    #[arg(long)]
    trust_sender: bool,
}

pub(super) fn import(args: &ImportArgs, store: Store, out: &Output) -> Result<Exit, CliError> {
    let trust = if args.trust_sender { Trust::Caller } else { Trust::Keys(&[]) };
    let progress = out.progress("importing");
    let paths = match &args.from {
        Some(file) => {
            let file = File::open(file).map_err(CliError::io("read", file))?;
            store.import(file, trust).map_err(refusal)?
        }
        None if stdin().is_terminal() => {
            let message = "standard input is a terminal, wanted an export";
            return Err(CliError::new(Exit::Usage, message)
                .hint("redirect it: `hoist store import < x.export`, or name a file: --from"));
        }
        None => store.import(stdin().lock(), trust).map_err(refusal)?,
    };
    drop(progress);
    let store = AnyStore::Folder(Box::new(store));
    for path in paths {
        out.line(store.backend().dir().print(&path));
        if let Some(info) = store.backend().path_info(&path)? {
            out.record(&record_of(&store, &info));
        }
    }
    Ok(Exit::Success)
}

fn refusal(error: StoreError) -> CliError {
    let is_untrusted = matches!(error, StoreError::AddNar(AddNarError::Untrusted { .. }));
    let refused = CliError::from(error);
    if is_untrusted {
        return refused.hint("if you trust whoever sent it: --trust-sender; nothing was added");
    }
    refused
}
