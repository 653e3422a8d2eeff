//! `cargo xtask bench`: what hoist costs beside a named peer, measured in one run. Prints the
//! tables of `docs/benchmarks.md`.

mod check;
mod measure;
mod pack;
mod ship;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};

use crate::run::{cargo, quiet};
use crate::{Result, root};

/// Measure hoist beside a named peer, in one run
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    what: What,
    /// Rounds of each row; what takes seconds gets fewer
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// The program to measure [default: the release build of this repository]
    #[arg(long, value_name = "FILE")]
    hoist: Option<PathBuf>,
    /// Of pack and check: print one JSON record for each row instead of a table
    #[arg(long)]
    json: bool,
    /// Of pack: the large tree [default: Mojo, unpacked from its wheels]
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Of check: the folder with the wheels of numpy, faiss-cpu and scipy [default: those that
    /// `cargo xtask test` got]
    #[arg(long, value_name = "DIR")]
    wheels: Option<PathBuf>,
}

impl BenchArgs {
    fn wheels(&self) -> PathBuf {
        self.wheels.clone().unwrap_or_else(|| root().join("target/xtask/wheels"))
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The main job, and packing beside Nix
    Ship,
    /// Adding, hashing, verifying and switching, beside Nix and `cp`
    Pack,
    /// The score on the suite of libraries, and the check beside tools that do part of it
    Check,
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let program = match &args.hoist {
        Some(program) => program.canonicalize()?,
        None => built()?,
    };
    let subject = Subject { program };
    match args.what {
        What::Ship => ship::run(&subject, args.rounds),
        What::Pack => pack::run(&subject, args),
        What::Check => check::run(&subject, args),
    }
}

/// The release build of this repository, made or brought up to date.
fn built() -> Result<PathBuf> {
    quiet(&mut cargo(&["build", "--release", "--package", "hoist"]))?;
    Ok(root().join("target/release/hoist"))
}

/// The hoist that is measured.
struct Subject {
    program: PathBuf,
}

impl Subject {
    /// A command with its store and its cache below `home`.
    fn hoist(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOIST_ROOT", home.join("root")).env("HOIST_CACHE_DIR", home.join("cache"));
        command
    }
}

/// A program of Nix, kept from the configuration of the machine.
fn nix(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env(
        "NIX_CONFIG",
        "sandbox = false\nbuild-users-group =\nsubstitute = false\n\
         experimental-features = nix-command flakes",
    );
    command
}

fn has_nix() -> bool {
    Command::new("nix-store").arg("--version").output().is_ok()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
