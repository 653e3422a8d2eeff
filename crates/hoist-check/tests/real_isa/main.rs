//! The rules on instruction sets, on libraries that real compilers made: each compiler, without
//! optimisation and with all of it, with and without symbols.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod assembly;
mod dispatch;
mod undispatched;

use std::fs;

use hoist_check::{Candidate, Contract, NoSiblings, Promise, Target, check_library};
use hoist_schema::Severity;
use hoist_schema::manifest::IsaLevel;
use hoist_testkit::{Tool, tool};

/// A kernel for new processors, one for old ones, and a function without either.
const KERNELS: &str = r#"
#include <stddef.h>
#include <stdint.h>
__attribute__((target("avx2,fma"), noinline))
static void k_avx2(float *x, int64_t n, float k) { for (int64_t i = 0; i < n; i++) x[i] = x[i] * k + k; }
__attribute__((noinline))
static void k_base(float *x, int64_t n, float k) { for (int64_t i = 0; i < n; i++) x[i] = x[i] * k + k; }
"#;

/// A compiler, and what each run of it adds to the flags.
struct Compiler {
    tool: Tool,
    extension: &'static str,
    runs: &'static [&'static [&'static str]],
}

const C_RUNS: &[&[&str]] = &[&["-O0"], &["-O1"], &["-O3"], &["-O2", "-s"], &["-O3", "-flto"]];

fn c_compilers() -> Vec<Compiler> {
    let of = |tool| Compiler { tool, extension: "c", runs: C_RUNS };
    [tool("gcc", "gcc"), tool("clang", "clang")].into_iter().flatten().map(of).collect()
}

fn cpp_compilers() -> Vec<Compiler> {
    let of = |tool| Compiler { tool, extension: "cc", runs: C_RUNS };
    [tool("g++", "g++"), tool("clang++", "clang")].into_iter().flatten().map(of).collect()
}

fn gcc() -> Vec<Compiler> {
    const RUNS: &[&[&str]] = &[&["-O2"], &["-O3"], &["-O2", "-s"]];
    let of = |tool| Compiler { tool, extension: "c", runs: RUNS };
    tool("gcc", "gcc").map(of).into_iter().collect()
}

fn rustc() -> Vec<Compiler> {
    const RUNS: &[&[&str]] =
        &[&["-Copt-level=0"], &["-Copt-level=3"], &["-Copt-level=3", "-Cstrip=symbols"]];
    let of = |tool| Compiler { tool, extension: "rs", runs: RUNS };
    tool("rustc", "rustc").map(of).into_iter().collect()
}

impl Compiler {
    /// Compiles a library once for each run; the run's flags come with its bytes.
    fn libraries(&self, source: &str, flags: &[&str]) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join(format!("case.{}", self.extension));
        let output = folder.path().join("libcase.so");
        fs::write(&input, source).unwrap();
        let shared: &[&str] = if self.extension == "rs" {
            &["--crate-type=cdylib", "--edition=2024"]
        } else {
            &["-fPIC", "-shared", "-pthread"]
        };
        let compile = |run: &&[&str]| {
            let mut command = self.tool.command();
            command.args(shared).args(*run).arg(&input).arg("-o").arg(&output).args(flags);
            let done = command.output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            (
                format!("{} {}", self.tool.path().display(), run.join(" ")),
                fs::read(&output).unwrap(),
            )
        };
        self.runs.iter().map(compile).collect()
    }
}

/// The findings about instruction sets, as `error: symbol` or `info: symbol`, sorted.
fn judge(library: &[u8], isa: IsaLevel, promised: &[&str]) -> Vec<String> {
    let contract = Contract {
        isa: Some(isa),
        exports: promised.iter().map(|name| Promise::function(*name)).collect(),
        ..Contract::new(Target::X86_64_LINUX)
    };
    let report = check_library(&Candidate::new("libcase.so", library), &contract, &NoSiblings);
    assert!(report.facts.is_some(), "{:?}", report.findings);
    let found = report.findings.iter().filter(|found| found.rule.starts_with("target.isa"));
    let mut lines: Vec<String> = found
        .map(|found| {
            let is_error = found.severity == Severity::Error;
            assert_eq!(found.rule == "target.isa", is_error, "{found:?}");
            let word = if is_error { "error" } else { "info" };
            format!("{word}: {}", found.symbol.as_deref().unwrap_or_default())
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Expects `wanted` of every run of every compiler. `promised` are the exports, `add` among them.
fn expect(compilers: &[Compiler], source: &str, promised: &[&str], wanted: &[&str]) {
    expect_with(compilers, source, &[], promised, wanted);
}

fn expect_with(
    compilers: &[Compiler],
    source: &str,
    flags: &[&str],
    promised: &[&str],
    wanted: &[&str],
) {
    for compiler in compilers {
        for (run, library) in compiler.libraries(source, flags) {
            assert_eq!(judge(&library, IsaLevel::V2, promised), wanted, "{run}");
            let sectionless = without_sections(library);
            assert_eq!(judge(&sectionless, IsaLevel::V2, promised), wanted, "{run}, no sections");
        }
    }
}

/// `library` as it is after its section headers were cut off, with its symbols and notes.
fn without_sections(mut library: Vec<u8>) -> Vec<u8> {
    library[40..48].fill(0); // e_shoff
    library[60..64].fill(0); // e_shnum, e_shstrndx
    library
}

fn with_kernels(source: &str) -> String {
    format!("{KERNELS}{source}")
}

/// `source` as C++, with the kernels as C.
fn cpp_with_kernels(source: &str) -> String {
    format!("extern \"C\" {{{KERNELS}}}{source}")
}
