//! `hoist explain`: the page of a rule.

use hoist_check::{all_rules, explain, nearest_rule};
use hoist_schema::Exit;

use crate::error::CliError;
use crate::output::{BOLD, Output};

/// Explain a rule of `hoist check`: what it looks for, why, and how to fix it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist explain                   list the rules
  hoist explain export.missing    one of them, whole")]
pub(crate) struct ExplainArgs {
    /// The rule's id, as a finding shows it
    rule: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs, out: &Output) -> Result<Exit, CliError> {
    let Some(id) = &args.rule else {
        for rule in all_rules() {
            out.line(format!("{BOLD}{:<26}{BOLD:#} {}", rule.id, rule.title));
        }
        return Ok(Exit::Success);
    };
    let rule = explain(id).ok_or_else(|| {
        let hint = nearest_rule(id).map(|near| format!("did you mean `{near}`?"));
        CliError::new(Exit::Usage, format!("there is no rule `{id}`"))
            .hint(hint.unwrap_or_else(|| "`hoist explain` lists them".to_owned()))
    })?;
    out.line(rule.page.trim_end());
    Ok(Exit::Success)
}
