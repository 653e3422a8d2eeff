//! Commands, shown as they run.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::root;

/// What `cargo run` tells this program about itself, which builds below it must not inherit:
/// build scripts that look at it would run again with every change between the two.
const OF_THIS_PROGRAM: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whether it succeeded.
    pub(crate) well: bool,
    /// All it printed, standard output and standard error as they came.
    pub(crate) output: String,
}

/// A command that starts in the repository, without standard input.
pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        if OF_THIS_PROGRAM.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// The cargo that started this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Runs a command to its end, and prints its output while it comes.
///
/// # Errors
///
/// When it cannot be started.
pub(crate) fn shown(command: &mut Command) -> io::Result<Ended> {
    println!("$ {}", words(command));
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // Our own ends of the pipe; with them open, reading would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = String::new();
    let mut stdout = io::stdout().lock();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(stdout, "{line}")?;
        output.push_str(&line);
        output.push('\n');
    }
    Ok(Ended { well: child.wait()?.success(), output })
}

/// Runs a command to its end in silence; what it printed is the error when it fails.
///
/// # Errors
///
/// The reason why it could not be started, or its output.
pub(crate) fn quiet(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", words(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!(
        "{}: {}\n{}\n{}",
        words(command),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    ))
}

/// Finds `program` in the folders of `path`.
pub(crate) fn find(program: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The command as a person would type it, without the folder of the program.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let args = command.get_args().map(OsStr::to_string_lossy);
    std::iter::once(name).chain(args).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_of_a_command_are_collected_with_its_end() {
        let ended = shown(&mut command("sh", &["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert!(!ended.well);
        let mut lines: Vec<&str> = ended.output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_failure_in_silence_tells_what_was_printed() {
        let told = quiet(&mut command("sh", &["-c", "echo no luck >&2; exit 1"])).unwrap_err();
        assert!(told.contains("no luck"), "{told}");
    }

    #[test]
    fn a_program_is_found_in_the_folders_given_only() {
        assert!(find("sh", OsStr::new("/nowhere:/bin")).is_some());
        assert!(find("sh", OsStr::new("/nowhere")).is_none());
    }
}
