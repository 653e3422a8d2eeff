//! `hoist explain`: the page of a rule.

use hoist_check::{Rule, explain, nearest_rule, rules};
use hoist_schema::Exit;
use hoist_schema::record::RuleRecord;

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
        for rule in rules() {
            out.line(format!("{BOLD}{:<26}{BOLD:#} {}", rule.id, rule.title));
            out.record(&record(rule));
        }
        return Ok(Exit::Success);
    };
    let rule = explain(id).ok_or_else(|| {
        let near = nearest_rule(id).map(|near| format!("did you mean `{}`?", near.id));
        CliError::new(Exit::Usage, format!("there is no rule `{id}`"))
            .hint(near.unwrap_or_else(|| "`hoist explain` lists them".to_owned()))
    })?;
    out.line(rule.page.trim_end());
    out.record(&record(rule));
    Ok(Exit::Success)
}

fn record(rule: &Rule) -> RuleRecord {
    RuleRecord {
        rule: rule.id.to_owned(),
        severity: rule.severity,
        title: rule.title.to_owned(),
        page: rule.page.to_owned(),
    }
}
