//! Libraries that misbehave while they are loaded, made by real compilers and loaded by the real
//! loader.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod changes;
mod endings;
mod machines;

use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_testkit::{Hoist, Run, not_checked, tool};
use serde_json::Value;

/// What every library has to offer.
const ADD: &str = "int add(int a, int b) { return a + b; }\n";

/// A home with a compiled library, to be probed.
struct Case {
    hoist: Hoist,
    library: PathBuf,
}

impl Case {
    /// Compiles `source` and [`ADD`] by gcc; `None`, said aloud, without one.
    fn c(source: &str, flags: &[&str]) -> Option<Self> {
        Self::compiled("gcc", "x.c", source, flags)
    }

    fn compiled(compiler: &str, file: &str, source: &str, flags: &[&str]) -> Option<Self> {
        let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
        let source = hoist.write(file, format!("{source}\n{ADD}"));
        let library = hoist.project().join("libx.so");
        compile(compiler, &source, &library, flags)?;
        Some(Self { hoist, library })
    }

    fn probe(&self) -> Option<Probed> {
        self.probe_with(&["--export", "add"])
    }

    /// What the probe finds; `None`, said aloud, on a machine that gives no sandbox.
    fn probe_with(&self, flags: &[&str]) -> Option<Probed> {
        let mut arguments = vec!["check", "--json", "--all", "--probe"];
        arguments.extend(flags);
        arguments.push(self.library.to_str().unwrap());
        let run = self.hoist.run(arguments);
        if is_without_sandbox(&run) {
            return None;
        }
        Some(Probed::of(&run))
    }

    #[track_caller]
    fn is_clean(&self) {
        if let Some(probed) = self.probe() {
            probed.is_clean();
        }
    }
}

/// Whether this machine gives no sandbox to probe in, which is said aloud.
fn is_without_sandbox(run: &Run) -> bool {
    let is_without = run.code == 3 && run.stderr.contains("sandbox");
    if is_without {
        not_checked(&format!("the load probe: {}", run.stderr));
    }
    is_without
}

fn compile(compiler: &str, source: &Path, library: &Path, flags: &[&str]) -> Option<()> {
    let mut command: Command = tool(compiler, compiler)?.command();
    command.args(["-shared", "-fPIC", "-g", "-Wl,-soname,libx.so"]);
    command.arg(source).args(flags).arg("-o").arg(library);
    let run = Run::of(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    Some(())
}

/// The findings of the load probe alone.
#[derive(Debug)]
struct Probed {
    findings: Vec<Value>,
    code: i32,
}

impl Probed {
    fn of(run: &Run) -> Self {
        assert!(run.code == 0 || run.code == 1, "{}{}", run.stdout, run.stderr);
        let findings = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        let of_the_probe = |finding: &Value| {
            let rule = finding["rule"].as_str().unwrap();
            rule.starts_with("load.") && rule != "load.constructor"
        };
        Self { findings: findings.filter(of_the_probe).collect(), code: run.code }
    }

    /// That there is just one finding, of this rule, whose message has all of `parts`.
    #[track_caller]
    fn is(&self, rule: &str, parts: &[&str]) -> &Value {
        let [finding] = self.findings.as_slice() else { panic!("{:#?}", self.findings) };
        assert_eq!(finding["rule"], rule, "{finding}");
        let message = finding["message"].as_str().unwrap();
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(self.code, i32::from(finding["severity"] == "error"), "{finding}");
        finding
    }

    #[track_caller]
    fn is_clean(&self) {
        assert!(self.findings.is_empty(), "{:#?}", self.findings);
    }
}

#[test]
fn a_good_library_gives_nothing() {
    let Some(case) = Case::c("", &[]) else { return };
    case.is_clean();
}

#[test]
fn a_constructor_that_does_no_harm_gives_nothing() {
    let source = "#include <stdlib.h>\nstatic char *table;\n\
        __attribute__((constructor)) static void fill(void) { table = malloc(1 << 20); table[1] = 1; }\n\
        __attribute__((destructor)) static void empty(void) { free(table); }";
    let Some(case) = Case::c(source, &[]) else { return };
    case.is_clean();
}

#[test]
fn cpp_with_static_objects_gives_nothing() {
    let source = "#include <string>\n#include <vector>\n#include <iostream>\n\
        static std::vector<std::string> names{\"a\", \"b\"};\n\
        static thread_local std::string own = \"own\";\n\
        extern \"C\" int size() { return names.size() + own.size(); }\nextern \"C\"";
    let Some(case) = Case::compiled("g++", "x.cc", source, &[]) else { return };
    let Some(probed) = case.probe_with(&["--export", "add", "--export", "size"]) else { return };
    probed.is_clean();
}

#[test]
fn a_rust_library_gives_nothing() {
    let Some(rustc) = tool("rustc", "rustc") else { return };
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    let source = hoist.write(
        "x.rs",
        "use std::{thread, thread_local, cell::Cell};\nthread_local!(static N: Cell<i32> = Cell::new(1));\n\
         #[unsafe(no_mangle)] pub extern \"C\" fn add(a: i32, b: i32) -> i32 {\n\
         thread::spawn(move || a + b).join().unwrap() + N.with(Cell::get) - 1 }",
    );
    let library = hoist.project().join("libx.so");
    let mut command = rustc.command();
    command.args(["--crate-type", "cdylib", "--edition", "2024", "-o"]).arg(&library).arg(source);
    let with_home = hoist.command(["--version"]); // knows where rustup has its toolchains
    let known: Vec<_> =
        with_home.get_envs().filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned()))).collect();
    command.envs(known);
    let run = Run::of(&mut command);
    assert_eq!(run.code, 0, "{}", run.stderr);
    Case { hoist, library }.is_clean();
}

#[test]
fn without_the_flag_nothing_is_loaded() {
    let Some(case) = Case::c(
        "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }",
        &[],
    ) else {
        return;
    };
    let run = case.hoist.run(["check", case.library.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}
