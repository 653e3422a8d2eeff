//! `hoist completions`: what a shell needs to complete hoist's arguments.

use clap::CommandFactory;
use clap_complete::Shell;
use hoist_schema::Exit;

use crate::error::CliError;
use crate::output::Output;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist completions bash > ~/.local/share/bash-completion/completions/hoist")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run<C: CommandFactory>(
    args: &CompletionsArgs,
    out: &Output,
) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "hoist", &mut script);
    out.print(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Success)
}
