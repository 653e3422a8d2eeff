//! `hoist doctor`: what this machine offers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoist_sandbox::Level;
use hoist_schema::Exit;
use hoist_schema::record::DoctorRecord;
use rustix::fs::{Access, access, statvfs};

use crate::error::CliError;
use crate::output::{BAD, DIM, GOOD, Output, WARNING, count, size};
use crate::settings::Settings;

/// Below this much free space a build is likely to fail, in bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// Tell what this machine offers: sandbox, toolchains, Nix, Python, store, disk
///
/// Ends with exit code 3 when something is missing that `hoist ship` cannot do without.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist doctor
  hoist doctor --json | jq 'select(.state != \"good\")'")]
pub(crate) struct DoctorArgs {}

/// A program that is asked for its version.
struct Program {
    name: &'static str,
    args: &'static [&'static str],
    serves: &'static str,
    install: &'static str,
}

const PROGRAMS: [Program; 6] = [
    Program {
        name: "cc",
        args: &["--version"],
        serves: "toolchain cc, and linking for cargo",
        install: "install it, as `apt-get install gcc`",
    },
    Program {
        name: "c++",
        args: &["--version"],
        serves: "toolchain c++",
        install: "install it, as `apt-get install g++`",
    },
    Program {
        name: "cargo",
        args: &["--version"],
        serves: "toolchain cargo",
        install: "install Rust from https://rustup.rs",
    },
    Program {
        name: "python3",
        args: &["--version"],
        serves: "benches in Python, and the Python runtime",
        install: "install it, as `apt-get install python3`",
    },
    Program {
        name: "nix-store",
        args: &["--version"],
        serves: "nothing that hoist needs; it opens hoist's store with `--store local?root=…`",
        install: "only where you want it: `apt-get install nix-bin`",
    },
    Program {
        name: "ssh",
        args: &["-V"],
        serves: "nothing in this version",
        install: "only where you want it: `apt-get install openssh-client`",
    },
];

pub(crate) fn run(_: &DoctorArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let mut records = vec![sandbox()];
    records.extend(PROGRAMS.iter().map(program));
    records.push(store(settings));
    records.push(space("store disk", &settings.root));
    records.push(space("cache disk", settings.cache.root()));
    let mut exit = Exit::Success;
    for record in &records {
        let style = match record.state.as_str() {
            "good" => GOOD,
            "limited" => WARNING,
            _ => BAD,
        };
        out.line(format!(
            "{style}{:<8}{style:#} {:<11} {}",
            record.state, record.part, record.found
        ));
        if !record.hint.is_empty() {
            out.line(format!("{:<8} {:<11} {DIM}hint: {}{DIM:#}", "", "", record.hint));
        }
        out.record(record);
        if record.state == "missing" {
            exit = Exit::Machine;
        }
    }
    Ok(exit)
}

fn record(
    part: &str,
    state: &str,
    found: impl Into<String>,
    hint: impl Into<String>,
) -> DoctorRecord {
    DoctorRecord {
        part: part.to_owned(),
        state: state.to_owned(),
        found: found.into(),
        hint: hint.into(),
    }
}

fn sandbox() -> DoctorRecord {
    let part = "sandbox";
    match hoist_sandbox::available() {
        Ok(available) => {
            let state = if available.level == Level::Hermetic { "good" } else { "limited" };
            let obstacles: Vec<String> =
                available.obstacles.iter().map(ToString::to_string).collect();
            let found = match obstacles.as_slice() {
                [] => format!("level {}", available.level),
                some => format!("level {}: {}", available.level, some.join("; ")),
            };
            let hints: Vec<String> =
                available.obstacles.iter().map(hoist_sandbox::Obstacle::hint).collect();
            record(part, state, found, hints.join("; "))
        }
        Err(error) => record(part, "limited", error.to_string(), error.hint().unwrap_or_default()),
    }
}

fn program(program: &Program) -> DoctorRecord {
    let output = Command::new(program.name).args(program.args).stdin(Stdio::null()).output();
    let Ok(output) = output else {
        let found = format!("not on PATH; it serves {}", program.serves);
        return record(program.name, "limited", found, program.install);
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    record(program.name, "good", text.lines().next().unwrap_or("says no version"), "")
}

fn store(settings: &Settings) -> DoctorRecord {
    let root = settings.root.display();
    match settings.store().and_then(|store| store.list()) {
        Ok(paths) => {
            record("store", "good", format!("{root}: {}", count(paths.len(), "store path")), "")
        }
        Err(hoist_store::StoreError::NotAStore { .. }) => match may_make_a_folder(&settings.root) {
            Ok(()) => record("store", "good", format!("{root}: none yet"), ""),
            Err(why) => {
                let found = format!("{root}: none yet, and none can be made: {why}");
                record("store", "missing", found, "set HOIST_ROOT to a folder that you can write")
            }
        },
        Err(error) => {
            record("store", "missing", error.to_string(), error.hint().unwrap_or_default())
        }
    }
}

/// Whether the folder at `path` is one that can be written, or can become one.
fn may_make_a_folder(path: &Path) -> Result<(), std::io::Error> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    // With a last part, what is no folder is refused as such.
    Ok(access(there.join("."), Access::WRITE_OK | Access::EXEC_OK)?)
}

/// The free space of the disk that holds `path`, or will.
fn space(part: &str, path: &Path) -> DoctorRecord {
    let there: PathBuf =
        path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned();
    match statvfs(&there) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} free for {}", size(free), path.display());
            if free < LITTLE_SPACE {
                let variable = if part == "store disk" { "HOIST_ROOT" } else { "HOIST_CACHE_DIR" };
                record(part, "limited", found, format!("free some, or set {variable} elsewhere"))
            } else {
                record(part, "good", found, "")
            }
        }
        Err(error) => record(part, "missing", format!("{}: {error}", there.display()), ""),
    }
}
