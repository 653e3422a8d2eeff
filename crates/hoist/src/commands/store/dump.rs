//! `hoist store dump`: a store path as a NAR.

use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::path::Path;

use hoist_nix::NarWriteError;
use hoist_schema::Exit;
use hoist_store::{StoreError, TreeError};

use super::valid;
use crate::error::CliError;
use crate::place::AnyStore;

/// Write a store path as a NAR to standard output
///
/// What is written is hashed on the way: the command fails at the end when it is not what was
/// registered.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store dump /nix/store/…-pattern-search-0.1.0 > x.nar
  hoist --store daemon store dump /nix/store/…-hello | hoist store restore hello")]
pub(super) struct DumpArgs {
    /// The store path
    store_path: String,
}

pub(super) fn run(args: &DumpArgs, store: &AnyStore) -> Result<Exit, CliError> {
    let info = valid(store, &args.store_path)?;
    let mut stdout = BufWriter::with_capacity(1 << 16, stdout().lock());
    match store.backend().write_nar(&info.path, &mut stdout) {
        Err(error) if is_broken_pipe(&error) => return Ok(Exit::Success), // the reader has enough
        written => written?,
    }
    match stdout.flush() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::io("write to", Path::new("standard output"))(error))
        }
        _ => Ok(Exit::Success),
    }
}

/// Whether the reader of standard output went away.
pub(super) fn is_broken_pipe(error: &StoreError) -> bool {
    let StoreError::Tree(TreeError::Write { source: NarWriteError::Write(error), .. }) = error
    else {
        return false;
    };
    error.kind() == ErrorKind::BrokenPipe
}
