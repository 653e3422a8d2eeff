//! `hoist generations`: what a profile was and is.

use hoist_schema::Exit;
use hoist_schema::record::GenerationRecord;
use hoist_store::{Health, Profile};

use crate::error::CliError;
use crate::output::{DIM, GOOD, Output};
use crate::project::Project;
use crate::settings::Settings;

/// List the generations of a profile, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist generations pattern-search
  hoist generations --json pattern-search | jq 'select(.current)'")]
pub(crate) struct GenerationsArgs {
    /// The profile [default: the package of the nearest hoist.toml]
    profile: Option<String>,
}

pub(crate) fn run(
    args: &GenerationsArgs,
    settings: &Settings,
    out: &Output,
) -> Result<Exit, CliError> {
    let name = profile_name(args.profile.as_ref())?;
    let store = settings.store()?;
    let profile = Profile::open(&store, &name)?;
    let generations = profile.generations()?;
    if generations.is_empty() {
        return Err(CliError::new(Exit::No, format!("profile `{name}` has no generation"))
            .hint("`hoist ship` makes the first"));
    }
    for generation in generations {
        let record = GenerationRecord {
            profile: name.clone(),
            generation: generation.number,
            current: generation.is_current,
            store_path: store.dir().print(&generation.path),
            created: Some(rfc3339(generation.created_unix)),
            health: health_word(generation.health).to_owned(),
            parent: generation.parent,
        };
        let mark = if record.current { format!("{GOOD}current{GOOD:#}") } else { String::new() };
        let created = record.created.clone().unwrap_or_default();
        out.line(format!(
            "{:>4}  {DIM}{created:<20}{DIM:#}  {}  {mark}",
            record.generation, record.store_path
        ));
        out.record(&record);
    }
    Ok(Exit::Success)
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Bad => "bad",
        Health::Unknown => "unknown",
    }
}

/// The profile that was named, or that of the project around the current folder.
pub(super) fn profile_name(named: Option<&String>) -> Result<String, CliError> {
    match named {
        Some(name) => Ok(name.clone()),
        None => Ok(Project::load(None)?.manifest.package.name),
    }
}

/// A time in seconds since 1970 as RFC 3339 in UTC.
pub(super) fn rfc3339(unix: u64) -> String {
    i64::try_from(unix)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| format!("@{unix}"), |time| time.to_string())
}
