//! Each trap of two generations in one process, sprung in a real one: gcc builds both, Python loads
//! the old and then the new, and what the new one says shows whose code and data it uses. The rule
//! must name the trap, and where it is mended both must be gone.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use hoist_check::{Contract, Report, Target, check_file};
use hoist_testkit::{Tool, tool};
use tempfile::TempDir;

/// The old and the new generation of one library, and the tools to make and load them.
struct Generations {
    compiler: Tool,
    python: Tool,
    home: TempDir,
}

impl Generations {
    /// `None` where a tool is absent, which is said.
    fn new(compiler: &str) -> Option<Self> {
        let compiler = tool(compiler, compiler)?;
        let python = tool("python3", "python3")?;
        Some(Self { compiler, python, home: tempfile::tempdir().unwrap() })
    }

    fn path(&self, generation: u32, file: &str) -> PathBuf {
        self.home.path().join(generation.to_string()).join(file)
    }

    /// Builds `file` of a generation, in which `GENERATION` is its number.
    fn build(&self, generation: u32, file: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let library = self.path(generation, file);
        let folder = library.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        let is_cxx = self.compiler.path().ends_with("g++");
        let source_path = folder.join(if is_cxx { "source.cpp" } else { "source.c" });
        fs::write(&source_path, source).unwrap();
        let built = self
            .compiler
            .command()
            .current_dir(folder)
            .args(["-shared", "-fPIC", "-O1", "-fno-inline"])
            .arg(format!("-DGENERATION={generation}"))
            .arg(&source_path)
            .arg("-o")
            .arg(&library)
            .args(arguments)
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    }

    fn build_both(&self, source: &str, arguments: &[&str]) {
        for generation in [1, 2] {
            self.build(generation, "libcase.so", source, arguments);
        }
    }

    /// What `get` says in each generation, after the old one and then the new one were loaded.
    fn answers(&self) -> String {
        self.run("", "old = ctypes.CDLL(sys.argv[1]); new = ctypes.CDLL(sys.argv[2])")
    }

