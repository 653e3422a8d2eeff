//! `hoist flake`: let Nix build what hoist shipped.

mod static_hoist;
mod tracked;
mod write;

use std::path::PathBuf;

use hoist_build::Sources;
use hoist_schema::lock::{LOCK_FILE, LockedSystem, cache_url, vendor_path};
use hoist_schema::record::FlakeRecord;
use hoist_schema::{Exit, LockError};
use hoist_store::Store;

use self::static_hoist::{Candidate, land_hoist};
use self::tracked::untracked;
use self::write::Writing;
use crate::error::CliError;
use crate::output::{Output, count};
use crate::project::Project;
use crate::settings::{Settings, system};
use crate::ship::{Landed, Maker, Making, has_text, locked_anew, read_lock, vendored_files};

/// The flake of every project.
const FLAKE: &str = include_str!("flake.nix");

/// Its name, which Nix asks for.
const FLAKE_FILE: &str = "flake.nix";

/// Write flake.nix and hoist.lock, so that Nix builds what was shipped
///
/// The flake is the same in every project and names no other; hoist.lock says what was shipped.
/// From then on `hoist ship` keeps hoist.lock current. `nix build` gives the store path that hoist
/// made: from a copy in the repository (--vendor), a substituter, or a cache (--cache).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist flake --vendor                            keep a copy of the artifact in the repository
  hoist flake --cache https://cache.example.org   let Nix fetch it from there
  hoist flake --vendor --hoist dist/hoist         with a static hoist, for `nix flake check`")]
pub(crate) struct FlakeArgs {
    /// Project folder [default: that of the nearest hoist.toml upwards]
    dir: Option<PathBuf>,
    /// Binary cache that has the artifact uncompressed; may be given again, Nix fetches from the
    /// first [default: those in hoist.lock]
    #[arg(long, value_name = "URL")]
    cache: Vec<String>,
    /// Copy the artifact, and a static hoist, into this folder of the project
    /// [default: artifacts/SYSTEM]
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "")]
    vendor: Option<String>,
    /// Static hoist for the flake's check [default: the one in hoist.lock, else this program
    /// where it is static]
    #[arg(long, value_name = "FILE")]
    hoist: Option<PathBuf>,
    /// Leave the flake without a check
    #[arg(long, conflicts_with = "hoist")]
    no_hoist: bool,
    /// Overwrite a flake.nix, and folders, that hoist did not write
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &FlakeArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let project = Project::load(args.dir.as_deref())?;
    let flake = project.folder.join(FLAKE_FILE);
    let has_flake = has_text(&flake, FLAKE);
    if !has_flake && flake.symlink_metadata().is_ok() && !args.force {
        let message = format!("{} is not the one that hoist writes", flake.display());
        return Err(CliError::new(Exit::No, message).hint(
            "keep the library in a folder of its own and import its flake from yours; or --force",
        ));
    }
    let before = read_lock(&project.folder)?;
    let store = settings.store_for_writing()?;
    let landed = shipped(&project, settings, &store, out)?;
    let mut lock = locked_anew(before.as_ref(), &project, &landed)?;
    let locked = lock.systems.get_mut(&system()).expect("it was just put there");
    if !args.cache.is_empty() {
        let urls: Result<_, LockError> = args.cache.iter().map(|url| cache_url(url)).collect();
        locked.caches = urls.map_err(|error| refused(&error))?;
    }
    let hoist = set_hoist(args, locked, &store)?;
    if let Some(folder) = &args.vendor {
        let default = format!("artifacts/{}", system());
        let folder = vendor_path(if folder.is_empty() { &default } else { folder });
        let folder = folder.map_err(|error| refused(&error))?;
        locked.artifact.path = Some(format!("{folder}/package"));
    }
    let mut writing = Writing::new(&project.folder, before.as_ref(), args.force);
    writing.copies(locked, &landed, hoist.as_deref())?;
    let locked = locked.clone();
    writing.lock(&lock)?;
    if !has_flake {
        writing.flake(FLAKE_FILE, FLAKE)?;
    }
    say(&project, &locked, &writing.wrote(), out)?;
    Ok(Exit::Success)
}

fn refused(error: &LockError) -> CliError {
    CliError::new(Exit::Usage, error.to_string())
}

