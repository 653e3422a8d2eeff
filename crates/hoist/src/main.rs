//! The `hoist` command: arguments, output, exit codes. What it does lives in the crates below it.

#![expect(clippy::doc_markdown, reason = "doc comments of arguments are the help text")]
#![expect(clippy::unnecessary_wraps, reason = "every command's `run` has one form")]

mod checking;
mod cli;
mod commands;
mod error;
mod output;
mod place;
mod probing;
mod project;
mod receipt;
mod report;
mod runtime;
mod settings;
mod ship;

use std::panic;
use std::process::{self, ExitCode};

use hoist_schema::Exit;

fn main() -> ExitCode {
    hoist_sandbox::init_if_asked();
    panic::set_hook(Box::new(|bug| {
        output::notice(format!("error: a bug in hoist: {bug}"));
        output::notice("hint: please report it, with the command and what it printed");
        process::exit(Exit::Bug as i32);
    }));
    cli::run().into()
}
