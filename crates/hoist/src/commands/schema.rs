//! `hoist schema`: the JSON schema of `hoist.toml`.

use hoist_schema::Exit;
use hoist_schema::manifest::json_schema;

use crate::error::CliError;
use crate::output::Output;

/// Print the JSON schema of hoist.toml, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist schema > hoist.schema.json")]
pub(crate) struct SchemaArgs {}

pub(crate) fn run(_: &SchemaArgs, out: &Output) -> Result<Exit, CliError> {
    if out.is_json() {
        out.record(&json_schema());
    } else {
        let text = serde_json::to_string_pretty(&json_schema()).expect("a schema is plain data");
        out.line(text);
    }
    Ok(Exit::Success)
}
