//! `hoist run`: a command with the active generations at hand.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_build::PYTHON_DIR;
use hoist_schema::Exit;
use hoist_store::read_current;

use crate::error::CliError;
use crate::output::Output;
use crate::runtime::materialise_runtime;
use crate::settings::Settings;

/// Run a command with the active generations' libraries on its paths
///
/// Sets HOIST_ROOT, puts every active generation's lib folder on HOIST_LIB_PATH and
/// LD_LIBRARY_PATH, and the hoist_runtime package and packed Python modules on PYTHONPATH. The generations are looked up
/// once: a later switch does not reach the running command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist run -- python3 app.py
  hoist run --package pattern-search -- ./host")]
pub(crate) struct RunArgs {
    /// Only this package's active generation; may be given again [default: all]
    #[arg(long, value_name = "NAME")]
    package: Vec<String>,
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &RunArgs, settings: &Settings, _: &Output) -> Result<Exit, CliError> {
    let packages =
        if args.package.is_empty() { active(&settings.root)? } else { args.package.clone() };
    let mut folders = Vec::new();
    let mut modules = Vec::new();
    for package in &packages {
        let current = read_current(&settings.root, package)?.ok_or_else(|| {
            CliError::new(Exit::No, format!("`{package}` has no active generation"))
                .hint("`hoist ship` in its project makes one")
        })?;
        folders.push(current.physical.join("lib"));
        modules.extend(Some(current.physical.join(PYTHON_DIR)).filter(|folder| folder.is_dir()));
    }
    modules.insert(0, materialise_runtime(&settings.cache)?);
    let (program, words) = args.command.split_first().expect("clap asks for a command");
    let error = Command::new(program)
        .args(words)
        .env("HOIST_ROOT", &settings.root)
        .env("HOIST_LIB_PATH", joined(&folders, None)?)
        .env("LD_LIBRARY_PATH", joined(&folders, env::var_os("LD_LIBRARY_PATH").as_ref())?)
        .env("PYTHONPATH", joined(&modules, env::var_os("PYTHONPATH").as_ref())?)
        .exec();
    Err(CliError::io("start", Path::new(program))(error).hint("name a program that is on PATH"))
}

/// The profiles of the store that have an active generation.
fn active(root: &Path) -> Result<Vec<String>, CliError> {
    let folder = root.join("nix/var/nix/profiles");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CliError::io("list", &folder)(error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.ends_with("-link")) // a generation's own link
        .filter(|name| matches!(read_current(root, name), Ok(Some(_))))
        .collect();
    names.sort();
    Ok(names)
}

/// `folders` before what `rest` names already. An empty entry would mean the current folder.
fn joined(folders: &[PathBuf], rest: Option<&OsString>) -> Result<OsString, CliError> {
    let rest: Vec<PathBuf> = rest
        .into_iter()
        .flat_map(env::split_paths)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    env::join_paths(folders.iter().chain(&rest)).map_err(|error| {
        CliError::new(Exit::Machine, format!("the store root cannot be on a path list: {error}"))
    })
}
