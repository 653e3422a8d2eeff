//! `hoist store restore`: a NAR as files.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};

use hoist_schema::Exit;
use hoist_schema::record::RestoredRecord;
use hoist_store::{TreeError, restore};

use crate::error::CliError;
use crate::output::Output;

/// Unpack a NAR to a place where nothing is yet
///
/// The tree appears whole or not at all. What Nix lets pass is refused: names out of order, bytes
/// behind the end, padding that is not zero.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store restore dist < x.nar
  hoist store restore dist --from x.nar
  hoist store dump /nix/store/…-x | ssh host hoist store restore dist")]
pub(super) struct RestoreArgs {
    /// Where to unpack it to
    destination: PathBuf,
    /// The NAR [default: standard input]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn run(args: &RestoreArgs, out: &Output) -> Result<Exit, CliError> {
    let progress = out.progress(format!("restoring {}", args.destination.display()));
    let destination = args.destination.as_path();
    match &args.from {
        Some(file) => {
            let opened = File::open(file).map_err(CliError::io("read", file))?;
            unpack(opened, &file.display().to_string(), destination)?;
        }
        None if stdin().is_terminal() => {
            let message = "standard input is a terminal, wanted a NAR";
            return Err(CliError::new(Exit::Usage, message)
                .hint("redirect it: `hoist store restore DEST < x.nar`, or name a file: --from"));
        }
        None => unpack(stdin().lock(), "standard input", destination)?,
    }
    drop(progress);
    out.record(&RestoredRecord { path: destination.display().to_string() });
    Ok(Exit::Success)
}

fn unpack(nar: impl Read, name: &str, destination: &Path) -> Result<(), CliError> {
    if destination.symlink_metadata().is_ok() {
        let message = format!("{} is there already", destination.display());
        return Err(CliError::new(Exit::Usage, message)
            .hint("name a place where nothing is; nothing was changed"));
    }
    let nar = BufReader::with_capacity(1 << 16, nar);
    restore(nar, destination).map_err(|error| match &error {
        // What was read is wrong, not the machine.
        TreeError::Read { source, .. } => {
            CliError::new(Exit::No, format!("{name} is not a NAR: {source}"))
                .hint(format!("nothing was written to {}", destination.display()))
        }
        _ => error.into(),
    })
}
