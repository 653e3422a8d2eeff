//! The table for people: grouped by file, the worst first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::Style;
use hoist_schema::{Finding, Severity};

use crate::checking::Findings;
use crate::output::{BOLD, DIM, severity_style};

/// Most findings of one rule about one file that are shown, unless all were asked for.
const MOST_ALIKE: usize = 10;

/// Least width of a message, in characters; narrower terminals break its lines themselves.
const LEAST_MESSAGE: usize = 30;

/// What of the findings is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Also what is only worth knowing, and every one of many alike.
    pub(crate) all: bool,
    /// Width of the terminal in characters, at which messages are wrapped; absent where there is
    /// none, so that a line stays a line for `grep`.
    pub(crate) width: Option<usize>,
}

impl Shown {
    /// Findings below this are left out.
    pub(crate) fn least(self) -> Severity {
        if self.all { Severity::Info } else { Severity::Warning }
    }
}

/// The findings as lines, nothing where nothing is worth a line.
pub(crate) fn table(findings: &Findings, shown: Shown) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.findings.iter().filter(|finding| finding.severity >= shown.least()) {
        files.entry(&finding.file).or_default().push(finding);
    }
    let mut files: Vec<(&str, Vec<&Finding>)> = files.into_iter().collect();
    let worst = |found: &[&Finding]| found.iter().map(|finding| finding.severity).max();
    files.sort_by_key(|(_, found)| Reverse(worst(found))); // stable: then by path
    let mut lines = Vec::new();
    for (file, mut found) in files {
        found.sort_by_key(|finding| Reverse(finding.severity));
        let heads = found.iter().map(|finding| head_width(finding));
        let column = heads.max().unwrap_or(0) + 4;
        lines.push(format!("{BOLD}{}{BOLD:#}", printable(file)));
        for alike in alike(&found) {
            let most = if shown.all { alike.len() } else { MOST_ALIKE };
            lines_of(&alike[..alike.len().min(most)], column, shown.width, &mut lines);
            let left_out = alike.len().saturating_sub(most);
            if left_out > 0 {
                let space = " ".repeat(column);
                lines.push(format!(
                    "{space}{DIM}and {left_out} more like these: `--all` shows them{DIM:#}"
                ));
            }
        }
    }
    lines
}

/// Findings of one severity and rule that stand together.
fn alike<'f>(found: &'f [&'f Finding]) -> Vec<Vec<&'f Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in found {
        let same = |group: &&mut Vec<&Finding>| {
            group[0].rule == finding.rule && group[0].severity == finding.severity
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// Lines of findings of one rule; an advice that several share stands behind the last of them.
fn lines_of(alike: &[&Finding], column: usize, width: Option<usize>, lines: &mut Vec<String>) {
    for (index, finding) in alike.iter().enumerate() {
        let style = severity_style(finding.severity);
        let word = severity_word(finding.severity);
        let pad = " ".repeat((column - 2).saturating_sub(head_width(finding)));
        let head = format!("  {style}{word}{style:#}[{BOLD}{}{BOLD:#}]{pad}", finding.rule);
        wrapped(&head, &finding.message, column, width, false, lines);
        let space = " ".repeat(column);
        let next = alike.get(index + 1);
        if !finding.fix.is_empty() && next.is_none_or(|next| next.fix != finding.fix) {
            wrapped(&space, &format!("fix: {}", finding.fix), column, width, true, lines);
        }
        if let Some(waived) = &finding.waived {
            let until =
                waived.until.as_ref().map_or_else(String::new, |day| format!(" until {day}"));
            let otherwise = severity_word(waived.otherwise);
            let text = format!("waived{until}, otherwise {otherwise}: {}", waived.reason);
            wrapped(&space, &text, column, width, true, lines);
        }
    }
}

/// `error[rule.id]`, in characters.
fn head_width(finding: &Finding) -> usize {
    severity_word(finding.severity).len() + finding.rule.chars().count() + 2
}

/// Adds `text` behind `head`, broken between words where it is wider than the terminal.
fn wrapped(
    head: &str,
    text: &str,
    column: usize,
    width: Option<usize>,
    is_dim: bool,
    lines: &mut Vec<String>,
) {
    let style = if is_dim { DIM } else { Style::new() };
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(column).max(LEAST_MESSAGE));
    let mut start = head.to_owned();
    for line in break_words(&printable(text), room) {
        lines.push(format!("{start}{style}{line}{style:#}"));
        start = " ".repeat(column);
    }
}

/// `text` in lines of at most `room` characters, unless a word is longer.
fn break_words(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// `text` without what a terminal would obey: names come from files that nobody vouches for.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(printable, "\\u{{{:x}}}", u32::from(character));
        } else {
            printable.push(character);
        }
    }
    printable
}

