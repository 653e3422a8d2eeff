use std::fmt::Write;
use std::time::{Duration, Instant};

use hoist_check::{Candidate, CompareError, Comparison, Contract, Target, check_against};
use hoist_elf::Machine;
use hoist_elf::testing::{Definition, Library};
use insta::assert_snapshot;

use crate::PATH;

fn compare(old: &Library, new: &Library) -> Result<Comparison, CompareError> {
    let (old, new) = (old.build(), new.build());
    let contract = Contract::new(Target::X86_64_LINUX);
    check_against(&Candidate::new(PATH, &new), &Candidate::new(PATH, &old), &contract)
}

fn exporting(exports: Vec<Definition>) -> Library {
    Library { exports, ..Library::new() }
}

/// Findings with what they are about. No test library has debug information, so that is left out.
fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for found in comparison.findings.iter().filter(|found| found.rule != "abi.unverified") {
        let (symbol, object) = (found.symbol.as_deref(), found.object.as_deref());
        let about = symbol.or(object).unwrap_or("-");
        writeln!(text, "{:?}[{}] {about}: {}", found.severity, found.rule, found.message).unwrap();
        if !found.fix.is_empty() {
            writeln!(text, "    fix: {}", found.fix).unwrap();
        }
    }
    text
}

#[test]
fn a_build_is_compatible_with_itself() {
    let library = exporting(vec![Definition::function("add"), Definition::variable("table")]);
    let comparison = compare(&library, &library).unwrap();
    assert!(comparison.is_compatible());
    assert_eq!(text(&comparison), "");
    assert_eq!((comparison.exports, comparison.described), (2, 0));
}

#[test]
fn what_is_gone_is_told_with_its_new_name_and_what_to_do() {
    let old = exporting(vec![Definition::function("scan_rows"), Definition::function("add")]);
    let new = exporting(vec![Definition::function("scan_rows_v2"), Definition::function("add")]);
    let comparison = compare(&old, &new).unwrap();
    assert!(!comparison.is_compatible());
    assert_snapshot!(text(&comparison));
}

#[test]
fn a_function_that_became_a_variable_is_told() {
    let old = exporting(vec![Definition::function("limit")]);
    let new = exporting(vec![Definition::variable("limit")]);
    assert_snapshot!(text(&compare(&old, &new).unwrap()));
}

#[test]
fn a_function_chosen_while_loading_is_a_function() {
    let old = exporting(vec![Definition::function("add")]);
    let new = exporting(vec![Definition::indirect_function("add")]);
    assert_eq!(text(&compare(&old, &new).unwrap()), "");
}

#[test]
fn names_of_cpp_are_shown_as_they_were_written() {
    let old = exporting(vec![Definition::function("_ZN5index4findEi")]);
    let new = exporting(vec![Definition::function("_ZN5index4findEl")]);
    assert_snapshot!(text(&compare(&old, &new).unwrap()));
}

#[test]
fn names_with_a_hash_of_rust_do_not_count() {
    let old = exporting(vec![Definition::function("_ZN4case3add17h0123456789abcdefE")]);
    let new = exporting(vec![Definition::function("_ZN4case3add17hfedcba9876543210E")]);
    assert_eq!(text(&compare(&old, &new).unwrap()), "");
}

#[test]
fn another_soname_keeps_old_callers_away() {
    let old = Library { soname: Some("libcase.so.1"), ..Library::new() };
    let new = Library { soname: Some("libcase.so.2"), ..Library::new() };
    assert_snapshot!(text(&compare(&old, &new).unwrap()));
    assert_snapshot!(text(&compare(&old, &Library { soname: None, ..Library::new() }).unwrap()));
}

#[test]
fn what_cannot_be_compared_is_an_error_and_no_finding() {
    let library = Library::new();
    let arm = Library { machine: Machine::AARCH64, ..Library::new() };
    assert!(matches!(compare(&library, &arm), Err(CompareError::OtherMachine)));
    let contract = Contract::new(Target::X86_64_LINUX);
    let (bytes, text) = (library.build(), b"<html>");
    let (library, page) = (Candidate::new(PATH, &bytes), Candidate::new(PATH, text));
    let refused = check_against(&library, &page, &contract).unwrap_err();
    assert_eq!(refused.to_string(), "the old build cannot be read");
    let refused = check_against(&page, &library, &contract).unwrap_err();
    assert_eq!(refused.to_string(), "the new build cannot be read");
}

/// So many functions with names of so many bytes that are alike.
fn with_long_names(first: char, names: usize, bytes: usize) -> Library {
    let name = |number: usize| format!("{first}{number:04}{}", "ab".repeat((bytes - 5) / 2));
    exporting((0..names).map(|number| Definition::function(name(number).leak())).collect())
}

#[test]
fn new_names_are_guessed_in_little_time_however_long_they_are() {
    for bytes in [2000, 250] {
        let (old, new) = (with_long_names('o', 20, bytes), with_long_names('n', 25, bytes));
        let start = Instant::now();
        let comparison = compare(&old, &new).unwrap();
        // Comparing all pairs takes much longer for the long names.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let removed = comparison.findings.iter().filter(|found| found.rule == "abi.removed");
        assert_eq!(removed.clone().count(), 20);
        let is_guessed = removed.clone().any(|found| found.message.contains("renamed to"));
        assert_eq!(is_guessed, bytes == 250, "only of names of an ordinary length");
    }
}
