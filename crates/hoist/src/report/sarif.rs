//! SARIF 2.1.0 (OASIS), which GitHub, GitLab and editors read.
//!
//! A finding is about a whole binary, so locations have no region. Waived findings are there with
//! the severity they have otherwise, suppressed for the author's reason.

use std::collections::BTreeMap;
use std::fmt::Write;

use hoist_check::{Rule, explain, rules};
use hoist_nix::Sha256Hash;
use hoist_schema::{Finding, Severity};
use serde_json::{Map, Value, json};

use super::table::printable;
use crate::checking::Findings;

/// What relative addresses of files are relative to.
const ROOT: &str = "%SRCROOT%";

pub(super) fn sarif(findings: &Findings) -> String {
    let used: Vec<&Rule> = rules()
        .iter()
        .copied()
        .filter(|rule| findings.findings.iter().any(|finding| finding.rule == rule.id))
        .collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = findings
        .findings
        .iter()
        .map(|finding| result(finding, findings, &used, &mut seen))
        .collect();
    let artifacts: Vec<Value> = findings
        .libraries
        .iter()
        .map(|library| json!({ "location": location(findings, &library.path), "length": library.size_bytes }))
        .collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hoist",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": used.iter().map(|rule| described(rule)).collect::<Vec<_>>(),
            }},
            "invocations": [{ "executionSuccessful": true }],
            "originalUriBaseIds": { ROOT: { "description": { "text":
                "The folder in which hoist was started, or the root of the artifact it checked." }}},
            "artifacts": artifacts,
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    });
    let mut text = serde_json::to_string_pretty(&report).expect("a report is plain data");
    text.push('\n');
    text
}

fn described(rule: &Rule) -> Value {
    let paragraphs =
        || rule.page.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    let summary: Vec<&str> = paragraphs().take_while(|line| !line.is_empty()).collect();
    json!({
        "id": rule.id,
        "name": pascal_case(rule.id),
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": summary.join(" ").replace("**", "") },
        "help": { "text": rule.page, "markdown": rule.page },
        "defaultConfiguration": { "level": level(rule.severity) },
        "properties": { "tags": [rule.id.split('.').next().unwrap_or_default()] },
    })
}

/// `harden.bind_now` as `HardenBindNow`, the form that SARIF's viewers expect of names.
fn pascal_case(id: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect::<String>()
    };
    id.split(['.', '_']).map(capital).collect()
}

fn result<'f>(
    finding: &'f Finding,
    findings: &Findings,
    used: &[&Rule],
    seen: &mut BTreeMap<[&'f str; 4], usize>,
) -> Value {
    let severity = match &finding.waived {
        Some(waived) if waived.otherwise > finding.severity => waived.otherwise,
        _ => finding.severity,
    };
    let message = match finding.fix.as_str() {
        "" => printable(&finding.message),
        fix => printable(&format!("{}. Fix: {fix}", finding.message)),
    };
    let mut result = Map::new();
    result.insert("ruleId".to_owned(), json!(finding.rule));
    if explain(&finding.rule).is_some()
        && let Some(index) = used.iter().position(|rule| rule.id == finding.rule)
    {
        result.insert("ruleIndex".to_owned(), json!(index));
    }
    result.insert("level".to_owned(), json!(level(severity)));
    result.insert("message".to_owned(), json!({ "text": message }));
    let mut place =
        json!({ "physicalLocation": { "artifactLocation": location(findings, &finding.file) }});
    let names = [(&finding.symbol, "function"), (&finding.object, "module")];
    let names: Vec<Value> = names
        .into_iter()
        .filter_map(|(name, kind)| Some(json!({ "name": name.as_ref()?, "kind": kind })))
        .collect();
    if !names.is_empty() {
        place["logicalLocations"] = json!(names);
    }
    result.insert("locations".to_owned(), json!([place]));
    let fingerprint = fingerprint(finding, seen);
    result.insert("partialFingerprints".to_owned(), json!({ "hoistFinding/v1": fingerprint }));
    if let Some(waived) =
        finding.waived.as_ref().filter(|waived| waived.otherwise > finding.severity)
    {
        let until = waived.until.as_ref().map_or_else(String::new, |day| format!(" (until {day})"));
        let justification = format!("{}{until}", waived.reason);
        let suppression =
            json!({ "kind": "external", "status": "accepted", "justification": justification });
        result.insert("suppressions".to_owned(), json!([suppression]));
    }
    Value::Object(result)
}

/// What stays the same as long as the finding does: what it is about, not how it is worded. Of
/// several about the same, each has its number.
fn fingerprint<'f>(finding: &'f Finding, seen: &mut BTreeMap<[&'f str; 4], usize>) -> String {
    let about = [
        &*finding.rule,
        &*finding.file,
        finding.symbol.as_deref().unwrap_or_default(),
        finding.object.as_deref().unwrap_or_default(),
    ];
    let number = seen.entry(about).or_default();
    *number += 1;
    let text = format!("{}\0{number}", about.join("\0"));
    Sha256Hash::of(text.as_bytes()).base16()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// Where a file is: relative to where hoist was started, or whole where its path is.
fn location(findings: &Findings, file: &str) -> Value {
    let path = match findings.below.as_str() {
        "" => file.to_owned(),
        below => format!("{}/{file}", below.trim_end_matches('/')),
    };
    if path.starts_with('/') {
        json!({ "uri": format!("file://{}", encoded(&path)) })
    } else {
        let path = path.trim_start_matches("./");
        json!({ "uri": encoded(path), "uriBaseId": ROOT })
    }
}

/// A path as part of a URI (RFC 3986, `pchar` and `/`).
fn encoded(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::tests::findings;

    fn parsed(findings: &Findings) -> Value {
        serde_json::from_str(&sarif(findings)).unwrap()
    }

    #[test]
    fn findings_are_results_and_their_rules_are_described() {
        let mut report = parsed(&findings());
        for rule in report["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap() {
            assert_eq!(rule["help"]["text"], rule["help"]["markdown"]);
            rule["help"] = json!("the page");
        }
        report["runs"][0]["tool"]["driver"]["semanticVersion"] = json!("the version");
        insta::assert_json_snapshot!(report);
    }

    #[test]
    fn the_fingerprint_stays_when_only_the_words_change() {
        let mut other = findings();
        other.findings[0].message.push_str(" again");
        let print = |findings: &Findings, index: usize| {
            parsed(findings)["runs"][0]["results"][index]["partialFingerprints"].to_string()
        };
        assert_eq!(print(&findings(), 0), print(&other, 0));
        assert_ne!(print(&findings(), 1), print(&findings(), 2));
        let again = other.findings[1].clone();
        other.findings[2] = again;
        assert_ne!(print(&other, 1), print(&other, 2), "two about the same");
    }

    #[test]
    fn a_path_is_relative_to_the_start_or_whole() {
        let mut findings = Findings::default();
        assert_eq!(
            location(&findings, "./my lib/ü.so"),
            json!({ "uri": "my%20lib/%C3%BC.so", "uriBaseId": ROOT })
        );
        findings.below = "dist/".to_owned();
        assert_eq!(location(&findings, "a:b.so")["uri"], "dist/a%3Ab.so");
        findings.below = "/nix/store/x".to_owned();
        assert_eq!(
            location(&findings, "lib/a.so"),
            json!({ "uri": "file:///nix/store/x/lib/a.so" })
        );
    }
}
