//! The `hoist` command: arguments, output, exit codes. What it does lives in the crates below it.

#![expect(clippy::doc_markdown, reason = "doc comments of arguments are the help text")]
#![expect(clippy::unnecessary_wraps, reason = "every command's `run` has one form")]

mod checking;
mod cli;
mod commands;
mod error;
mod output;
mod project;
mod receipt;
mod runtime;
mod settings;
mod ship;

use std::process::ExitCode;

fn main() -> ExitCode {
    hoist_sandbox::init_if_asked();
    cli::run().into()
}
