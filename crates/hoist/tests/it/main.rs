//! The built command, end to end, each test in a home of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod again;
mod against;
mod bench;
mod build;
mod check;
mod concurrent;
mod disk;
mod fix;
mod flake;
mod gc;
mod generations;
mod help;
mod init;
mod manifest;
mod output;
mod packing;
mod policy;
mod sandbox;
mod store;

use hoist_testkit::Hoist;
use serde_json::Value;

/// An empty home.
fn hoist() -> Hoist {
    Hoist::new(env!("CARGO_BIN_EXE_hoist"))
}

/// A home with the project `adder`.
fn adder() -> Hoist {
    let hoist = hoist();
    hoist.adder();
    hoist
}

/// `text` with the test's folder as `~`.
fn tidy(hoist: &Hoist, text: &str) -> String {
    text.replace(hoist.dir().to_str().unwrap(), "~")
}

/// The record of a stage.
#[track_caller]
fn stage(records: &[Value], name: &str) -> Value {
    let found = records.iter().find(|record| record["stage"] == name);
    found.unwrap_or_else(|| panic!("no stage {name} in {records:?}")).clone()
}

/// The names of the stages that ended, in their order.
fn stages(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|record| record["stage"].as_str()).collect()
}

/// The generations of the profile `adder`, and the current one.
fn generations(hoist: &Hoist) -> (Vec<u64>, u64) {
    let records = hoist.run(["generations", "adder", "--json"]).ended(0).records();
    let number = |record: &Value| record["generation"].as_u64().unwrap();
    let current = records.iter().find(|record| record["current"] == true).map(number);
    (records.iter().map(number).collect(), current.unwrap())
}

/// Asserts that nothing was stored and no profile was made.
#[track_caller]
fn nothing_landed(hoist: &Hoist) {
    let listed = hoist.run(["store", "ls"]);
    assert!(listed.code == 3 || listed.ended(0).stdout.is_empty(), "something was stored");
    assert!(!hoist.root().join("nix/var/nix/profiles/adder").is_symlink());
}
