//! `hoist store gc`: remove what nothing needs.

use std::num::NonZeroU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hoist_schema::Exit;
use hoist_schema::record::CollectedRecord;
use hoist_store::{Collected, GcEvent, Policy, Store};

use crate::error::CliError;
use crate::output::{Output, Progress, count, size};
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::ship::ms;

/// Remove the store paths that nothing needs any more
///
/// A path stays while a generation, a pin, another link that Nix takes for a root, or a running
/// process needs it: `hoist store roots` lists them. No generation is removed unless --keep or
/// --older-than says so; with both, only those that neither keeps. The active one, the newest that
/// is marked good, and those that are pinned or in use always stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store gc --dry-run                 what would go, and how many bytes
  hoist store gc                           what no generation needs
  hoist store gc --keep 5                  and all but 5 generations of each profile
  hoist store gc --keep 3 --older-than 30d
  hoist store gc --max-freed 2GiB          no more than about that")]
pub(super) struct GcArgs {
    /// Say what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep N generations of each profile, counted back from the active one
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroU64>,
    /// Remove generations older than this, but for the one that was active then: 12h, 30d, 2w
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    older_than: Option<Duration>,
    /// Stop once the archives of what was removed have this size: 500MiB, 2GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_freed: Option<u64>,
}

pub(super) fn run(
    args: &GcArgs,
    store: &Store,
    settings: &Settings,
    out: &Output,
) -> Result<Exit, CliError> {
    let start = Instant::now();
    let policy = Policy {
        keep: args.keep,
        older_than: args.older_than,
        max_freed: args.max_freed,
        dry_run: args.dry_run,
        now_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    let progress = out.progress("collecting garbage");
    let collected = store.collect_garbage(&policy, &mut |event| say(&progress, event))?;
    let actions = if args.dry_run { 0 } else { forget_actions(store, settings)? };
    drop(progress);

    let time = start.elapsed();
    list(&collected, store, args.dry_run, out);
    out.record(&total(&collected, time, args.dry_run, actions));
    print_receipt(&collected, time, args.dry_run, out);
    if collected.stuck.is_empty() {
        return Ok(Exit::Success);
    }
    let message = format!("{} could not be removed", count(collected.stuck.len(), "tree"));
    Err(CliError::new(Exit::Machine, message)
        .details(collected.stuck)
        .hint("the store knows nothing of them any more; the next `hoist store gc` tries again"))
}

fn say(progress: &Progress, event: GcEvent) {
    match event {
        GcEvent::Waiting => progress.say(b"waiting for others that use the store"),
        GcEvent::Deciding => progress.say(b"looking for what is needed"),
        GcEvent::Removing { done, total } => {
            progress.say(format!("removing {} of {total}", done + 1).as_bytes());
        }
        _ => {}
    }
}

/// Forgets what actions made that is gone, so that their records do not pile up.
fn forget_actions(store: &Store, settings: &Settings) -> Result<usize, CliError> {
    let infos = store.list()?;
    let paths: std::collections::HashSet<String> =
        infos.iter().map(|info| store.dir().print(&info.path)).collect();
    Ok(settings.actions().forget(|path| paths.contains(path))?)
}

/// Prints what was removed: as records, and of a dry run for people as well.
fn list(collected: &Collected, store: &Store, dry_run: bool, out: &Output) {
    let foretell = |text: String| {
        if dry_run {
            out.line(format!("would remove {text}"));
        }
    };
    for generation in &collected.generations {
        let (profile, number) = (generation.profile.clone(), generation.number);
        foretell(format!("generation {number} of {profile}"));
        let store_path = store.dir().print(&generation.path);
        out.record(&CollectedRecord::Generation { profile, generation: number, store_path });
    }
    for gone in &collected.paths {
        let (store_path, nar_size_bytes) = (store.dir().print(&gone.path), gone.nar_size);
        foretell(format!("{store_path}  {}", size(nar_size_bytes)));
        out.record(&CollectedRecord::Path { store_path, nar_size_bytes });
    }
    for name in &collected.leftovers {
        foretell(format!("{name}, which is not registered"));
        out.record(&CollectedRecord::Leftover { name: name.clone() });
    }
    for link in &collected.stale_roots {
        let link = link.display().to_string();
        foretell(format!("{link}, which leads nowhere"));
        out.record(&CollectedRecord::Root { link });
    }
}

fn total(collected: &Collected, time: Duration, dry_run: bool, actions: usize) -> CollectedRecord {
    let links = collected.unreadable_links.iter();
    CollectedRecord::Total {
        ms: ms(time),
        dry_run,
        generations: collected.generations.len(),
        paths: collected.paths.len(),
        leftovers: collected.leftovers.len(),
        nar_size_bytes: collected.nar_size(),
        freed_bytes: collected.freed,
        actions,
        kept: collected.kept,
        roots: collected.roots,
        unreadable_processes: collected.unreadable_processes,
        unreadable_links: links.map(|link| link.display().to_string()).collect(),
        stuck: collected.stuck.clone(),
    }
}

fn print_receipt(collected: &Collected, time: Duration, dry_run: bool, out: &Output) {
    for link in &collected.unreadable_links {
        Output::warn(format!("cannot follow {}: what only it keeps was not kept", link.display()));
    }
    let receipt = Receipt::new(out);
    let parts = [
        (collected.generations.len(), "generation"),
        (collected.paths.len(), "store path"),
        (collected.leftovers.len(), "leftover"),
        (collected.stale_roots.len(), "stale root"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, thing)| count(number, thing))
        .collect();
    let what = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    let (nars, freed) = (size(collected.nar_size()), size(collected.freed));
    let (would_be, becomes) = if dry_run { ("would be ", "would become") } else { ("", "became") };
    receipt.stage("gc", time, &format!("{what} {would_be}removed"));
    receipt.more(&format!("{freed} of disk {becomes} free, NARs of {nars}"));
    let (kept, roots) = (count(collected.kept, "store path"), count(collected.roots, "root"));
    receipt.more(&format!("{kept} kept, by {roots}"));
    match collected.unreadable_processes {
        0 => {}
        1 => receipt.more("1 process may not be looked into"),
        more => receipt.more(&format!("{more} processes may not be looked into")),
    }
}

/// Reads an age as `45m`, `12h`, `30d` or `2w`.
fn parse_age(text: &str) -> Result<Duration, String> {
    let wanted = || "wanted a number of minutes, hours, days or weeks, as `30d`".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let minutes = match &text[digits.len()..] {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        "w" => 7 * 24 * 60,
        _ => return Err(wanted()),
    };
    let count: u64 = digits.parse().map_err(|_| wanted())?;
    let seconds = count.checked_mul(minutes * 60).ok_or_else(wanted)?;
    if seconds == 0 {
        return Err("0 would remove all generations but the active one: say `--keep 1`".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads a size as `1000`, `500MiB` or `2GiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let wanted = || "wanted a size, as `500MiB`".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(wanted()),
    };
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        let seconds = |text| parse_age(text).map(|age| age.as_secs()).ok();
        assert_eq!(seconds("45m"), Some(2700));
        assert_eq!(seconds("12h"), Some(43_200));
        assert_eq!(seconds("30d"), Some(2_592_000));
        assert_eq!(seconds("2w"), Some(1_209_600));
        for text in ["", "d", "30", "-1d", "1y", "0d", "1.5h", "99999999999999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_may_have_a_unit() {
        assert_eq!(parse_size("1000"), Ok(1000));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        for text in ["", "GiB", "2GB", "-1", "99999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
