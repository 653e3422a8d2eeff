//! The suite of good and bad libraries for validators, as far as it lies beside the project: every
//! case must give exactly the findings that it expects.

use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_testkit::tool;
use serde_json::Value;

/// The suite, if it is there.
#[expect(clippy::print_stderr, reason = "the runner shows it beside the test's name")]
fn suite() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/elf");
    let found = folder.join("run.py").is_file();
    if !found {
        // No installation brings it: the project's own cases are in `real_variants.rs`.
        eprintln!("NOT CHECKED: no ../shared/fixtures/elf beside the project");
    }
    found.then_some(folder)
}

#[test]
fn every_case_of_the_suite_gives_the_findings_that_it_expects() {
    let (Some(suite), Some(python), Some(_)) =
        (suite(), tool("python3", "python3"), tool("gcc", "gcc"))
    else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let cases = home.path().join("cases");
    let made = Command::new(suite.join("make.sh")).arg(&cases).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let answers = home.path().join("answers.json");
    let hoist = env!("CARGO_BIN_EXE_hoist");
    let run = python
        .command()
        .arg(suite.join("run.py"))
        .arg(&cases)
        .arg("--tool")
        .arg(format!("{hoist} check --policy {{policy}} --format neutral {{artifact}}"))
        .arg("-v")
        .arg("--json")
        .arg(&answers)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let answers: Value = serde_json::from_slice(&std::fs::read(&answers).unwrap()).unwrap();
    let summary = &answers["summary"];
    assert!(summary["cases"].as_u64() >= Some(52), "{said}");
    assert_eq!(summary["passed"], summary["cases"], "{said}");
}
