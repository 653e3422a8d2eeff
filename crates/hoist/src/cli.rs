//! The command line: every subcommand with its arguments, and what all of them share.

use std::path::Path;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};
use hoist_schema::Exit;

use crate::commands::{
    bindgen, build, check, completions, doctor, explain, flake, generations, init, pack, rollback,
    run, schema, ship, store, switch,
};
use crate::error::CliError;
use crate::output::Output;
use crate::place::Place;
use crate::settings::Settings;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  hoist init                       look at this project and write a hoist.toml
  hoist ship                       build, check, pack, store, bench and switch to it
  hoist rollback pattern-search    go back to the generation before
  hoist run -- python3 app.py      run with the active generations at hand
  hoist check build/libx.so        what the linker and the loader will see

Exit codes:
  0 done   1 the answer is no   2 usage or hoist.toml   3 this machine cannot
  4 a host or a cache cannot   70 a bug in hoist";

/// Hoist the compile out of the sandbox, land it in the store
#[derive(Debug, Parser)]
#[command(version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Print one JSON record a line, for scripts
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but results and problems
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Folder of the store; or `daemon`, `auto`, `unix://SOCKET` [default: $HOIST_ROOT, else
    /// $XDG_DATA_HOME/hoist]
    #[arg(long, global = true, value_name = "ROOT")]
    store: Option<Place>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ship(ship::ShipArgs),
    Build(build::BuildArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Bindgen(bindgen::BindgenArgs),
    Pack(pack::PackArgs),
    Store(store::StoreArgs),
    Switch(switch::SwitchArgs),
    Rollback(rollback::RollbackArgs),
    Generations(generations::GenerationsArgs),
    Run(run::RunArgs),
    Init(init::InitArgs),
    Flake(flake::FlakeArgs),
    Doctor(doctor::DoctorArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
}

/// Reads the arguments, runs the command, and prints why it did not succeed.
pub(crate) fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // a closed stream leaves nobody to tell
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    let out = Output::new(cli.global.json, cli.global.quiet);
    let ended = dispatch(cli, &out).and_then(|exit| match out.take_lost() {
        Some(error) => Err(CliError::io("write to", Path::new("standard output"))(error)),
        None => Ok(exit),
    });
    ended.unwrap_or_else(|error| {
        error.print(&out);
        error.exit()
    })
}

fn dispatch(cli: Cli, out: &Output) -> Result<Exit, CliError> {
    let settings = Settings::new(cli.global.store)?;
    if !matches!(cli.command, Command::Pack(_) | Command::Store(_)) {
        settings.require_folder()?;
    }
    match cli.command {
        Command::Ship(args) => ship::run(&args, &settings, out),
        Command::Build(args) => build::run(&args, &settings, out),
        Command::Check(args) => check::run(&args, &settings, out),
        Command::Bindgen(args) => bindgen::run(&args, &settings, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Pack(args) => pack::run(&args, &settings, out),
        Command::Store(args) => store::run(&args, &settings, out),
        Command::Switch(args) => switch::run(&args, &settings, out),
        Command::Rollback(args) => rollback::run(&args, &settings, out),
        Command::Generations(args) => generations::run(&args, &settings, out),
        Command::Run(args) => run::run(&args, &settings, out),
        Command::Init(args) => init::run(&args, out),
        Command::Flake(args) => flake::run(&args, &settings, out),
        Command::Doctor(args) => doctor::run(&args, &settings, out),
        Command::Schema(args) => schema::run(&args, out),
        Command::Completions(args) => completions::run::<Cli>(&args, out),
    }
}
