//! `hoist rollback`: back to an earlier generation.

use hoist_schema::Exit;
use hoist_schema::record::StageRecord;
use hoist_store::Profile;
use std::time::Instant;

use crate::error::CliError;
use crate::output::Output;
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::ship::ms;

/// Go back to the newest earlier generation that is not marked bad, or to a given one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist rollback pattern-search          the generation before
  hoist rollback pattern-search --to 3   that one
  hoist rollback                         of the project in this folder")]
pub(crate) struct RollbackArgs {
    /// The profile [default: the package of the nearest hoist.toml]
    profile: Option<String>,
    /// The generation's number
    #[arg(long, value_name = "N")]
    to: Option<u64>,
}

pub(crate) fn run(
    args: &RollbackArgs,
    settings: &Settings,
    out: &Output,
) -> Result<Exit, CliError> {
    let start = Instant::now();
    let name = super::generations::profile_name(args.profile.as_ref())?;
    let store = settings.store()?;
    let switched = Profile::open(&store, &name)?.rollback(args.to)?;
    let time = start.elapsed();
    out.record(&StageRecord::Switch {
        ms: ms(time),
        profile: name.clone(),
        generation: switched.number,
        created: false,
        previous: switched.previous,
    });
    let was = switched.previous.map(|number| format!(", was {number}")).unwrap_or_default();
    let what = format!("generation {} of {name}{was}", switched.number);
    Receipt::new(out).stage("switch", time, &what);
    Ok(Exit::Success)
}