/// What the project as it is was shipped as.
fn shipped(
    project: &Project,
    settings: &Settings,
    store: &Store,
    out: &Output,
) -> Result<Landed, CliError> {
    let _progress = out.progress("looking for what was shipped");
    let making = Making::default();
    let landed = Maker { project, making, settings, store, out }.landed_before()?;
    landed.ok_or_else(|| {
        let name = project.manifest.package.store_name();
        let message = format!("{name} as it is now was not shipped, or is no longer in the store");
        CliError::new(Exit::No, message).hint("`hoist ship`, then `hoist flake` again")
    })
}

/// Decides which static hoist the lock names; returns where that lies on this machine.
fn set_hoist(
    args: &FlakeArgs,
    locked: &mut LockedSystem,
    store: &Store,
) -> Result<Option<PathBuf>, CliError> {
    if args.no_hoist {
        locked.hoist = None;
        return Ok(None);
    }
    let candidate = match (&args.hoist, &locked.hoist) {
        (Some(file), _) => Candidate::Named(file.clone()),
        (None, Some(known)) => {
            let path = store.dir().parse_path(&known.store_path).ok();
            let there = path.map(|path| store.physical(&path)).filter(|path| path.is_dir());
            return Ok(there);
        }
        (None, None) => Candidate::Running,
    };
    let Some(hoist) = land_hoist(candidate, store)? else { return Ok(None) };
    locked.hoist = Some(hoist.locked);
    Ok(Some(hoist.path))
}

/// Says what was written, and what Nix would miss.
fn say(
    project: &Project,
    locked: &LockedSystem,
    wrote: &[String],
    out: &Output,
) -> Result<(), CliError> {
    let mut needed = vec![FLAKE_FILE.to_owned(), LOCK_FILE.to_owned()];
    let copies = [Some(&locked.artifact), locked.hoist.as_ref()];
    for copy in copies.into_iter().flatten().filter_map(|locked| locked.path.as_deref()) {
        needed.extend(vendored_files(&project.folder, copy)?);
    }
    let untracked = untracked(&project.folder, &needed);
    out.record(&FlakeRecord {
        wrote: wrote.to_vec(),
        store_path: locked.artifact.store_path.clone(),
        caches: locked.caches.clone(),
        path: locked.artifact.path.clone(),
        hoist: locked.hoist.as_ref().map(|hoist| hoist.store_path.clone()),
        untracked: untracked.clone(),
    });
    for file in wrote {
        out.line(format!("wrote {file}"));
    }
    if wrote.is_empty() {
        out.detail("all is as it should be");
    }
    out.detail(format!("nix build gives {}", locked.artifact.store_path));
    match &locked.hoist {
        Some(hoist) => out.detail(format!("nix flake check runs {}", hoist.store_path)),
        None => out.detail("no check: this hoist is not static, and --hoist names none that is"),
    }
    warn_of_sources(project, &needed)?;
    if locked.artifact.path.is_none() && locked.caches.is_empty() {
        Output::warn(
            "hoist.lock names neither a copy nor a cache, so only a substituter can have the \
             artifact: add --vendor or --cache URL",
        );
    }
    if let Some(first) = untracked.first() {
        let others = match untracked.len() - 1 {
            0 => String::new(),
            others => format!(" and {}", count(others, "other file")),
        };
        Output::warn(format!(
            "git does not track {first}{others}, so Nix will not see it: `git add --force {}`",
            to_add(&needed, &untracked, locked).join(" ")
        ));
    }
    Ok(())
}

/// The fewest names that add all that is not tracked: copies as whole folders.
fn to_add(needed: &[String], untracked: &[String], locked: &LockedSystem) -> Vec<String> {
    let folder = locked.artifact.path.as_deref().and_then(|path| path.rsplit_once('/'));
    let folder = folder.map(|(folder, _)| folder.to_owned());
    let is_in =
        |file: &String| folder.as_ref().is_some_and(|folder| file.starts_with(folder.as_str()));
    let mut names: Vec<String> =
        needed.iter().filter(|file| untracked.contains(file) && !is_in(file)).cloned().collect();
    names.extend(folder.clone().filter(|_| untracked.iter().any(is_in)));
    names
}

/// Sources among the files of the flake are others after it was written than what was shipped.
fn warn_of_sources(project: &Project, needed: &[String]) -> Result<(), CliError> {
    let sources = Sources::find(&project.folder, &project.manifest.build.sources)?;
    if let Some(source) = sources.files.iter().find(|source| needed.contains(&source.path)) {
        Output::warn(format!(
            "`sources` in hoist.toml takes in {}, so the next ship builds again: narrow its globs",
            source.path
        ));
    }
    Ok(())
}
