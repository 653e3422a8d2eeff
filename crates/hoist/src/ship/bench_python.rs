//! A Python that has the wheels a bench asks for: the user's own, or a virtual environment below
//! hoist's cache folder, or, where no wheel can be had, the user's own without them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoist_build::CacheDirs;
use hoist_nix::Sha256Hash;
use hoist_schema::Exit;

use crate::error::CliError;
use crate::output::Output;

/// Prints its version and the distributions among its arguments that are not installed.
const PROBE: &str = "\
import importlib.metadata as m, sys
print('.'.join(map(str, sys.version_info[:3])), sys.prefix)
for name in sys.argv[1:]:
    try: m.version(name)
    except m.PackageNotFoundError: print(name)
";

/// Written into a virtual environment when it is made, which takes seconds, and then again when its
/// wheels are installed: one without it was cut short.
const MADE: &str = ".hoist-made";
const COMPLETE: &str = ".hoist-complete";

/// A Python to run a bench with.
#[derive(Debug)]
pub(super) struct Python {
    pub(super) program: PathBuf,
    /// The wheels it lacks, when they could not be had.
    pub(super) missing: Option<String>,
}

/// Finds or makes one with `wheels`, which are requirement specifiers as pip takes them.
pub(super) fn find_python(
    wheels: &[String],
    cache: &CacheDirs,
    out: &Output,
) -> Result<Python, CliError> {
    let own = PathBuf::from("python3");
    let (identity, lacking) = probe(&own, wheels)?;
    if lacking.is_empty() {
        return Ok(Python { program: own, missing: None });
    }
    let name = Sha256Hash::of(format!("{identity} {}", wheels.join(" ")).as_bytes()).base16();
    let folder = cache.folder("venv")?.join(&name[..16]);
    match make_environment(&folder, wheels, out) {
        Ok(program) => Ok(Python { program, missing: None }),
        Err(why) => {
            let missing = lacking.join(" ");
            Output::warn(format!("the bench runs without {missing}: {why}"));
            Ok(Python { program: own, missing: Some(missing) })
        }
    }
}

fn probe(python: &Path, wheels: &[String]) -> Result<(String, Vec<String>), CliError> {
    let names = wheels.iter().map(|wheel| distribution(wheel));
    let output = Command::new(python)
        .args(["-c", PROBE])
        .args(names)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            CliError::io("start", python)(error)
                .hint("install Python 3, as `apt-get install python3`")
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CliError::new(Exit::Machine, format!("python3 does not run: {said}")));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(str::to_owned);
    Ok((lines.next().unwrap_or_default(), lines.collect()))
}

/// The distribution's name in a requirement such as `numpy>=1.24`.
fn distribution(wheel: &str) -> &str {
    let end = wheel.find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c));
    wheel[..end.unwrap_or(wheel.len())].trim()
}

/// Makes the virtual environment, or takes the one that is there.
fn make_environment(folder: &Path, wheels: &[String], out: &Output) -> Result<PathBuf, String> {
    let program = folder.join("bin/python");
    if folder.join(COMPLETE).is_file() {
        return Ok(program);
    }
    let text = |error: std::io::Error| error.to_string();
    let lock = File::create(folder.with_extension("lock")).map_err(text)?;
    lock.lock().map_err(text)?; // another ship may be making it
    if folder.join(COMPLETE).is_file() {
        return Ok(program);
    }
    let progress = out.progress(format!("installing {} for the bench", wheels.join(", ")));
    if !folder.join(MADE).is_file() {
        let path = folder.to_string_lossy();
        run(Path::new("python3"), &["-m", "venv", "--clear", &path])?;
        fs::write(folder.join(MADE), "").map_err(text)?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let wheels = wheels.iter().map(String::as_str);
    let binary_only = ["--only-binary", ":all:"];
    let words: Vec<&str> = install.into_iter().chain(binary_only).chain(wheels).collect();
    run(&program, &words)?;
    fs::write(folder.join(COMPLETE), "").map_err(text)?;
    drop(progress);
    Ok(program)
}

fn run(program: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .env_remove("PYTHONPATH")
        .output()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let is_telling = |line: &&str| line.contains("rror");
    let line = said.lines().rev().find(is_telling).or(said.lines().last()).unwrap_or("no word");
    Err(format!("`{} {}` said: {}", program.display(), args[..2].join(" "), line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_names_its_distribution() {
        assert_eq!(distribution("numpy>=1.24,<3"), "numpy");
        assert_eq!(distribution("faiss-cpu == 1.9"), "faiss-cpu");
        assert_eq!(distribution("numpy[dev]; python_version > '3'"), "numpy");
    }
}
