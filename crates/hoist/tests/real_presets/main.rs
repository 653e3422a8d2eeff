//! Each toolchain preset with its real compiler: a library is built in the sandbox, answered from
//! the cache, built again when a source changes, and loaded by Python.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clang;
mod go;
mod mojo;
mod zig;

use std::fs;

use hoist_testkit::{Hoist, Run};
use serde_json::Value;

/// What every project here promises: the sum of the numbers below `end`, each times a step.
const HEADER: &str = "#include <stdint.h>\nint64_t sums_below(int32_t end);\n";

/// A project named `sums`, which makes `lib/libsums.so`, without its sources.
fn project(toolchain: &str, sources: &str) -> Hoist {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    let manifest = format!(
        "[package]\nname = \"sums\"\nversion = \"1.0\"\n\n[build]\ntoolchain = \"{toolchain}\"\n\
         sources = [{sources}, \"include/*.h\"]\n\n[[library]]\npath = \"lib/libsums.so\"\n\
         header = \"include/sums.h\"\n"
    );
    hoist.write("hoist.toml", manifest);
    hoist.write("include/sums.h", HEADER);
    hoist
}

/// A ship that ended well.
#[derive(Debug)]
struct Shipped {
    cached: bool,
    toolchain: String,
    level: String,
    /// The store path, logical.
    path: String,
    action_key: String,
    /// What was found wrong, each rule once in a row; what is for information is left out.
    findings: Vec<String>,
}

#[track_caller]
fn ship(hoist: &Hoist, args: &[&str]) -> Shipped {
    let run = Run::of(&mut hoist.command([&["ship", "--json"], args].concat())).ended(0);
    let records = run.records();
    let stage = |name: &str| records.iter().find(|record| record["stage"] == name).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (build, check) = (stage("build"), stage("check"));
    let findings = check["findings"].as_array().unwrap().iter();
    let mut findings: Vec<String> = findings
        .filter(|finding| finding["severity"] != "info")
        .map(|finding| text(&finding["rule"]))
        .collect();
    findings.dedup();
    Shipped {
        cached: build["cached"].as_bool().unwrap(),
        toolchain: text(&build["toolchain"]),
        level: text(&build["level"]),
        path: text(&stage("ship")["store_path"]),
        action_key: text(&build["action_key"]),
        findings,
    }
}

/// What Python gets from the active generation.
#[track_caller]
fn call(hoist: &Hoist, end: u32) -> String {
    let script =
        format!("import hoist_runtime; print(hoist_runtime.load('sums').sums_below({end}))");
    hoist.stdout(["run", "--", "python3", "-c", &script])
}

/// A preset's whole round, with the library's source as a function of the step, and the findings
/// that its compiler gives no way around.
#[track_caller]
fn round(
    hoist: &Hoist,
    version: &str,
    findings: &[&str],
    file: &str,
    source: impl Fn(u32) -> String,
) {
    hoist.write(file, source(1));
    let first = ship(hoist, &[]);
    assert!(first.toolchain.contains(version), "{first:?}");
    assert_eq!((first.cached, first.level.as_str()), (false, "hermetic"));
    assert_eq!(first.findings, findings, "{first:?}");
    assert_eq!(call(hoist, 10), "45");

    let again = ship(hoist, &[]);
    assert_eq!((again.cached, &again.path), (true, &first.path));

    hoist.write(file, source(2));
    let changed = ship(hoist, &[]);
    assert!(!changed.cached);
    assert_eq!(call(hoist, 10), "90");

    // What the compiler kept, and where it kept it, makes no difference to what it makes.
    fs::remove_dir_all(hoist.root().join("nix/var/hoist/actions")).unwrap();
    let cold = ship(hoist, &["--cold"]);
    assert_eq!(
        (cold.cached, &cold.path, &cold.action_key),
        (false, &changed.path, &changed.action_key)
    );
}

/// A build that fails, and what it says.
#[track_caller]
fn failure(hoist: &Hoist) -> String {
    hoist.run(["ship"]).ended(1).stderr
}

/// The registers and functions of the shipped library's code, as `objdump` writes it.
fn disassembled(hoist: &Hoist, path: &str) -> Option<String> {
    let objdump = hoist_testkit::tool("objdump", "binutils")?;
    let library = format!("{}{path}/lib/libsums.so", hoist.root().display());
    Some(objdump.stdout(["--disassemble", "--no-show-raw-insn", &library]))
}
