//! A library that Mojo made on this machine becomes one that any machine can load.
//!
//! Mojo writes the folder of its own libraries, in a virtual environment, into RUNPATH.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_testkit::{Hoist, Tool, not_checked, tool};

const NEAREST: &str = include_str!("../../hoist-elf/tests/fixtures/nearest.mojo");
const WORDS: &str = include_str!("../../hoist-elf/tests/fixtures/words.mojo");

/// Scores of 64 rows against a query, as text; the library's path is the first argument.
const ASK_NEAREST: &str = "\
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1], mode=2)
lib.nearest_ffi.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_int32] * 2 + [ctypes.c_void_p]
floats = lambda n, seed: (ctypes.c_float * n)(*[((i * 7919 + seed) % 997) / 499 - 1 for i in range(n)])
for seed in range(8):
    query, rows, score = floats(128, seed), floats(64 * 128, seed * 31), ctypes.c_float()
    print(lib.nearest_ffi(query, rows, 64, 128, ctypes.byref(score)), score.value)
";

const ASK_WORDS: &str = "\
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1], mode=2)
print(lib.letters_ffi(20))
sys.stdout.flush()
lib.say_ffi(7)
";

/// Mojo, reached through a virtual environment that can be taken away.
struct Mojo {
    hoist: Hoist,
    python: Tool,
    /// Where its libraries really are.
    real: PathBuf,
    /// The way to them that it writes into what it makes.
    venv: PathBuf,
}

impl Mojo {
    fn new() -> Option<Self> {
        let mojo = tool("mojo", "none: the wheel mojo==1.2.0")?;
        let python = tool("python3", "python3")?;
        let prefix = mojo.path().canonicalize().unwrap().parent()?.parent()?.to_owned();
        let versions = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
        let real = versions
            .map(|version| version.path().join("site-packages/modular"))
            .find(|modular| modular.join("bin/mojo").is_file());
        let Some(real) = real else {
            not_checked("the mojo on PATH is not the one of the wheel");
            return None;
        };
        let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
        let venv = hoist.dir().join("venv");
        symlink(&real, &venv).unwrap();
        Some(Self { hoist, python, real, venv })
    }

    fn build(&self, name: &str, source: &str) -> PathBuf {
        let source = self.hoist.write(&format!("{name}.mojo"), source);
        let library = self.hoist.project().join(format!("lib{name}.so"));
        let mut mojo = Command::new(self.venv.join("bin/mojo"));
        mojo.args(["build", "--emit", "shared-lib", "-o"]).args([&library, &source]);
        mojo.env_clear()
            .env("HOME", self.hoist.dir().join("home"))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("MODULAR_TELEMETRY_ENABLED", "false")
            .env("MODULAR_MAX_PACKAGE_ROOT", &self.venv)
            .env("MODULAR_MOJO_MAX_PACKAGE_ROOT", &self.venv)
            .env("MODULAR_MOJO_MAX_DRIVER_PATH", self.venv.join("bin/mojo"))
            .env("MODULAR_MOJO_MAX_IMPORT_PATH", self.venv.join("lib/mojo"));
        let output = mojo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        library
    }

    /// Errors and warnings about a library, by rule.
    fn rules(&self, library: &Path) -> BTreeSet<String> {
        let run = self.hoist.run(["check", "--json", library.to_str().unwrap()]);
        let rule = |record: &serde_json::Value| record["rule"].as_str().map(str::to_owned);
        run.records().iter().filter_map(rule).collect()
    }

    /// What a program says that loads a library in an empty environment, and every file that the
    /// loader opened for it; `None` when it fails.
    fn ask(&self, program: &str, library: &Path) -> Option<(String, String)> {
        let mut python = Command::new(self.python.path());
        python.env_clear().env("LD_DEBUG", "files").args(["-I", "-c", program]).arg(library);
        let output = python.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let opened = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some((said, opened))
    }

    /// Takes the virtual environment away, as on any other machine.
    fn leave(&self) {
        fs::remove_file(&self.venv).unwrap();
    }

    #[track_caller]
    fn assert_stands_alone(&self, opened: &str, library: &Path) {
        assert!(opened.contains(library.to_str().unwrap()), "{opened}");
        for folder in [&self.venv, &self.real] {
            assert!(!opened.contains(folder.to_str().unwrap()), "{opened}");
        }
    }
}

#[test]
fn a_library_that_needs_nothing_loses_its_runpath() {
    let Some(mojo) = Mojo::new() else { return };
    let library = mojo.build("nearest", NEAREST);
    assert!(mojo.rules(&library).contains("dyn.runpath_leak"));
    let bytes = fs::read(&library).unwrap();
    let (before, _) = mojo.ask(ASK_NEAREST, &library).unwrap();
    assert_eq!(before.lines().count(), 8);

    mojo.leave();
    let output = mojo.hoist.project().join("libnearest.fixed.so");
    let run = mojo.hoist.run(["check", "--fix", "libnearest.so"]).ended(0);
    assert!(run.stdout.contains("repaired[dyn.runpath_leak]"), "{}", run.stdout);
    assert_eq!(fs::read(&library).unwrap(), bytes, "the input is as it was");
    assert_eq!(fs::metadata(&output).unwrap().len(), bytes.len() as u64, "in place");
    assert!(mojo.rules(&output).is_empty());
    let (after, opened) = mojo.ask(ASK_NEAREST, &output).unwrap();
    assert_eq!(after, before);
    mojo.assert_stands_alone(&opened, &output);
}

#[test]
fn a_library_that_needs_the_runtime_brings_it_along() {
    let Some(mojo) = Mojo::new() else { return };
    let library = mojo.build("words", WORDS);
    let rules = mojo.rules(&library);
    for rule in ["dyn.needed_missing", "dyn.runpath_leak", "harden.bind_now"] {
        assert!(rules.contains(rule), "{rules:?}");
    }
    let (before, _) = mojo.ask(ASK_WORDS, &library).unwrap();
    assert_eq!(before, "130\nmojo says 7\n");

    let _ = mojo.hoist.run(["check", "--fix", "--output", "out.so", "libwords.so"]).ended(0);
    // Where they were found is gone: the search must not have seen it through the old RUNPATH.
    mojo.leave();
    assert!(mojo.ask(ASK_WORDS, &library).is_none(), "nothing else has its runtime");
    let output = mojo.hoist.project().join("out.so");
    assert!(mojo.rules(&output).is_empty());
    let (after, opened) = mojo.ask(ASK_WORDS, &output).unwrap();
    assert_eq!(after, before);
    mojo.assert_stands_alone(&opened, &output);
    let libs = fs::read_dir(mojo.hoist.project().join("out.libs")).unwrap();
    let names: Vec<String> =
        libs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 3, "its closure: {names:?}");
    for name in names {
        let (start, hash) = name.strip_suffix(".so").unwrap().rsplit_once('-').unwrap();
        assert!(start.starts_with("lib") && hash.len() == 8, "{name}");
        assert!(opened.contains(&name), "{name} was not loaded: {opened}");
    }
    // Without them it does not load: they were what it needed.
    fs::remove_dir_all(mojo.hoist.project().join("out.libs")).unwrap();
    assert!(mojo.ask(ASK_WORDS, &output).is_none());
}
