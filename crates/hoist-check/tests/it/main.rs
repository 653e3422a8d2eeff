//! Every rule on libraries written byte by byte, with its message and its advice.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod abi;
mod container;
mod dependencies;
mod exports;
mod fix;
mod hardening;
mod hotswap;
mod leaks;
mod loading;
mod references;
mod resolve;
mod secrets;
mod target;
mod tree;
mod versions;

use std::collections::BTreeMap;
use std::fmt::Write;

use hoist_check::{Candidate, Contract, Promise, Report, Target, check_library};
use hoist_elf::testing::Library;

/// Where the checked library lies in its artifact.
const PATH: &str = "lib/libcase.so";

/// A contract that promises `add`, as every test library exports it.
fn contract() -> Contract {
    Contract {
        exports: vec![Promise::function("add")],
        promised_by: "include/case.h".to_owned(),
        ..Contract::new(Target::X86_64_LINUX)
    }
}

fn check(library: &Library, contract: &Contract) -> Report {
    check_among(library, contract, &[])
}

/// Checks a library that lies in an artifact with others.
fn check_among(library: &Library, contract: &Contract, others: &[(&str, &Library)]) -> Report {
    let siblings: BTreeMap<String, Vec<u8>> =
        others.iter().map(|(path, library)| ((*path).to_owned(), library.build())).collect();
    check_library(&Candidate::new(PATH, &library.build()), contract, &siblings)
}

fn check_bytes(bytes: &[u8]) -> Report {
    check_library(&Candidate::new(PATH, bytes), &contract(), &BTreeMap::new())
}

/// What is said of every test library, or of every one with a helper: left out where it is not what
/// the test is about.
const USUAL: [&str; 3] = ["debug.absent", "file.no_sections", "swap.helper_soname"];

/// Findings as text but for [`USUAL`] ones: severity, rule, message, advice.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in report.findings.iter().filter(|finding| !USUAL.contains(&&*finding.rule)) {
        assert_eq!(finding.file, PATH);
        writeln!(text, "{:?}[{}] {}", finding.severity, finding.rule, finding.message).unwrap();
        if !finding.fix.is_empty() {
            writeln!(text, "    fix: {}", finding.fix).unwrap();
        }
    }
    text
}

#[test]
fn a_good_library_gives_nothing_to_read() {
    let report = check(&Library::new(), &contract());
    assert_eq!(text(&report), "");
    assert!(report.is_accepted());
}
