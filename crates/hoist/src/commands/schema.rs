//! `hoist schema`: the JSON schemas of `hoist.toml` and `hoist.lock`.

use hoist_schema::Exit;
use hoist_schema::lock::lock_json_schema;
use hoist_schema::manifest::json_schema;

use crate::error::CliError;
use crate::output::Output;

/// Print the JSON schema of hoist.toml or hoist.lock, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist schema > hoist.schema.json
  hoist schema lock")]
pub(crate) struct SchemaArgs {
    /// Of which file
    #[arg(value_enum, default_value_t = Which::Manifest)]
    file: Which,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    /// hoist.toml
    Manifest,
    /// hoist.lock
    Lock,
}

pub(crate) fn run(args: &SchemaArgs, out: &Output) -> Result<Exit, CliError> {
    let schema = match args.file {
        Which::Manifest => json_schema(),
        Which::Lock => lock_json_schema(),
    };
    if out.is_json() {
        out.record(&schema);
    } else {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
        out.line(text);
    }
    Ok(Exit::Success)
}
