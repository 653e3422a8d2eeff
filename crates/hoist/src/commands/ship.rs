//! `hoist ship`: the main job.

use std::path::PathBuf;
use std::time::Instant;

use hoist_schema::Exit;
use hoist_schema::record::StageRecord;

use super::switch::switch_to;
use crate::error::CliError;
use crate::output::{Output, count};
use crate::project::Project;
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::ship::{LockUpdate, Maker, Making, bench, ms};

/// Build a project, check it, land it in the store and switch to it
///
/// Runs build → check → pack → store → bench → switch. What is unchanged is answered from the
/// action cache. An error finding or a closed gate ends it with exit code 1 before anything is
/// switched. A hoist.lock, which `hoist flake` writes, is brought up to date before the switch.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist ship                          the project in this folder
  hoist ship kernels/pattern-search   another one
  hoist ship --cold --bench           build anew with an empty compiler cache, measure again
  hoist ship --locked                 in CI: make what hoist.lock names, or end with 1
  hoist ship --json                   one record a stage, for scripts")]
pub(crate) struct ShipArgs {
    /// Project folder [default: that of the nearest hoist.toml upwards]
    dir: Option<PathBuf>,
    #[command(flatten)]
    making: Making,
    /// Run the bench again although this store path was measured before
    #[arg(long)]
    bench: bool,
    /// Leave the bench out; the gate is not asked
    #[arg(long, conflicts_with = "bench")]
    no_bench: bool,
    /// Refuse to change hoist.lock: exit 1 where this ship makes something else
    #[arg(long)]
    locked: bool,
}

pub(crate) fn run(args: &ShipArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let start = Instant::now();
    let project = Project::load(args.dir.as_deref())?;
    let package = &project.manifest.package;
    Receipt::new(out).title(&format!("{} {}", package.name, package.version));
    let store = settings.store_for_writing()?;
    let maker = Maker { project: &project, making: args.making, settings, store: &store, out };
    let landed = maker.land()?;
    let lock = LockUpdate::plan(&project, &landed, args.locked)?;
    if !args.no_bench {
        bench(&project, &landed, settings, args.bench, out)?;
    }
    if let Some(lock) = lock {
        lock.apply(&project, &landed, out)?;
    }
    let action_key = landed.action_key.to_string();
    let generation = switch_to(&store, &package.name, &landed.store_path, Some(action_key), out)?;
    say_unserved(&project);
    let time = start.elapsed();
    out.record(&StageRecord::Ship {
        ms: ms(time),
        package: package.name.clone(),
        version: package.version.clone(),
        store_path: store.dir().print(&landed.store_path),
        generation,
    });
    let import = format!("hoist_runtime.load(\"{}\")", package.name);
    Receipt::new(out).total(time, &format!("load it in Python: {import}"));
    Ok(Exit::Success)
}

/// Says what the manifest asks for that this version does not do.
fn say_unserved(project: &Project) {
    let manifest = &project.manifest;
    let asked = [
        ("[push]", manifest.push.as_ref().map(|push| count(push.to.len(), "destination"))),
        ("[deploy]", manifest.deploy.as_ref().map(|deploy| count(deploy.hosts.len(), "host"))),
        (
            "[rollout]",
            manifest.rollout.as_ref().map(|rollout| count(rollout.stages.len(), "stage")),
        ),
    ];
    for (section, what) in asked {
        if let Some(what) = what {
            Output::warn(format!("{section} names {what}, which this version does not serve"));
        }
    }
}
