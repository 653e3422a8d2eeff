//! Repairs of libraries that real compilers linked, and of those in wheels: the loader takes them,
//! and they answer as before.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_check::fix::{FixError, FixOptions, Fixed, Written, fix_file, fix_tree};
use hoist_check::{Contract, Target, check_file};
use hoist_elf::ElfFacts;
use hoist_testkit::{Tool, not_checked, tool};
use tempfile::TempDir;

/// A folder under `/tmp`, which is one that a RUNPATH must not lead to.
struct Bench {
    folder: TempDir,
    gcc: Tool,
    python: Tool,
}

impl Bench {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let bench = Self { folder, gcc: tool("gcc", "gcc")?, python: tool("python3", "python3")? };
        fs::create_dir(bench.path("build")).unwrap();
        fs::create_dir(bench.path("out")).unwrap();
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Links `source` to a library in the folder `build`.
    fn link(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let output = self.path("build").join(name);
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).unwrap();
        }
        let file = self.path("source.c");
        fs::write(&file, source).unwrap();
        let mut gcc = self.gcc.command();
        gcc.current_dir(self.path("build")).args(["-shared", "-fPIC", "-o"]);
        let done = gcc.args([&output, &file]).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        output
    }

    /// `liba.so` in `build`, which finds `libdep.so.1`, and that `libfar.so.2`, by leaked paths.
    fn link_chain(&self) -> PathBuf {
        let rpath = format!("-Wl,-rpath,{}", self.path("build/deps").display());
        let old = "-Wl,--disable-new-dtags";
        self.link("deps/libfar.so.2", "int far(void) { return 1; }", &["-Wl,-soname,libfar.so.2"]);
        fs::write(self.path("dep.map"), "DEP_1.0 { global: dep; };").unwrap();
        let map = format!("-Wl,--version-script={}", self.path("dep.map").display());
        self.link(
            "deps/libdep.so.1",
            "int far(void); int dep(void) { return far() + 40; }",
            &["deps/libfar.so.2", "-Wl,-soname,libdep.so.1", &rpath, old, &map],
        );
        let source = "int dep(void); int answer(void) { return dep() + 1; }";
        self.link("liba.so", source, &["deps/libdep.so.1", &rpath, "-Wl,-z,lazy"])
    }

    /// What `answer` says in a process that knows nothing but the path; `None` when it does not
    /// load.
    fn answer(&self, library: &Path) -> Option<String> {
        let program = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1], mode=2).answer())";
        let mut python = Command::new(self.python.path());
        python.env_clear().args(["-I", "-c", program]).arg(library);
        let output = python.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| said.trim().to_owned())
    }

    fn fix(&self, library: &Path, options: &FixOptions) -> (Fixed, PathBuf) {
        let output = self.path("out").join(library.file_name().unwrap());
        (fix_file(library, &output, &contract(), options).unwrap(), output)
    }
}

fn contract() -> Contract {
    Contract::new(Target::HOST)
}

/// Errors and warnings, by rule.
fn rules(fixed: &Fixed) -> Vec<&str> {
    let findings = fixed.after.iter().flat_map(|checked| &checked.report.findings);
    findings
        .filter(|finding| finding.severity > hoist_schema::Severity::Info)
        .map(|finding| finding.rule.as_str())
        .collect()
}

#[test]
fn a_missing_library_is_bundled_with_what_it_needs() {
    let Some(bench) = Bench::new() else { return };
    let library = bench.link_chain();
    let original = fs::read(&library).unwrap();
    let (fixed, output) = bench.fix(&library, &FixOptions::default());
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    let names: Vec<&String> = fixed.files.keys().collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(!output.exists(), "nothing is written before it is asked");
    assert_eq!(fixed.write().unwrap(), Written::New);
    assert_eq!(fs::read(&library).unwrap(), original, "the input is as it was");

    // Repairing again gives the same bytes, and what is repaired needs no repair.
    let (again, _) = bench.fix(&library, &FixOptions::default());
    assert_eq!(again.files, fixed.files);
    assert_eq!(again.write().unwrap(), Written::AlreadyThere);
    let second =
        fix_file(&output, &bench.path("out/second.so"), &contract(), &FixOptions::default());
    assert!(!second.unwrap().is_changed());

    fs::remove_dir_all(bench.path("build")).unwrap();
    assert_eq!(bench.answer(&output).as_deref(), Some("42"));
    for name in names {
        let path = bench.path("out").join(name);
        let facts = ElfFacts::read(&fs::read(&path).unwrap()).unwrap().dynamic;
        assert_eq!(facts.rpath, None);
        let runpath = facts.runpath.unwrap_or_default();
        assert!(runpath.is_empty() || runpath.starts_with("$ORIGIN"), "{name}: {runpath}");
        if name != "liba.so" {
            assert_eq!(facts.soname.as_deref(), path.file_name().unwrap().to_str());
        }
        let worst = check_file(&path, &contract()).unwrap().worst();
        assert!(worst <= Some(hoist_schema::Severity::Info), "{name}: {worst:?}");
    }
}

