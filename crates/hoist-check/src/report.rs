//! The answers about one library.

use std::fmt::Display;

use hoist_elf::ElfFacts;
use hoist_schema::{Finding, Severity};

use crate::contract::Contract;
use crate::rule::Rule;

/// The answers about one library.
#[derive(Debug)]
pub struct Report {
    /// What the file says; absent when it gives no facts, which is a finding then.
    pub facts: Option<ElfFacts>,
    /// Worst first, otherwise in the order of [`rules`](crate::rules).
    pub findings: Vec<Finding>,
}

impl Report {
    /// The severity of the worst finding; `None` when there is none.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether the library may land: no finding is an error.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.worst() < Some(Severity::Error)
    }
}

/// Collects findings about one file under one contract.
pub(crate) struct Judge<'a> {
    file: &'a str,
    pub(crate) contract: &'a Contract,
    findings: Vec<Finding>,
}

/// Most findings of one rule about one file; the rest are counted in one more.
const MOST_ALIKE: usize = 10;

impl<'a> Judge<'a> {
    pub(crate) fn new(file: &'a str, contract: &'a Contract) -> Self {
        Self { file, contract, findings: Vec::new() }
    }

    /// Adds a finding of the rule's usual severity.
    pub(crate) fn report(&mut self, rule: &Rule, message: impl Display, fix: impl Display) {
        self.report_as(rule.severity, rule, message, fix);
    }

    pub(crate) fn report_as(
        &mut self,
        severity: Severity,
        rule: &Rule,
        message: impl Display,
        fix: impl Display,
    ) {
        self.findings.push(Finding {
            rule: rule.id.to_owned(),
            severity,
            file: self.file.to_owned(),
            message: message.to_string(),
            fix: fix.to_string(),
        });
    }

    /// Adds a finding for each message, all of one rule, up to [`MOST_ALIKE`].
    pub(crate) fn report_each(&mut self, rule: &Rule, messages: &[String], fix: &str) {
        for message in messages.iter().take(MOST_ALIKE) {
            self.report(rule, message, fix);
        }
        let rest = messages.len().saturating_sub(MOST_ALIKE);
        if rest > 0 {
            self.report(rule, format_args!("and {rest} more like these"), fix);
        }
    }

    pub(crate) fn finish(self, facts: Option<ElfFacts>) -> Report {
        let mut findings = self.findings;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Report { facts, findings }
    }
}

/// `a`, `b` and 3 more: at most `most` names in backquotes.
pub(crate) fn name_some<'n>(names: impl Iterator<Item = &'n str>, most: usize) -> String {
    let names: Vec<&str> = names.collect();
    let shown: Vec<String> = names.iter().take(most).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => match shown.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => shown.concat(),
        },
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
