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
const MOST_ALIKE: usize = 1000;

/// A finding that was just added, to say what it is about.
pub(crate) struct Reported<'a>(&'a mut Finding);

impl Reported<'_> {
    /// It is about this symbol.
    pub(crate) fn symbol(self, name: &str) -> Self {
        self.0.symbol = Some(name.to_owned());
        self
    }

    /// It is about this other library, type or version.
    pub(crate) fn object(self, name: &str) -> Self {
        self.0.object = Some(name.to_owned());
        self
    }
}

/// One of several findings of a rule, see [`Judge::report_each`].
pub(crate) struct About {
    /// The symbol it is about.
    pub(crate) symbol: Option<String>,
    /// The other library, type or version it is about.
    pub(crate) object: Option<String>,
    /// What was found.
    pub(crate) message: String,
}

impl About {
    pub(crate) fn symbol(name: &str, message: String) -> Self {
        Self { symbol: Some(name.to_owned()), object: None, message }
    }

    /// It is about this other library, type or version as well.
    pub(crate) fn object(self, name: &str) -> Self {
        Self { object: Some(name.to_owned()), ..self }
    }
}

impl<'a> Judge<'a> {
    pub(crate) fn new(file: &'a str, contract: &'a Contract) -> Self {
        Self { file, contract, findings: Vec::new() }
    }

    /// Adds a finding of the rule's usual severity.
    pub(crate) fn report(
        &mut self,
        rule: &Rule,
        message: impl Display,
        fix: impl Display,
    ) -> Reported<'_> {
        self.report_as(rule.severity, rule, message, fix)
    }

    pub(crate) fn report_as(
        &mut self,
        severity: Severity,
        rule: &Rule,
        message: impl Display,
        fix: impl Display,
    ) -> Reported<'_> {
        Reported(self.findings.push_mut(Finding {
            rule: rule.id.to_owned(),
            severity,
            file: self.file.to_owned(),
            symbol: None,
            object: None,
            message: message.to_string(),
            fix: fix.to_string(),
            waived: None,
        }))
    }

    /// Adds a finding for each of `found`, all of one rule, up to [`MOST_ALIKE`].
    pub(crate) fn report_each(&mut self, rule: &Rule, found: &[About], fix: &str) {
        self.report_each_as(rule.severity, rule, found.iter(), fix);
    }

    /// The same with another severity.
    pub(crate) fn report_each_as<'f>(
        &mut self,
        severity: Severity,
        rule: &Rule,
        mut found: impl Iterator<Item = &'f About>,
        fix: &str,
    ) {
        for About { symbol, object, message } in found.by_ref().take(MOST_ALIKE) {
            let finding = self.report_as(severity, rule, message, fix).0;
            finding.symbol.clone_from(symbol);
            finding.object.clone_from(object);
        }
        let rest = found.count();
        if rest > 0 {
            self.report_as(severity, rule, format_args!("and {rest} more like these"), fix);
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
