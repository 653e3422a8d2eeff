//! `hoist build`: from a project to a checked store path, without switching to it.

use std::path::PathBuf;

use hoist_schema::Exit;

use crate::error::CliError;
use crate::output::Output;
use crate::project::Project;
use crate::receipt::Receipt;
use crate::settings::Settings;
use crate::ship::{Maker, Making};

/// Build, check and store a project without switching to it
///
/// Prints the store path last. An unchanged project is answered from the action cache.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist build                   the project in this folder
  hoist build --quiet           only the store path
  hoist build --cold            with an empty compiler cache
  hoist build --no-sandbox      on the host as it is")]
pub(crate) struct BuildArgs {
    /// Project folder [default: that of the nearest hoist.toml upwards]
    dir: Option<PathBuf>,
    #[command(flatten)]
    making: Making,
}

pub(crate) fn run(args: &BuildArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let project = Project::load(args.dir.as_deref())?;
    let package = &project.manifest.package;
    Receipt::new(out).title(&format!("{} {}", package.name, package.version));
    let store = settings.store_for_writing()?;
    let maker = Maker { project: &project, making: args.making, settings, store: &store, out };
    let landed = maker.land()?;
    out.line(store.dir().print(&landed.store_path));
    Ok(Exit::Success)
}
