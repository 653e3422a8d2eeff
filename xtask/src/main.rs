//! hoist's automation: `cargo xtask test` is the one test command, `cargo xtask layers` keeps the
//! map of the crates true.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to who started it")]

mod bench;
mod counts;
mod diagram;
mod fuzz;
mod gate;
mod install;
mod layers;
mod metadata;
mod run;
mod system_symbols;
mod test;
mod tidy;
mod trixie;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Automation for those who work on hoist
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::TestArgs),
    Layers(layers::LayersArgs),
    Bench(bench::BenchArgs),
    Fuzz(fuzz::FuzzArgs),
    SystemSymbols(system_symbols::SystemSymbolsArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Layers(args) => layers::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::SystemSymbols(args) => system_symbols::run(&args),
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What can go wrong here goes to a person as it is.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}
