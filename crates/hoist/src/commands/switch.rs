//! `hoist switch`: make a store path the active generation of a profile.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hoist_nix::StorePath;
use hoist_schema::Exit;
use hoist_schema::record::StageRecord;
use hoist_store::{NewGeneration, Profile, Store};

use crate::error::CliError;
use crate::output::Output;
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::ship::ms;

/// Make a store path the active generation of a profile
///
/// The switch is one rename: a reader sees the old generation or the new one. A profile that
/// already points there stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist switch pattern-search /nix/store/…-pattern-search-0.1.0")]
pub(crate) struct SwitchArgs {
    /// The profile, which is the package's name
    profile: String,
    /// The store path, absolute or its last part
    store_path: String,
}

pub(crate) fn run(args: &SwitchArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let store = settings.store_for_writing()?;
    let store_path = parse_store_path(&args.store_path)?;
    switch_to(&store, &args.profile, &store_path, None, out)?;
    Ok(Exit::Success)
}

/// Reads a store path as users write it: absolute and logical, where it lies on this machine, or
/// its last part alone.
pub(super) fn parse_store_path(text: &str) -> Result<StorePath, CliError> {
    let text = text.trim_end_matches('/');
    let last = text.rsplit('/').next().unwrap_or(text);
    StorePath::parse(last).map_err(|error| {
        CliError::new(Exit::Usage, format!("`{text}` is not a store path: {error}"))
            .hint("`hoist store ls` lists those of the store")
    })
}

/// Switches `profile` to `store_path`, says so, and returns the generation's number.
pub(crate) fn switch_to(
    store: &Store,
    profile: &str,
    store_path: &StorePath,
    action_key: Option<String>,
    out: &Output,
) -> Result<u64, CliError> {
    let start = Instant::now();
    let created_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let switched = Profile::open(store, profile)?
        .switch(store_path, &NewGeneration { created_unix, action_key })?;
    let time = start.elapsed();
    out.record(&StageRecord::Switch {
        ms: ms(time),
        profile: profile.to_owned(),
        generation: switched.number,
        created: switched.created,
        previous: switched.previous,
    });
    let number = switched.number;
    let what = match switched.previous {
        Some(previous) if previous == number => format!("generation {number} of {profile} already"),
        Some(previous) => format!("generation {number} of {profile}, was {previous}"),
        None => format!("generation {number} of {profile}, its first"),
    };
    Receipt::new(out).stage("switch", time, &what);
    Ok(number)
}
