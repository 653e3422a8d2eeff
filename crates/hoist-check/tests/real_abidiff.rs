//! Verdicts on two builds agree with `abidiff`, or a reason is given.
//!
//! abidiff's exit code tells a change from none (0, else 4), and removals from other changes (8);
//! it does not tell changes that break callers from those that do not. `docs/abi.md` has the table.

#[path = "abidiff/pairs.rs"]
mod pairs;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::{Comparison, Contract, Target, check_file_against};
use hoist_schema::Severity;
use hoist_testkit::{Tool, tool};

use pairs::{PAIRS, Pair};

/// What abidiff says: whether there is a change beside additions.
fn abidiff_sees_change(abidiff: &Tool, old: &Path, new: &Path) -> bool {
    let output = abidiff.command().arg("--no-added-syms").args([old, new]).output().unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(code & 3, 0, "abidiff failed: {}", String::from_utf8_lossy(&output.stderr));
    code != 0
}

fn compile(compiler: &Tool, source: &Path, flags: &[&str]) -> PathBuf {
    let library = source.with_extension("so");
    let mut arguments: Vec<&OsStr> = ["-shared", "-fPIC", "-w", "-Wl,-soname,libcase.so.1", "-o"]
        .iter()
        .map(OsStr::new)
        .collect();
    arguments.extend([library.as_os_str(), source.as_os_str()]);
    arguments.extend(flags.iter().map(OsStr::new));
    compiler.stdout(arguments);
    library
}

fn compare(old: &Path, new: &Path) -> Comparison {
    check_file_against(new, "libcase.so", old, &Contract::new(Target::HOST)).unwrap()
}

/// Findings but for those that are only worth knowing, as `severity rule symbol`, sorted.
fn found(comparison: &Comparison) -> Vec<String> {
    let findings = comparison.findings.iter().filter(|found| found.severity > Severity::Info);
    let mut lines: Vec<String> = findings
        .map(|found| {
            let severity = format!("{:?}", found.severity).to_lowercase();
            format!("{severity} {} {}", found.rule, found.symbol.as_deref().unwrap_or("-"))
        })
        .collect();
    lines.sort();
    lines
}

/// What is not as the pair says.
fn check_pair(
    pair: &Pair,
    compiler: &Tool,
    abidiff: &Tool,
    folder: &Path,
    flags: &[&str],
) -> Vec<String> {
    let source = |side: &str, text: &str| {
        let folder = folder.join(side);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(if pair.is_cpp { "case.cc" } else { "case.c" });
        fs::write(&file, format!("{}{text}\n", pair.common)).unwrap();
        compile(compiler, &file, flags)
    };
    let (old, new) = (source("old", pair.old), source("new", pair.new));
    let comparison = compare(&old, &new);
    let mut wrong = Vec::new();
    let now = found(&comparison);
    if now != pair.found {
        wrong.push(format!("hoist finds {now:?}: {:#?}", comparison.findings));
    }
    let sees_change = abidiff_sees_change(abidiff, &old, &new);
    let agrees = sees_change == !pair.found.is_empty();
    if agrees != pair.differs.is_none() {
        wrong.push(format!("abidiff sees a change: {sees_change}"));
    }
    wrong.into_iter().map(|wrong| format!("{}, {flags:?}: {wrong}", pair.name)).collect()
}

fn check_pairs(compilers: [(&str, &str); 2], forms: &[&[&str]]) {
    let Some(abidiff) = tool("abidiff", "abigail-tools") else { return };
    let Some(c) = tool(compilers[0].0, compilers[0].1) else { return };
    let Some(cpp) = tool(compilers[1].0, compilers[1].1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for pair in PAIRS {
        for flags in forms {
            let compiler = if pair.is_cpp { &cpp } else { &c };
            wrong.extend(check_pair(pair, compiler, &abidiff, folder.path(), flags));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pairs_of_gcc_are_judged_as_by_abidiff() {
    check_pairs([("gcc", "gcc"), ("g++", "g++")], &[&["-gdwarf-4"], &["-gdwarf-5", "-O1"]]);
}

#[test]
fn pairs_of_clang_are_judged_as_by_abidiff() {
    check_pairs([("clang", "clang"), ("clang++", "clang")], &[&["-gdwarf-4"], &["-gdwarf-5"]]);
}
