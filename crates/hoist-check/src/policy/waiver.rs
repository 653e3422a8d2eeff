//! Waivers: findings that the author of a project judges otherwise, for a reason.

use hoist_schema::manifest::{Day, Waive};
use hoist_schema::{Finding, Waived};

use crate::rule::{WAIVER_EXPIRED, WAIVER_UNUSED};

/// Judges `findings` by the waivers of a project: the first that is about a finding, and still
/// counts on the day `today`, decides how bad it is. Adds a finding for each waiver that counts no
/// more, and for each that was about nothing.
///
/// - `file`: the manifest, as findings call it.
///
/// Waivers go after the policy: they have the last word.
pub fn apply_waivers(waivers: &[Waive], today: Day, file: &str, findings: &mut Vec<Finding>) {
    let mut matched = vec![0; waivers.len()];
    for finding in findings.iter_mut() {
        let about = waivers.iter().enumerate().filter(|(_, waiver)| is_about(waiver, finding));
        let about: Vec<(usize, &Waive)> = about.collect();
        for (index, _) in &about {
            matched[*index] += 1;
        }
        if let Some((_, waiver)) = about.iter().find(|(_, waiver)| !is_over(waiver, today)) {
            finding.waived = Some(Waived {
                reason: waiver.reason.clone(),
                until: waiver.until.map(|until| until.to_string()),
                otherwise: finding.severity,
            });
            finding.severity = waiver.severity;
        }
    }
    let remarks = waivers.iter().zip(matched);
    findings.extend(remarks.filter_map(|(waiver, matched)| remark(waiver, matched, today, file)));
}

fn is_about(waiver: &Waive, finding: &Finding) -> bool {
    waiver.rule == finding.rule
        && waiver.library.as_ref().is_none_or(|library| *library == finding.file)
        && (waiver.symbol.is_none() || waiver.symbol == finding.symbol)
}

fn is_over(waiver: &Waive, today: Day) -> bool {
    waiver.until.is_some_and(|until| until < today)
}

/// What there is to say of a waiver that was about `matched` findings.
fn remark(waiver: &Waive, matched: usize, today: Day, file: &str) -> Option<Finding> {
    let rule = &waiver.rule;
    let about = match (&waiver.library, &waiver.symbol) {
        (None, None) => String::new(),
        (Some(name), None) | (None, Some(name)) => format!(" of `{name}`"),
        (Some(library), Some(symbol)) => format!(" of `{symbol}` in `{library}`"),
    };
    let counted = if matched == 1 { "1 finding".to_owned() } else { format!("{matched} findings") };
    let (kind, message, fix) = match waiver.until.filter(|until| *until < today) {
        Some(until) => (
            &WAIVER_EXPIRED,
            format!("the waiver of {rule}{about} counted until {until}; it was about {counted}"),
            "mend what it is about, or give it a later day and a reason that still holds",
        ),
        None if matched == 0 => (
            &WAIVER_UNUSED,
            format!("the waiver of {rule}{about} is about nothing that was found"),
            "remove it, so that the next finding is seen",
        ),
        None => return None,
    };
    Some(Finding {
        rule: kind.id.to_owned(),
        severity: kind.severity,
        file: file.to_owned(),
        symbol: waiver.symbol.clone(),
        object: Some(rule.clone()),
        message,
        fix: fix.to_owned(),
        waived: None,
    })
}

#[cfg(test)]
mod tests {
    use hoist_schema::Severity::{self, Error, Info, Warning};

    use super::*;

    fn finding(rule: &str, file: &str, symbol: Option<&str>) -> Finding {
        Finding {
            rule: rule.to_owned(),
            severity: Severity::Warning,
            file: file.to_owned(),
            symbol: symbol.map(str::to_owned),
            object: None,
            message: "found".to_owned(),
            fix: String::new(),
            waived: None,
        }
    }

    fn waive(rule: &str) -> Waive {
        Waive {
            rule: rule.to_owned(),
            library: None,
            symbol: None,
            severity: Severity::Info,
            reason: "the host asks for it".to_owned(),
            until: None,
        }
    }

    fn judged(waivers: &[Waive], mut findings: Vec<Finding>) -> Vec<(String, Severity)> {
        let today = "2026-11-28".parse().unwrap();
        apply_waivers(waivers, today, "hoist.toml", &mut findings);
        findings.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
    }

    #[test]
    fn a_waiver_is_about_its_rule_library_and_symbol_only() {
        let found = || {
            vec![
                finding("dyn.interpose", "lib/a.so", Some("malloc")),
                finding("dyn.interpose", "lib/a.so", Some("free")),
                finding("dyn.interpose", "lib/b.so", Some("malloc")),
                finding("harden.relro", "lib/a.so", None),
            ]
        };
        let severities = |waiver: Waive| {
            judged(&[waiver], found()).into_iter().map(|(_, severity)| severity).collect::<Vec<_>>()
        };
        let by_rule = waive("dyn.interpose");
        assert_eq!(severities(by_rule.clone()), [Info, Info, Info, Warning]);
        let by_library = Waive { library: Some("lib/a.so".to_owned()), ..by_rule };
        assert_eq!(severities(by_library.clone()), [Info, Info, Warning, Warning]);
        let by_symbol = Waive { symbol: Some("malloc".to_owned()), ..by_library };
        assert_eq!(severities(by_symbol.clone()), [Info, Warning, Warning, Warning]);
        let raised = Waive { severity: Error, ..by_symbol };
        assert_eq!(severities(raised), [Error, Warning, Warning, Warning]);
    }

    #[test]
    fn a_waiver_counts_on_its_last_day_and_not_on_the_next() {
        let until =
            |day: &str| Waive { until: Some(day.parse().unwrap()), ..waive("harden.relro") };
        let found = || vec![finding("harden.relro", "lib/a.so", None)];
        let relro = |severity| ("harden.relro".to_owned(), severity);
        assert_eq!(judged(&[until("2026-11-28")], found()), [relro(Severity::Info)]);
        let expired = ("waiver.expired".to_owned(), Severity::Warning);
        assert_eq!(judged(&[until("2026-11-27")], found()), [relro(Severity::Warning), expired]);
        let both = [until("2026-11-27"), waive("harden.relro")];
        assert_eq!(judged(&both, found())[0], relro(Severity::Info), "the other still counts");
    }

    #[test]
    fn a_waiver_of_nothing_is_worth_knowing() {
        let mut findings = Vec::new();
        let waiver = Waive { symbol: Some("malloc".to_owned()), ..waive("dyn.interpose") };
        apply_waivers(&[waiver], "2026-11-28".parse().unwrap(), "hoist.toml", &mut findings);
        assert_eq!(findings[0].rule, "waiver.unused");
        assert_eq!(findings[0].severity, Severity::Info);
        assert_eq!(
            findings[0].message,
            "the waiver of dyn.interpose of `malloc` is about nothing that was found"
        );
    }
}
