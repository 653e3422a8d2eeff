//! `hoist store verify`: the store held against its database, and put right from caches.

use hoist_cache::{BinaryCache, CacheOptions};
use hoist_nix::{PublicKey, StorePath};
use hoist_schema::Exit;
use hoist_schema::record::StoreProblemRecord;
use hoist_store::{Problem, Store};

use crate::error::CliError;
use crate::output::{Output, count};

/// Hold the store against its database, every content against its hash
///
/// With --repair, what was damaged or lost is fetched again from binary caches. It is taken only
/// if it has the hash that was registered; a path that is not named by its content must also be
/// signed by a trusted key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist store verify
  hoist store verify --repair --from https://cache.example.org
  hoist store verify --repair --from file:///srv/cache --trusted-key \"$(cat cache.pub)\"

Exit code: 0 when nothing is wrong, or no longer; 1 when something is")]
pub(super) struct VerifyArgs {
    /// Do not read the contents
    #[arg(long)]
    no_contents: bool,
    /// Put back what was damaged or lost
    #[arg(long, requires = "from", conflicts_with = "no_contents")]
    repair: bool,
    /// A binary cache to repair from: a folder, file://…, http://… or https://…
    #[arg(long, value_name = "CACHE", requires = "repair")]
    from: Vec<String>,
    /// A public key, NAME:BASE64, whose signatures are believed
    #[arg(long, value_name = "KEY", requires = "repair", value_parser = PublicKey::parse)]
    trusted_key: Vec<PublicKey>,
}

pub(super) fn run(args: &VerifyArgs, store: &Store, out: &Output) -> Result<Exit, CliError> {
    let caches = open_caches(args, store)?;
    let progress = out.progress("verifying the store");
    let problems = store.verify(!args.no_contents)?;
    let paths = store.list()?.len();
    drop(progress);
    let mut left = 0;
    for problem in &problems {
        let repaired_from = match damaged_path(problem) {
            Some(path) if args.repair => repair(store, path, &caches, out),
            _ => None,
        };
        left += usize::from(repaired_from.is_none());
        let path = problem_path(problem);
        let record = StoreProblemRecord { path, problem: problem.to_string(), repaired_from };
        match &record.repaired_from {
            Some(cache) => out.line(format!("{}; repaired from {cache}", record.problem)),
            None => out.line(&record.problem),
        }
        out.record(&record);
    }
    if left == 0 {
        let repaired = match problems.len() {
            0 => String::new(),
            number => format!(", {number} after a repair"),
        };
        out.detail(format!("{}, all as registered{repaired}", count(paths, "store path")));
        return Ok(Exit::Success);
    }
    let message = format!("{} in {}", count(left, "problem"), store.root().display());
    let is_damaged = problems.iter().any(Problem::is_damage);
    let hint = match (is_damaged, args.repair) {
        (true, false) => "fetch them again: --repair --from CACHE; or ship the packages again",
        (true, true) => "ship the affected packages again",
        (false, _) => "nothing is lost; `hoist store gc` removes what nobody registered",
    };
    Err(CliError::new(Exit::No, message).hint(hint))
}

/// The caches that can be opened; one that cannot is no reason not to ask the others.
fn open_caches(args: &VerifyArgs, store: &Store) -> Result<Vec<BinaryCache>, CliError> {
    let options = CacheOptions {
        store_dir: store.dir().clone(),
        trusted_keys: args.trusted_key.clone(),
        ..CacheOptions::default()
    };
    let mut caches = Vec::new();
    for url in &args.from {
        match BinaryCache::open(url, options.clone()).map_err(CliError::from) {
            Ok(cache) => caches.push(cache),
            Err(error) if args.from.len() == 1 => return Err(error),
            Err(error) => Output::warn(error.line()),
        }
    }
    Ok(caches)
}

/// Puts a path right from the first cache that has it, and returns that cache; says why each of the
/// others could not help.
fn repair(store: &Store, path: &StorePath, caches: &[BinaryCache], out: &Output) -> Option<String> {
    let _progress = out.progress(format!("repairing {path}"));
    for cache in caches {
        match repair_from(store, path, cache) {
            Ok(true) => return Some(cache.url().to_owned()),
            Ok(false) => Output::warn(format!("{} does not have {path}", cache.url())),
            Err(error) => {
                Output::warn(format!("{} cannot repair {path}: {}", cache.url(), error.line()));
            }
        }
    }
    None
}

/// Whether the cache had the path.
fn repair_from(store: &Store, path: &StorePath, cache: &BinaryCache) -> Result<bool, CliError> {
    let Some(info) = cache.info(path)? else { return Ok(false) };
    let mut nar = cache.nar(&info)?;
    store.repair(path, &mut nar)?;
    Ok(true)
}

fn damaged_path(problem: &Problem) -> Option<&StorePath> {
    match problem {
        Problem::Missing { path }
        | Problem::Modified { path, .. }
        | Problem::Unreadable { path, .. }
        | Problem::NotCanonical { path, .. } => Some(path),
        Problem::Unregistered { .. } => None,
    }
}

fn problem_path(problem: &Problem) -> String {
    match problem {
        Problem::Missing { path }
        | Problem::Modified { path, .. }
        | Problem::Unreadable { path, .. }
        | Problem::NotCanonical { path, .. } => path.to_string(),
        Problem::Unregistered { name } => name.clone(),
    }
}
