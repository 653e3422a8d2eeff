//! `cargo xtask test`: everything that must hold before a change goes in.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::counts::Counts;
use crate::gate::Gate;
use crate::install::Tools;
use crate::metadata::Metadata;
use crate::run::{cargo, command};
use crate::{Result, layers, root, tidy};

/// Run every test and every check of this repository
///
/// What they need beside cargo is installed first: Debian packages where this runs as root, Python
/// wheels and cargo-nextest below the target folder, a newer Debian with its Nix in the user's cache
/// folder. Each installation is one line. Where all of it is there, a test that finds its tool
/// missing fails; else it says NOT CHECKED.
#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Install nothing; what needs an absent tool is not checked
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    let target = Metadata::read()?.target_directory;
    let mut gate = Gate::open(|| Tools::prepare(&target.join("xtask"), !args.no_install))?;
    gate.step("format", None, vec![cargo(&["fmt", "--all", "--check", "--", "--color=never"])])?;
    gate.step("clippy", None, vec![clippy(&["--workspace"])])?;
    gate.check("layers", layers::check);
    gate.check("tidy", || tidy::check(root()));
    gate.step("tests", Some(count_tests(&gate.tools)), vec![tests(&gate.tools)])?;
    let doctests = cargo(&["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]);
    gate.step("doctests", Some(Counts::of_cargo_test), vec![doctests])?;
    let kernels = kernels()?;
    for kernel in &kernels {
        let name = kernel.file_name().unwrap_or_default().display().to_string();
        let commands = of_kernel(kernel, &target.join("kernels").join(&name));
        gate.step(&name, Some(Counts::of_cargo_test), commands)?;
    }
    let unittest = ["-m", "unittest", "discover", "-s", "python/tests", "-t", "python"];
    gate.step("python", Some(Counts::of_unittest), vec![command("python3", &unittest)])?;
    gate.step("ruff", None, ruff(&kernels)?)?;
    gate.step("typos", None, vec![command("typos", &[])])?;
    Ok(gate.close())
}

/// Clippy with its findings as errors.
fn clippy(scope: &[&str]) -> Command {
    let mut clippy = cargo(&["clippy", "--locked", "--all-targets"]);
    clippy.args(scope).args(["--", "-D", "warnings"]);
    clippy
}

/// The tests of the workspace; slower and less telling where nextest is absent.
fn tests(tools: &Tools) -> Command {
    if !tools.has("cargo-nextest") {
        let mut test = cargo(&["test", "--locked", "--workspace", "--all-targets"]);
        test.args(["--no-fail-fast", "--", "--show-output"]);
        return test;
    }
    let mut nextest = cargo(&["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
    nextest.args(["--status-level=slow", "--final-status-level=slow"]);
    if tools.complete {
        nextest.arg("--success-output=never"); // none can have been unable to look
    }
    nextest
}

fn count_tests(tools: &Tools) -> fn(&str) -> Counts {
    if tools.has("cargo-nextest") { Counts::of_nextest } else { Counts::of_cargo_test }
}

/// A payload is a project of its own, as a user's would be.
fn of_kernel(folder: &Path, target: &Path) -> Vec<Command> {
    let mut commands = vec![
        cargo(&["fmt", "--check", "--", "--color=never"]),
        clippy(&[]),
        cargo(&["test", "--locked", "--no-fail-fast"]),
    ];
    for command in &mut commands {
        command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    }
    commands
}

/// The linter and the formatter of everything in Python.
fn ruff(kernels: &[PathBuf]) -> Result<Vec<Command>> {
    let mut scripts = vec![root().join("python"), root().join("examples")];
    for kernel in kernels {
        let files = listed(kernel)?.into_iter();
        scripts.extend(files.filter(|file| file.extension() == Some(OsStr::new("py"))));
    }
    let mut commands = vec![command("ruff", &["check"]), command("ruff", &["format", "--check"])];
    for command in &mut commands {
        command.args(["--no-cache", "--config", "python/pyproject.toml"]);
        command.args(scripts.iter().map(|file| file.strip_prefix(root()).unwrap_or(file)));
    }
    Ok(commands)
}

/// The folders of the payload projects.
fn kernels() -> Result<Vec<PathBuf>> {
    let folders = listed(&root().join("kernels"))?;
    Ok(folders.into_iter().filter(|folder| folder.join("Cargo.toml").is_file()).collect())
}

/// What lies in `folder`, sorted.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}
