//! `hoist explain`: the page of a rule.

use hoist_check::{POLICY_NAMES, Policy, Rule, explain, nearest_rule, rules};
use hoist_schema::record::RuleRecord;
use hoist_schema::{Exit, Severity};

use crate::error::CliError;
use crate::output::{BOLD, DIM, Output, severity_style};
use crate::report::severity_word;

/// Explain a rule of `hoist check`: what it looks for, why, and how to fix it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist explain                   list the rules, and how severe they are by policy
  hoist explain export.missing    one of them, whole")]
pub(crate) struct ExplainArgs {
    /// The rule's id, as a finding shows it
    rule: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs, out: &Output) -> Result<Exit, CliError> {
    let Some(id) = &args.rule else {
        list(out);
        return Ok(Exit::Success);
    };
    let rule = explain(id).ok_or_else(|| {
        let near = nearest_rule(id).map(|near| format!("did you mean `{}`?", near.id));
        CliError::new(Exit::Usage, format!("there is no rule `{id}`"))
            .hint(near.unwrap_or_else(|| "`hoist explain` lists them".to_owned()))
    })?;
    out.line(rule.page.trim_end());
    let severities = by_policy(rule);
    let severities: Vec<String> = severities
        .iter()
        .map(|(name, severity)| format!("{name} {}", severity_word(*severity)))
        .collect();
    out.line(format!("\nBy policy: {}", severities.join(", ")));
    out.record(&record(rule));
    Ok(Exit::Success)
}

/// Every rule in a line, a blank one between groups.
fn list(out: &Output) {
    let group = |rule: &Rule| rule.id.split('.').next();
    let ids = rules().iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    let mut before = None;
    for &rule in rules() {
        if before.is_some() && before != group(rule) {
            out.line("");
        }
        before = group(rule);
        let (style, word) = (severity_style(rule.severity), severity_word(rule.severity));
        let (id, title, others) = (rule.id, rule.title, otherwise(rule));
        out.line(format!(
            "{BOLD}{id:<ids$}{BOLD:#}  {style}{word:<7}{style:#}  {title}{DIM}{others}{DIM:#}"
        ));
        out.record(&record(rule));
    }
}

/// ` (strict: error)`: the policies that judge a rule otherwise than usual; empty without any.
fn otherwise(rule: &Rule) -> String {
    let others = by_policy(rule).into_iter().filter(|(_, severity)| *severity != rule.severity);
    let others: Vec<String> =
        others.map(|(name, severity)| format!("{name}: {}", severity_word(severity))).collect();
    if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) }
}

/// How bad a finding of a rule usually is by each policy.
fn by_policy(rule: &Rule) -> Vec<(&'static str, Severity)> {
    let policies = POLICY_NAMES.iter().filter_map(|&name| Some((name, Policy::named(name)?)));
    policies.map(|(name, policy)| (name, policy.usual_severity(rule))).collect()
}

fn record(rule: &Rule) -> RuleRecord {
    RuleRecord {
        rule: rule.id.to_owned(),
        severity: rule.severity,
        by_policy: by_policy(rule)
            .into_iter()
            .map(|(name, severity)| (name.to_owned(), severity_word(severity).into()))
            .collect(),
        title: rule.title.to_owned(),
        page: rule.page.to_owned(),
    }
}