#[test]
fn another_folder_gives_what_the_runpath_has_not() {
    let Some(bench) = Bench::new() else { return };
    let library = bench.link_chain();
    let elsewhere = bench.path("elsewhere");
    fs::rename(bench.path("build/deps"), &elsewhere).unwrap();
    let (fixed, _) = bench.fix(&library, &FixOptions::default());
    assert_eq!(rules(&fixed), ["dyn.needed_missing"]);
    let told = fixed.repairs.iter().find(|repair| !repair.made).unwrap();
    assert_eq!(told.message, "found nowhere on this machine: name its folder with --bundle-from");
    let options = FixOptions { bundle_from: vec![elsewhere.clone()], ..FixOptions::default() };
    let (fixed, output) = bench.fix(&library, &options);
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    fixed.write().unwrap();
    fs::remove_dir_all(&elsewhere).unwrap();
    assert_eq!(bench.answer(&output).as_deref(), Some("42"));
}

#[test]
fn what_the_artifact_has_is_not_bundled() {
    let Some(bench) = Bench::new() else { return };
    bench.link_chain();
    let dist = bench.path("build");
    let output = bench.path("dist-fixed");
    let fix = || {
        let contracts = BTreeMap::new();
        fix_tree(&dist, &output, &contracts, &contract(), &FixOptions::default()).unwrap()
    };
    let fixed = fix();
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    let changed: Vec<&str> = fixed.files.keys().map(String::as_str).collect();
    assert_eq!(changed, ["deps/libdep.so.1", "liba.so"]);
    assert_eq!(fixed.write().unwrap(), Written::New);
    assert_eq!(fix().write().unwrap(), Written::AlreadyThere);
    let facts = |name: &str| ElfFacts::read(&fs::read(output.join(name)).unwrap()).unwrap().dynamic;
    assert_eq!(facts("liba.so").runpath.as_deref(), Some("$ORIGIN/deps"));
    assert_eq!(facts("deps/libdep.so.1").runpath.as_deref(), Some("$ORIGIN"));
    fs::rename(&dist, bench.path("gone")).unwrap();
    assert_eq!(bench.answer(&output.join("liba.so")).as_deref(), Some("42"));

    fs::rename(bench.path("gone"), &dist).unwrap();
    fs::write(output.join("liba.so"), "mine").unwrap();
    assert!(matches!(fix().write(), Err(FixError::OutputExists { .. })));
    assert_eq!(fs::read(output.join("liba.so")).unwrap(), b"mine");
}

#[test]
fn a_path_in_needed_becomes_a_name() {
    let Some(bench) = Bench::new() else { return };
    let dependency = bench.link("libplain.so", "int dep(void) { return 41; }", &[]);
    let source = "int dep(void); int answer(void) { return dep() + 1; }";
    let library = bench.link("liba.so", source, &[dependency.to_str().unwrap()]);
    let needed = |path: &Path| ElfFacts::read(&fs::read(path).unwrap()).unwrap().dynamic.needed;
    assert_eq!(needed(&library)[0], dependency.to_str().unwrap());

    // Beside the library in a folder, it stays there; for a file alone, it is bundled.
    let output = bench.path("tree");
    let (contracts, options) = (BTreeMap::new(), FixOptions::default());
    let tree = fix_tree(&bench.path("build"), &output, &contracts, &contract(), &options).unwrap();
    assert_eq!(rules(&tree), Vec::<&str>::new());
    tree.write().unwrap();
    assert_eq!(needed(&output.join("liba.so"))[0], "libplain.so");
    let (fixed, alone) = bench.fix(&library, &options);
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    fixed.write().unwrap();
    assert!(needed(&alone)[0].starts_with("libplain-"), "{:?}", needed(&alone));
    fs::remove_dir_all(bench.path("build")).unwrap();
    for library in [output.join("liba.so"), alone] {
        assert_eq!(bench.answer(&library).as_deref(), Some("42"), "{}", library.display());
    }
}

