//! `hoist completions`: what a shell needs to complete hoist's arguments.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use hoist_schema::Exit;

use crate::error::CliError;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist completions bash > ~/.local/share/bash-completion/completions/hoist")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run<C: CommandFactory>(args: &CompletionsArgs) -> Result<Exit, CliError> {
    clap_complete::generate(args.shell, &mut C::command(), "hoist", &mut io::stdout());
    Ok(Exit::Success)
}
