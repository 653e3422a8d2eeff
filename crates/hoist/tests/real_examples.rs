//! `examples/`: one function in several languages, each shipped by its own compiler and held against
//! the kernel in Rust, on random, tied and extreme inputs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use hoist_testkit::{Hoist, Run, tool};

const KERNEL: &str = "kernels/pattern-search";
const HEADER: &str = "include/pattern_search.h";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Copies a project without what builds and installations left in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if !source.is_dir() {
            fs::copy(&source, &target).unwrap();
        } else if !["target", ".venv"].contains(&entry.file_name().to_str().unwrap()) {
            copy(&source, &target);
        }
    }
}

/// Ships a project of this repository, and returns where its library is.
#[track_caller]
fn ship(hoist: &Hoist, project: &str) -> PathBuf {
    let folder = hoist.dir().join(project);
    copy(&root().join(project), &folder);
    let args = ["ship", "--json", "--no-bench", folder.to_str().unwrap()];
    let run = Run::of(&mut hoist.command(args)).ended(0);
    let records = run.records();
    let check = records.iter().find(|record| record["stage"] == "check").unwrap();
    let findings = check["findings"].as_array().unwrap().iter();
    let wrong = findings.filter(|finding| finding["severity"] != "info");
    let mut wrong: Vec<_> = wrong.map(|finding| finding["rule"].as_str().unwrap()).collect();
    wrong.dedup();
    // Go's runtime has its thread-local variable in the static block, starts threads and takes
    // signals.
    let excused: &[&str] =
        if project.contains("/go-") { &["dyn.tls_static", "load.side_effect"] } else { &[] };
    assert_eq!(wrong, excused, "{check}");
    let stored = records.iter().find(|record| record["stage"] == "store").unwrap();
    PathBuf::from(stored["path"].as_str().unwrap()).join("lib/libpattern_search.so")
}

/// Ships the example for `language`, whose compiler is `program`, and compares its answers.
#[track_caller]
#[expect(clippy::print_stdout, reason = "how much was compared is part of the answer")]
fn compare(language: &str, program: &str, package: &str) {
    let found = [(program, package), ("cargo", "cargo"), ("python3", "python3")]
        .map(|(program, package)| tool(program, package));
    let [Some(_), Some(_), Some(python)] = found else { return };
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    let library = ship(&hoist, &format!("examples/{language}-pattern-search"));
    let reference = ship(&hoist, KERNEL);
    let mut command = python.command();
    command.arg(root().join("examples/compare.py")).arg(library).arg(reference);
    let run = Run::of(&mut command).ended(0);
    println!("{language}: {}", run.stdout.trim());
    assert!(run.stdout.contains("\"cases\": 414"), "{}", run.stdout);
}

#[test]
fn cpp_answers_as_rust_does() {
    compare("cpp", "c++", "g++");
}

#[test]
fn zig_answers_as_rust_does() {
    compare("zig", "python-zig", "none: `pip install ziglang`");
}

#[test]
fn go_answers_as_rust_does() {
    compare("go", "go", "golang-go");
}

#[test]
fn mojo_answers_as_rust_does() {
    compare("mojo", "mojo", "none: `pip install mojo`");
}

#[test]
fn every_example_has_the_kernels_declarations() {
    let declarations = |project: &Path| {
        let text = fs::read_to_string(project.join(HEADER)).unwrap();
        text[text.find("#ifndef").unwrap()..].to_owned()
    };
    let kernel = declarations(&root().join(KERNEL));
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap().flatten() {
        if entry.path().is_dir() {
            assert_eq!(declarations(&entry.path()), kernel, "{}", entry.path().display());
            count += 1;
        }
    }
    assert_eq!(count, 4);
}
