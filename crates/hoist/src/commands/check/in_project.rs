//! `hoist check` in a project: what it shipped last, and whether that is still what the project is.

use std::path::PathBuf;

use hoist_build::{Action, ActionKey, Isolation, Sources, find_toolchain};
use hoist_check::explain;
use hoist_schema::lock::LOCK_FILE;
use hoist_schema::manifest::MANIFEST_FILE;
use hoist_schema::{Exit, Finding};
use hoist_store::{Profile, StoreError};

use super::against::Old;
use super::{CheckArgs, asked, in_store};
use crate::checking::{Findings, check_project};
use crate::error::CliError;
use crate::output::Output;
use crate::project::Project;
use crate::settings::{Settings, system};
use crate::ship::read_lock;

/// What a project shipped last for this system.
struct Shipped {
    /// `generation 3 of NAME`, or `hoist.lock`.
    said_by: String,
    /// Its logical store path.
    path: PathBuf,
    /// The hash of all that it was made from; not known of what another tool switched to.
    action_key: Option<String>,
}

/// Looks at the active generation of the project here, or at what its lock names.
pub(super) fn find(
    args: &CheckArgs,
    settings: &Settings,
    out: &Output,
) -> Result<Findings, CliError> {
    let project = Project::load(None)?;
    let generation = active_generation(&project, settings)?;
    let locked = locked(&project)?;
    let Some(shipped) = generation.as_ref().or(locked.as_ref()) else {
        let name = &project.manifest.package.name;
        let message = format!("{name} was not shipped yet, so there is nothing to check");
        return Err(CliError::new(Exit::No, message).hint("`hoist ship`, or name a PATH"));
    };
    let path = &shipped.path;
    let there = in_store(path, settings).unwrap_or_else(|| path.clone());
    if !there.is_dir() {
        let message = format!("{} is not in the store", path.display());
        return Err(CliError::new(Exit::No, message).hint("`hoist ship` makes it again"));
    }
    let request = asked::request(args, Some(&project))?;
    let progress = out.progress(format!("checking {}", there.display()));
    let mut stale = stale_findings(&project, settings, shipped, locked.as_ref())?;
    request.policy.judge(&mut stale);
    let mut found = check_project(&project, settings, &there, &request)?;
    found.findings.extend(stale);
    drop(progress);
    found.below = path.display().to_string();
    if let Some(named) = &args.against {
        let old = Old::find(named, settings)?;
        found.findings.extend(old.compare(&there, &found.below, &request, out)?);
    }
    found.waive(&project)?;
    Ok(found)
}

fn active_generation(project: &Project, settings: &Settings) -> Result<Option<Shipped>, CliError> {
    let store = match settings.store() {
        Err(StoreError::NotAStore { .. }) => return Ok(None), // nothing was ever shipped here
        store => store?,
    };
    let name = &project.manifest.package.name;
    let current = Profile::open(&store, name)?.current()?;
    Ok(current.map(|generation| Shipped {
        said_by: format!("generation {} of {name}", generation.number),
        path: store.dir().print(&generation.path).into(),
        action_key: generation.action_key,
    }))
}

fn locked(project: &Project) -> Result<Option<Shipped>, CliError> {
    let lock = read_lock(&project.folder)?;
    let locked = lock.and_then(|mut lock| lock.systems.remove(&system()));
    Ok(locked.map(|locked| Shipped {
        said_by: LOCK_FILE.to_owned(),
        path: locked.artifact.store_path.into(),
        action_key: Some(locked.inputs),
    }))
}

/// Where the project, its lock and what it shipped last are not of one piece.
fn stale_findings(
    project: &Project,
    settings: &Settings,
    shipped: &Shipped,
    locked: Option<&Shipped>,
) -> Result<Vec<Finding>, CliError> {
    let keys: Vec<String> = keys(project, settings)?.iter().map(ToString::to_string).collect();
    let mut findings = Vec::new();
    if let Some(key) = &shipped.action_key
        && !keys.contains(key)
    {
        let message = format!(
            "{} was made from other inputs than the project has now: its sources, its toolchain or \
             {MANIFEST_FILE} changed since",
            shipped.said_by
        );
        findings.push(finding("stale.source", MANIFEST_FILE, message, "`hoist ship`"));
    }
    if let Some(locked) = locked.filter(|locked| locked.path != shipped.path) {
        let message = format!(
            "it names `{}`, and {} is `{}`",
            locked.path.display(),
            shipped.said_by,
            shipped.path.display()
        );
        let fix = "`hoist ship` brings it up to date; `hoist rollback` goes back to what it names";
        findings.push(finding("stale.lock", LOCK_FILE, message, fix));
    }
    Ok(findings)
}

/// The keys that a build of the project has now, in the sandbox and without one.
fn keys(project: &Project, settings: &Settings) -> Result<Vec<ActionKey>, CliError> {
    let Project { folder, manifest, promise } = project;
    let sources = Sources::find(folder, &manifest.build.sources)?;
    let toolchain = find_toolchain(folder, manifest, &settings.cache)?;
    let key =
        |isolation| Ok(Action::new(manifest, &sources, &toolchain, promise, isolation)?.key());
    [Isolation::Sandbox, Isolation::Host].into_iter().map(key).collect()
}

fn finding(rule: &str, file: &str, message: String, fix: &str) -> Finding {
    Finding {
        rule: rule.to_owned(),
        severity: explain(rule).expect("the rule is listed").severity,
        file: file.to_owned(),
        symbol: None,
        object: None,
        message,
        fix: fix.to_owned(),
        waived: None,
    }
}
