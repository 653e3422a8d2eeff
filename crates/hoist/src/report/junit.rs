//! JUnit's XML: a suite for each library, a case for each rule that had something to say.
//!
//! Errors are failures, waived findings are skipped cases, and what is less than an error passes
//! with its message as output. A library without findings has one case that passes.
//!
//! Source: the schema that Jenkins' xUnit plugin publishes, and what GitLab and GitHub actions read
//! of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use hoist_schema::{Finding, Severity};

use crate::checking::Findings;

pub(super) fn junit(findings: &Findings) -> String {
    let mut suites: BTreeMap<&str, Vec<&Finding>> =
        findings.libraries.iter().map(|library| (&*library.path, Vec::new())).collect();
    for finding in &findings.findings {
        suites.entry(&finding.file).or_default().push(finding);
    }
    let cases: Vec<Suite> =
        suites.into_iter().map(|(file, found)| Suite::new(file, &found)).collect();
    let total = |of: fn(&Suite) -> usize| cases.iter().map(of).sum::<usize>();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"hoist check\" tests=\"{}\" failures=\"{}\" errors=\"0\">\n",
        total(|suite| suite.tests),
        total(|suite| suite.failures)
    );
    for suite in &cases {
        text.push_str(&suite.xml);
    }
    text.push_str("</testsuites>\n");
    text
}

/// The cases of one library.
struct Suite {
    tests: usize,
    failures: usize,
    xml: String,
}

impl Suite {
    fn new(file: &str, found: &[&Finding]) -> Self {
        let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in found {
            by_rule.entry(&finding.rule).or_default().push(finding);
        }
        let cases: Vec<Case> =
            by_rule.iter().map(|(rule, findings)| Case::new(file, rule, findings)).collect();
        let count = |end: End| cases.iter().filter(|case| case.end == end).count();
        let (failures, skipped) = (count(End::Failed), count(End::Skipped));
        let tests = cases.len().max(1);
        let name = attribute(file);
        let mut xml = format!(
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
             skipped=\"{skipped}\">\n"
        );
        if cases.is_empty() {
            let _ = writeln!(xml, "    <testcase classname=\"{name}\" name=\"no findings\"/>");
        }
        for case in &cases {
            xml.push_str(&case.xml);
        }
        xml.push_str("  </testsuite>\n");
        Self { tests, failures, xml }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

/// All that one rule said of one library.
struct Case {
    end: End,
    xml: String,
}

impl Case {
    fn new(file: &str, rule: &str, findings: &[&Finding]) -> Self {
        let is_error = |finding: &&&Finding| finding.severity == Severity::Error;
        let worst = findings.iter().find(is_error);
        let waived = findings.iter().find_map(|finding| finding.waived.as_ref());
        let lines: Vec<String> = findings.iter().map(|finding| line(finding)).collect();
        let body = content(&lines.join("\n"));
        let (end, inner) = match (worst, waived) {
            (Some(finding), _) => {
                let message = attribute(&finding.message);
                let failure = format!(
                    "<failure type=\"{}\" message=\"{message}\">{body}</failure>",
                    attribute(rule)
                );
                (End::Failed, failure)
            }
            (None, Some(waived)) if findings.iter().all(|finding| finding.waived.is_some()) => {
                let skipped = format!("<skipped message=\"{}\"/>", attribute(&waived.reason));
                (End::Skipped, format!("{skipped}<system-out>{body}</system-out>"))
            }
            _ => (End::Passed, format!("<system-out>{body}</system-out>")),
        };
        let xml = format!(
            "    <testcase classname=\"{}\" name=\"{}\">{inner}</testcase>\n",
            attribute(file),
            attribute(rule)
        );
        Self { end, xml }
    }
}

fn line(finding: &Finding) -> String {
    let word = super::table::severity_word(finding.severity);
    let mut line = format!("{word}: {}", finding.message);
    if !finding.fix.is_empty() {
        let _ = write!(line, "\n  fix: {}", finding.fix);
    }
    if let Some(waived) = &finding.waived {
        let _ = write!(line, "\n  waived: {}", waived.reason);
    }
    line
}

/// `text` as the content of an element.
fn content(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ if is_in_xml(character) => escaped.push(character),
            _ => {
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
        }
    }
    escaped
}

/// `text` as the value of an attribute, where a reader would make spaces of line ends.
fn attribute(text: &str) -> String {
    content(text).replace('\n', "&#10;").replace('\t', "&#9;").replace('\r', "&#13;")
}

/// Whether XML 1.0 can hold it at all (section 2.2, `Char`).
fn is_in_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::tests::{finding, findings};

    #[test]
    fn a_library_is_a_suite_and_a_rule_a_case() {
        insta::assert_snapshot!(junit(&findings()));
    }

    #[test]
    fn what_xml_cannot_hold_is_spelled_out() {
        let mut findings = Findings::default();
        findings.findings.push(finding(
            "export.extra",
            Severity::Error,
            "a\u{1b}[31m<&\"'\u{fffe}\n.so",
        ));
        let text = junit(&findings);
        assert!(text.contains("a\\u{1b}[31m&lt;&amp;&quot;'\\u{fffe}&#10;.so"), "{text}");
    }
}
