//! `hoist store verify`: the store held against its database.

use hoist_schema::Exit;
use hoist_schema::record::StoreProblemRecord;
use hoist_store::{Problem, Store};

use crate::error::CliError;
use crate::output::{Output, count};

/// Hold the store against its database, every content against its hash
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Do not read the contents
    #[arg(long)]
    no_contents: bool,
}

pub(super) fn run(args: &VerifyArgs, store: &Store, out: &Output) -> Result<Exit, CliError> {
    let progress = out.progress("verifying the store");
    let problems = store.verify(!args.no_contents)?;
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
