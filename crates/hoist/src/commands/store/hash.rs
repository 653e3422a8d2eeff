//! `hoist store hash`: the hash of a tree, without adding it.

use std::path::PathBuf;

use hoist_schema::Exit;
use hoist_schema::record::HashRecord;
use hoist_store::hash_tree;

use crate::error::CliError;
use crate::output::Output;

/// Print the NAR hash of files and folders, as `nix hash path` does
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store hash dist
  hoist store hash --json dist | jq -r .nar_hash")]
pub(super) struct HashArgs {
    /// The files and folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &HashArgs, out: &Output) -> Result<Exit, CliError> {
    for path in &args.paths {
        let progress = out.progress(format!("hashing {}", path.display()));
        let (nar_hash, nar_size_bytes) = hash_tree(path)?;
        drop(progress);
        let nar_hash = nar_hash.sri();
        match args.paths.len() {
            1 => out.line(&nar_hash),
            _ => out.line(format!("{nar_hash}  {}", path.display())),
        }
        out.record(&HashRecord { path: path.display().to_string(), nar_hash, nar_size_bytes });
    }
    Ok(Exit::Success)
}