#[test]
fn entries_that_lead_from_the_library_are_kept() {
    let Some(bench) = Bench::new() else { return };
    let library = bench.link(
        "liba.so",
        "int answer(void) { return 42; }",
        &["-Wl,-rpath,/home/ci/lib:$ORIGIN/plugins:relative::/usr/lib/x"],
    );
    let (fixed, output) = bench.fix(&library, &FixOptions::default());
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    fixed.write().unwrap();
    let bytes = fs::read(&output).unwrap();
    let facts = ElfFacts::read(&bytes).unwrap();
    assert_eq!(facts.dynamic.runpath.as_deref(), Some("$ORIGIN/plugins:/usr/lib/x"));
    assert_eq!(bytes.len(), fs::read(&library).unwrap().len());
    assert_eq!(bench.answer(&output).as_deref(), Some("42"));
}

#[test]
fn a_soname_is_given_where_it_is_asked_and_debug_information_moves() {
    let Some(bench) = Bench::new() else { return };
    let source = "int answer(void) { return 42; }";
    let library =
        bench.link("liba.so", source, &["-g", "-fdebug-prefix-map=/=./", "-Wl,-z,execstack"]);
    let asked = Contract { soname: Some("liba.so.3".to_owned()), ..contract() };
    let output = bench.path("out/liba.so");
    let fix = |options: &FixOptions| fix_file(&library, &output, &asked, options).unwrap();
    let left = rules_of(&fix(&FixOptions::default()));
    assert_eq!(left, ["harden.execstack"], "only when it is asked");
    let options = FixOptions { split_debug: true, clear_execstack: true, ..FixOptions::default() };
    let fixed = fix(&options);
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    fixed.write().unwrap();
    let facts = ElfFacts::read(&fs::read(&output).unwrap()).unwrap();
    assert_eq!(facts.dynamic.soname.as_deref(), Some("liba.so.3"));
    assert!(!facts.sections.has_debug_info);
    assert!(bench.path("out/liba.so.debug").is_file());
    assert_eq!(bench.answer(&output).as_deref(), Some("42"));
}