    fn run(&self, before: &str, load: &str) -> String {
        let program = format!("import ctypes, sys\n{before}\n{load}\nprint(old.get(), new.get())");
        let (old, new) = (self.path(1, "libcase.so"), self.path(2, "libcase.so"));
        let output = self.python(&program, &[&old, &new]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn python(&self, program: &str, paths: &[&Path]) -> Output {
        self.python.command().arg("-c").arg(program).args(paths).output().unwrap()
    }

    fn report(&self) -> Report {
        check_file(&self.path(1, "libcase.so"), &Contract::new(Target::HOST)).unwrap()
    }
}

/// The messages of the rule, of which there is one at most.
fn said(report: &Report, rule: &str) -> Vec<String> {
    let about = report.findings.iter().filter(|finding| finding.rule == rule);
    about.map(|finding| finding.message.clone()).collect()
}

const NOT_BOTH: &str = "the new generation must not answer as the old one";

#[test]
fn a_unique_variable_is_the_old_generations() {
    let Some(generations) = Generations::new("g++") else { return };
    let source = "inline int &value() { static int kept = GENERATION; return kept; }
                  extern \"C\" __attribute__((visibility(\"default\"))) int get() { return value(); }";
    generations.build_both(source, &["-Wl,-z,now"]);
    assert_eq!(generations.answers(), "1 1", "the trap");
    let report = generations.report();
    let found = report.findings.iter().find(|found| found.rule == "swap.unique_symbol").unwrap();
    assert_eq!(found.symbol.as_deref(), Some("_ZZ5valuevE4kept"));

    for mended in ["-fno-gnu-unique", "-fvisibility=hidden"] {
        generations.build_both(source, &["-Wl,-z,now", mended]);
        assert_eq!(generations.answers(), "1 2", "{NOT_BOTH}: {mended}");
        assert_eq!(said(&generations.report(), "swap.unique_symbol"), [""; 0], "{mended}");
    }
}

#[test]
fn a_helper_is_the_old_generations_unless_its_name_says_its_content() {
    let Some(generations) = Generations::new("gcc") else { return };
    let source = "int help(void); int get(void) { return help(); }";
    let build = |names: [&str; 2]| {
        for (generation, name) in [1, 2].into_iter().zip(names) {
            let helper = "int help(void) { return GENERATION; }";
            let soname = format!("-Wl,-soname,{name}");
            let helper = generations.build(generation, name, helper, &[&soname]);
            let arguments = [helper.to_str().unwrap(), "-Wl,-rpath,$ORIGIN", "-Wl,-z,now"];
            generations.build(generation, "libcase.so", source, &arguments);
        }
    };
    build(["libhelp.so.1", "libhelp.so.1"]);
    assert_eq!(generations.answers(), "1 1", "the trap");
    let report = generations.report();
    let found = report.findings.iter().find(|found| found.rule == "swap.helper_soname").unwrap();
    assert_eq!(found.object.as_deref(), Some("libhelp.so.1"));

    build(["libhelp-0a1b2c3d.so.1", "libhelp-4e5f6071.so.1"]);
    assert_eq!(generations.answers(), "1 2", "{NOT_BOTH}");
    assert_eq!(said(&generations.report(), "swap.helper_soname"), [""; 0]);
}

#[test]
fn a_late_lookup_finds_the_next_generation() {
    let Some(generations) = Generations::new("gcc") else { return };
    let source = "int part(void) { return GENERATION; } int get(void) { return part(); }";
    // ctypes always binds at once; other hosts do not.
    let lazily = "
c = ctypes.CDLL(None)
c.dlopen.restype = ctypes.c_void_p
def load(path, is_global):
    handle = c.dlopen(path.encode(), 1 | (0x100 if is_global else 0))
    return ctypes.CDLL(path, handle=handle)";
    let load = "old = load(sys.argv[1], False); new = load(sys.argv[2], True)";
    generations.build_both(source, &["-Wl,-z,lazy"]);
    assert_eq!(generations.run(lazily, load), "2 2", "the trap");
    assert_eq!(said(&generations.report(), "swap.lazy_binding").len(), 1);

    generations.build_both(source, &["-Wl,-z,now"]);
    assert_eq!(generations.run(lazily, load), "1 2", "{NOT_BOTH}");
    assert_eq!(said(&generations.report(), "swap.lazy_binding"), [""; 0]);
}

/// More copies of a library with static thread-local variables than fit into one process.
const COPIES: u32 = 40;

#[test]
fn every_generation_takes_static_thread_local_storage() {
    let Some(generations) = Generations::new("gcc") else { return };
    let source = "static __thread char block[128]; char *get(void) { return block; }";
    let load_all = "import ctypes, sys\nfor path in sys.argv[1:]: ctypes.CDLL(path)";
    let loaded = |arguments: &[&str]| {
        generations.build(1, "libcase.so", source, arguments);
        let copies: Vec<PathBuf> =
            (0..COPIES).map(|copy| generations.path(100 + copy, "libcase.so")).collect();
        for copy in &copies {
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(generations.path(1, "libcase.so"), copy).unwrap();
        }
        let paths: Vec<&Path> = copies.iter().map(PathBuf::as_path).collect();
        generations.python(load_all, &paths)
    };
    let trapped = loaded(&["-Wl,-z,now", "-ftls-model=initial-exec"]);
    let error = String::from_utf8_lossy(&trapped.stderr);
    assert!(error.contains("cannot allocate memory in static TLS block"), "the trap: {error}");
    assert_eq!(said(&generations.report(), "swap.static_tls").len(), 1);

    let mended = loaded(&["-Wl,-z,now"]);
    assert!(mended.status.success(), "{}", String::from_utf8_lossy(&mended.stderr));
    assert_eq!(said(&generations.report(), "swap.static_tls"), [""; 0]);
}