/// How a severity is written for people.
pub(crate) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use anstream::adapter::strip_str;
    use hoist_schema::Waived;
    use hoist_schema::record::CheckedLibrary;

    use super::*;

    pub(in crate::report) fn finding(rule: &str, severity: Severity, file: &str) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity,
            file: file.to_owned(),
            symbol: None,
            object: None,
            message: format!("`add` of {file} breaks {rule}"),
            fix: "mend it".to_owned(),
            waived: None,
        }
    }

    /// Two libraries with findings of every kind, and one without.
    pub(in crate::report) fn findings() -> Findings {
        let library = |path: &str| CheckedLibrary {
            path: path.to_owned(),
            exports: 1,
            size_bytes: 4096,
            exported: 2,
            glibc: Some("2.17".to_owned()),
            loads_on: "glibc 2.17 (because of `clock_gettime`)".to_owned(),
        };
        let symbol =
            |symbol: &str, found: Finding| Finding { symbol: Some(symbol.to_owned()), ..found };
        let waived = Waived {
            reason: "the host interposes it".to_owned(),
            until: Some("2027-01-31".to_owned()),
            otherwise: Severity::Warning,
        };
        Findings {
            libraries: ["lib/a.so", "lib/b.so", "lib/clean.so"].map(library).into(),
            findings: vec![
                finding("harden.bind_now", Severity::Warning, "lib/a.so"),
                symbol("add", finding("export.missing", Severity::Error, "lib/b.so")),
                symbol("mul", finding("export.missing", Severity::Error, "lib/b.so")),
                finding("harden.relro", Severity::Warning, "lib/b.so"),
                Finding {
                    waived: Some(waived),
                    ..finding("dyn.interpose", Severity::Info, "lib/b.so")
                },
            ],
            ..Findings::default()
        }
    }

    fn text(findings: &Findings, all: bool, width: Option<usize>) -> String {
        let lines = table(findings, Shown { all, width });
        strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn files_and_findings_come_worst_first_and_are_aligned() {
        insta::assert_snapshot!(text(&findings(), false, None));
    }

    #[test]
    fn all_shows_what_is_waived_and_why() {
        insta::assert_snapshot!(text(&findings(), true, Some(70)));
    }

    #[test]
    fn ten_of_a_kind_are_shown_and_the_rest_counted() {
        let extra = || finding("export.extra", Severity::Error, "lib/a.so");
        let many = Findings { findings: (0..14).map(|_| extra()).collect(), ..Findings::default() };
        let shown = text(&many, false, None);
        assert_eq!(shown.matches("error[export.extra]").count(), 10);
        assert_eq!(shown.matches("fix: mend it").count(), 1);
        assert!(shown.ends_with("and 4 more like these: `--all` shows them"), "{shown}");
        assert_eq!(text(&many, true, None).matches("error[export.extra]").count(), 14);
    }

    #[test]
    fn a_name_cannot_speak_to_the_terminal() {
        let mut findings = Findings::default();
        let message = "`\u{1b}]0;owned\u{7}` is exported".to_owned();
        let found = finding("export.extra", Severity::Error, "a\u{1b}[2J.so");
        findings.findings.push(Finding { message, ..found });
        let shown = text(&findings, false, None);
        assert!(
            shown.contains("a\\u{1b}[2J.so") && shown.contains("`\\u{1b}]0;owned\\u{7}`"),
            "{shown}"
        );
        let lines = findings.lines(Severity::Warning).join("\n");
        assert!(
            strip_str(&lines).to_string().contains("a\\u{1b}[2J.so: `\\u{1b}]0;owned"),
            "{lines}"
        );
    }
}