fn rules_of(fixed: &Fixed) -> Vec<String> {
    rules(fixed).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_input_is_never_the_output() {
    let Some(bench) = Bench::new() else { return };
    let library = bench.link("liba.so", "int answer(void) { return 42; }", &[]);
    let options = FixOptions::default();
    let same = fix_file(&library, &library, &contract(), &options);
    assert!(matches!(same, Err(FixError::OutputIsInput { .. })));
    let (contracts, inside) = (BTreeMap::new(), bench.path("build/inside"));
    let inside = fix_tree(&bench.path("build"), &inside, &contracts, &contract(), &options);
    assert!(matches!(inside, Err(FixError::OutputIsInput { .. })));
}

/// Libraries of other languages: C++ and Rust.
#[test]
fn libraries_of_cpp_and_rust_load_after_a_repair() {
    let Some(bench) = Bench::new() else { return };
    let mut libraries = Vec::new();
    if let Some(gxx) = tool("g++", "g++") {
        let (source, output) = (bench.path("a.cpp"), bench.path("build/libcpp.so"));
        let text = "#include <string>\n#include <stdexcept>\n\
            extern \"C\" int answer() { try { throw std::runtime_error(\"x\"); } \
            catch (const std::exception &e) { return 41 + std::string(e.what()).size(); } }";
        fs::write(&source, text).unwrap();
        let mut gxx = gxx.command();
        gxx.args(["-shared", "-fPIC", "-Wl,-rpath,/home/ci/lib", "-o"]).args([&output, &source]);
        assert!(gxx.status().unwrap().success());
        libraries.push(output);
    }
    if let Some(rustc) = tool("rustc", "rustc") {
        let (source, output) = (bench.path("a.rs"), bench.path("build/librust.so"));
        let text = "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> i32 {\n\
            std::thread::spawn(|| \"42\".parse().unwrap()).join().unwrap() }";
        fs::write(&source, text).unwrap();
        let mut rustc = Command::new(rustc.path());
        rustc.args(["--edition=2024", "--crate-type=cdylib", "-Clink-arg=-Wl,-rpath,/home/ci/lib"]);
        rustc.arg("-o").args([&output, &source]);
        assert!(rustc.status().unwrap().success());
        libraries.push(output);
    }
    for library in libraries {
        for bundle_from in [vec![], vec![PathBuf::from("/usr/lib")]] {
            let options = FixOptions { bundle_from, split_debug: true, ..FixOptions::default() };
            let (fixed, output) = bench.fix(&library, &options);
            assert!(!rules(&fixed).contains(&"dyn.runpath_leak"));
            fixed.write().unwrap();
            assert_eq!(bench.answer(&output).as_deref(), Some("42"), "{}", library.display());
        }
    }
}

/// A copy of the wheel `package` and its `.libs`, and the first Python on PATH that has it.
fn copy_of_wheel(bench: &Bench, package: &str) -> Option<(PathBuf, PathBuf)> {
    let program = format!("import {package}, os; print(os.path.dirname({package}.__path__[0]))");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("python3")).find_map(|python| {
        let output = Command::new(&python).args(["-c", &program]).output().ok()?;
        let folder = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some((folder, python))
    });
    let Some((folder, python)) = found else {
        not_checked(&format!("no python3 on PATH has {package} (wheel {package})"));
        return None;
    };
    let site = bench.path("site");
    fs::create_dir(&site).unwrap();
    for name in [package.to_owned(), format!("{package}.libs")] {
        let from = Path::new(&folder).join(name);
        let copied = Command::new("cp").arg("-a").args([&from, &site]).status().unwrap();
        assert!(copied.success());
    }
    Some((site, python))
}

/// Every library of numpy gets another RUNPATH, longer and then shorter, and a name: it still
/// computes.
#[test]
fn numpy_computes_with_edited_libraries() {
    use hoist_elf::edit::{Edit, rewrite};
    let Some(bench) = Bench::new() else { return };
    let Some((site, python)) = copy_of_wheel(&bench, "numpy") else { return };
    let mut edited = 0;
    for entry in walkdir::WalkDir::new(&site) {
        let path = entry.unwrap().into_path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(".so") || !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let Ok(facts) = ElfFacts::read(&bytes) else { continue };
        let old = facts.dynamic.runpath.or(facts.dynamic.rpath).unwrap_or_default();
        let long = format!("/nix/store/{}:{old}", "x".repeat(300));
        let mut new = rewrite(&bytes, &[Edit::Runpath(Some(long))]).unwrap().bytes;
        let shorter = Some(old).filter(|old| !old.is_empty());
        let edits =
            [Edit::Runpath(shorter), Edit::AddNeeded("libdl.so.2".to_owned()), Edit::BindNow];
        for edit in edits {
            new = rewrite(&new, &[edit]).unwrap().bytes;
        }
        fs::write(&path, new).unwrap();
        edited += 1;
    }
    assert!(edited > 10, "{edited}");
    let program = "import numpy, numpy.linalg, numpy.random, sys\n\
        assert numpy.__file__.startswith(sys.argv[1] + '/'), numpy.__file__\n\
        a = numpy.random.default_rng(1).random((200, 200))\n\
        assert numpy.allclose(numpy.linalg.inv(a) @ a, numpy.eye(200))";
    let mut python = Command::new(python);
    let output = python.env("PYTHONPATH", &site).args(["-c", program]).arg(&site).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_entry_of_a_python_environment_goes_wherever_it_lies() {
    let Some(bench) = Bench::new() else { return };
    let flags = ["-Wl,-rpath,/opt/x/lib/python3.11/site-packages/modular/lib"];
    let library = bench.link("liba.so", "int answer(void) { return 42; }", &flags);
    let (fixed, output) = bench.fix(&library, &FixOptions::default());
    assert_eq!(rules(&fixed), Vec::<&str>::new());
    fixed.write().unwrap();
    let facts = ElfFacts::read(&fs::read(&output).unwrap()).unwrap();
    assert_eq!(facts.dynamic.runpath, None);
    assert_eq!(bench.answer(&output).as_deref(), Some("42"));
}
