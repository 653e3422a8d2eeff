//! `hoist store dump`: a store path as a NAR.

use std::io::{BufWriter, ErrorKind, stdout};

use hoist_nix::NarWriteError;
use hoist_schema::Exit;
use hoist_store::{Store, TreeError, dump};

use super::valid;
use crate::error::CliError;

/// Write a store path as a NAR to standard output
#[derive(Debug, clap::Args)]
pub(super) struct DumpArgs {
    /// The store path
    store_path: String,
}

pub(super) fn run(args: &DumpArgs, store: &Store) -> Result<Exit, CliError> {
    let info = valid(store, &args.store_path)?;
    let mut stdout = BufWriter::with_capacity(1 << 16, stdout().lock());
    match dump(&store.physical(&info.path), &mut stdout) {
        Err(error) if is_broken_pipe(&error) => Ok(Exit::Success), // the reader has seen enough
        dumped => Ok(dumped.map(|()| Exit::Success)?),
    }
}

fn is_broken_pipe(error: &TreeError) -> bool {
    let TreeError::Write { source: NarWriteError::Write(error), .. } = error else { return false };
    error.kind() == ErrorKind::BrokenPipe
}
