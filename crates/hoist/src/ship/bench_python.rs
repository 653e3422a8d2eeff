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

/// Prints its version, and those of the requirements among its arguments that are not met. Without
/// pip, which knows how to compare versions, any version will do.
const PROBE: &str = r"
import importlib.metadata, re, sys
try: from pip._vendor.packaging.requirements import Requirement
except ImportError: Requirement = None
print('.'.join(map(str, sys.version_info[:3])), sys.prefix)
for wanted in sys.argv[1:]:
    try: found = importlib.metadata.version(re.match(r'[\w.-]*', wanted).group())
    except importlib.metadata.PackageNotFoundError: print(wanted)
    else:
        if Requirement and not Requirement(wanted).specifier.contains(found, prereleases=True):
            print(wanted)
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
///
/// - `own`: the Python that the manifest names.
pub(super) fn find_python(
    own: &str,
    wheels: &[String],
    cache: &CacheDirs,
    out: &Output,
) -> Result<Python, CliError> {
    let own = PathBuf::from(own);
    let (identity, lacking) = probe(&own, wheels)?;
    if lacking.is_empty() {
        return Ok(Python { program: own, missing: None });
    }
    let name = Sha256Hash::of(format!("{identity} {}", wheels.join(" ")).as_bytes()).base16();
    let folder = cache.folder("venv")?.join(&name[..16]);
    match make_environment(&own, &folder, wheels, out) {
        Ok(program) => Ok(Python { program, missing: None }),
        Err(why) => {
            let missing = lacking.join(" ");
            Output::warn(format!("the bench runs without {missing}: {why}"));
            Ok(Python { program: own, missing: Some(missing) })
        }
    }
}

fn probe(python: &Path, wheels: &[String]) -> Result<(String, Vec<String>), CliError> {
    let output = Command::new(python)
        .args(["-c", PROBE])
        .args(wheels)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            CliError::io("start", python)(error)
                .hint("install Python 3, as `apt-get install python3`")
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(CliError::new(
            Exit::Machine,
            format!("{} does not run: {said}", python.display()),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(str::to_owned);
    Ok((lines.next().unwrap_or_default(), lines.collect()))
}

/// Makes the virtual environment, or takes the one that is there.
fn make_environment(
    own: &Path,
    folder: &Path,
    wheels: &[String],
    out: &Output,
) -> Result<PathBuf, String> {
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
        run(own, &["-m", "venv", "--clear", &path])?;
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
    fn what_is_not_installed_is_lacking() {
        let Some(python) = hoist_testkit::tool("python3", "python3") else { return };
        let wheels = ["no-such-distribution>=1".to_owned()];
        let (identity, lacking) = probe(python.path(), &wheels).unwrap();
        assert!(identity.starts_with("3."), "{identity}");
        assert_eq!(lacking, wheels);
    }
}
