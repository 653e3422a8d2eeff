//! What hoist says of a library's dependencies, held against the loader of this machine: gcc builds
//! each case, a small C program loads it with every symbol bound at once.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::{Contract, Target, check_file};
use hoist_schema::Severity;
use hoist_testkit::{Tool, tool};
use tempfile::TempDir;

/// Needs nothing but the C library, unlike Python, which brings libm.
const HOST: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **arguments) {
    if (dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL)) return 0;
    fprintf(stderr, "%s\n", dlerror());
    return 1;
}"#;

struct Workshop {
    gcc: Tool,
    home: TempDir,
}

impl Workshop {
    /// `None` where gcc is absent, which is said.
    fn new() -> Option<Self> {
        let workshop = Self { gcc: tool("gcc", "gcc")?, home: tempfile::tempdir().unwrap() };
        fs::write(workshop.path("host.c"), HOST).unwrap();
        workshop.run_gcc(&["host.c", "-o", "host"]);
        Some(workshop)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.home.path().join(file)
    }

    fn run_gcc(&self, arguments: &[&str]) {
        let built =
            self.gcc.command().current_dir(self.home.path()).args(arguments).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }

    /// Builds a shared library; `map` is its version script, if it has one.
    fn build(&self, file: &str, source: &str, map: &str, arguments: &[&str]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(self.path("source.c"), source).unwrap();
        fs::write(self.path("versions.map"), map).unwrap();
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        let soname = format!("-Wl,-soname,{name}");
        let mut all = vec!["-shared", "-fPIC", "-fno-builtin", "source.c", "-o", file, &soname];
        all.extend(["-Wl,-z,now", "-Wl,--no-as-needed"]);
        if !map.is_empty() {
            all.push("-Wl,--version-script,versions.map");
        }
        all.extend(arguments);
        self.run_gcc(&all);
    }

    /// What the loader says to `file`: nothing when it loads it.
    fn load(&self, file: &str) -> Result<(), String> {
        let mut host = std::process::Command::new(self.path("host"));
        let output = host.env_clear().arg(self.path(file)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// The errors and warnings of hoist about dependencies, as `severity rule`.
    fn judge(&self, file: &str) -> Vec<String> {
        let report = check_file(&self.path(file), &Contract::new(Target::HOST)).unwrap();
        let of_loading = report.findings.into_iter().filter(|found| {
            let is_other = ["dyn.rpath_deprecated", "dyn.runpath_leak"].contains(&&*found.rule);
            found.rule.starts_with("dyn.") && !is_other && found.severity > Severity::Info
        });
        of_loading.map(|found| format!("{:?} {}", found.severity, found.rule)).collect()
    }

    /// The loader takes it, and hoist has nothing against it but `warnings`.
    #[track_caller]
    fn loads(&self, file: &str, warnings: &[&str]) {
        assert_eq!(self.load(file), Ok(()));
        assert_eq!(self.judge(file), warnings);
    }

    /// The loader refuses it for a reason with these words, and hoist says so.
    #[track_caller]
    fn refuses(&self, file: &str, words: &str, errors: &[&str]) {
        let said = self.load(file).unwrap_err();
        assert!(said.contains(words), "{said}");
        assert_eq!(self.judge(file), errors);
    }
}

const HELP: &str = "int help(void) { return 1; } int other(void) { return 2; }";
const USER: &str = "int help(void); int use(void) { return help(); }";
const ORIGIN: &str = "-Wl,--enable-new-dtags,-rpath,$ORIGIN";

#[test]
fn versions_are_wanted_as_the_loader_wants_them() {
    let Some(workshop) = Workshop::new() else { return };
    let help = "libhelp.so.1";
    workshop.build(help, HELP, "HELP_2 { global: help; };", &[]);
    workshop.build("libuse.so", USER, "", &["-L.", "-l:libhelp.so.1", ORIGIN]);
    workshop.loads("libuse.so", &[]);

    workshop.build(help, HELP, "HELP_1 { global: help; };", &[]);
    let words = "version `HELP_2' not found";
    workshop.refuses("libuse.so", words, &["Error dyn.version_missing"]);

    let moved = "HELP_1 { global: help; }; HELP_2 { global: other; } HELP_1;";
    workshop.build(help, HELP, moved, &[]);
    let words = "undefined symbol: help, version HELP_2";
    workshop.refuses("libuse.so", words, &["Error dyn.undefined"]);

    workshop.build(help, HELP, "HELP_2 { global: other; };", &[]);
    workshop.loads("libuse.so", &[]);

    // It wants `abs` of libc, so it has places for versions but defines none.
    let lost = "int abs(int); int help(void) { return abs(-1); }";
    workshop.build(help, lost, "", &[]);
    workshop.loads("libuse.so", &["Warning dyn.version_missing"]);

    workshop.build(help, HELP, "", &["-nostdlib"]);
    let words = "Assertion `version->filename == NULL";
    workshop.refuses("libuse.so", words, &["Error dyn.version_missing"]);
}

#[test]
fn libraries_are_found_where_the_loader_finds_them() {
    let Some(workshop) = Workshop::new() else { return };
    let linking = |dir: &str, name: &str| [format!("-L{dir}"), format!("-l:{name}")];
    workshop.build("far/libfar.so", HELP, "", &[]);
    let [dir, far] = linking("far", "libfar.so");
    workshop.build("libmiddle.so", USER, "", &[&dir, &far]);
    let [dir, middle] = linking(".", "libmiddle.so");
    let use_middle = "int use(void); int run(void) { return use(); }";
    workshop.build("libnear.so", use_middle, "", &[&dir, &middle, ORIGIN, "-Wl,-rpath-link,far"]);
    let [dir, near] = linking(".", "libnear.so");
    let top = "int run(void); int top(void) { return run(); }";
    let with = |rpath: &str| {
        workshop.build("libtop.so", top, "", &[&dir, &near, rpath, "-Wl,-rpath-link,far"]);
    };
    // RPATH is handed down, past a library that has a RUNPATH.
    with("-Wl,--disable-new-dtags,-rpath,$ORIGIN:$ORIGIN/far");
    workshop.loads("libtop.so", &[]);
    with("-Wl,--enable-new-dtags,-rpath,$ORIGIN:$ORIGIN/far");
    let words = "libfar.so: cannot open shared object file";
    workshop.refuses("libtop.so", words, &["Error dyn.needed_missing"]);
}

#[test]
fn a_library_for_another_machine_is_passed_over() {
    let Some(workshop) = Workshop::new() else { return };
    workshop.build("right/libhelp.so", HELP, "", &[]);
    let path = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/other:$ORIGIN/right";
    workshop.build("libuse.so", USER, "", &["-Lright", "-l:libhelp.so", path]);
    let mut bytes = fs::read(workshop.path("right/libhelp.so")).unwrap();
    bytes[18..20].copy_from_slice(&[8, 0]); // MIPS
    fs::create_dir_all(workshop.path("other")).unwrap();
    fs::write(workshop.path("other/libhelp.so"), &bytes).unwrap();
    workshop.loads("libuse.so", &[]);

    fs::remove_file(workshop.path("right/libhelp.so")).unwrap();
    let words = "libhelp.so: cannot open shared object file";
    workshop.refuses("libuse.so", words, &["Error dyn.needed_missing"]);
}

#[test]
fn symbols_are_provided_by_whom_the_loader_asks() {
    let Some(workshop) = Workshop::new() else { return };
    let wants_cos = "double cos(double); double use(double x) { return cos(x); }";
    workshop.build("libunder.so", wants_cos, "", &[]);
    workshop.refuses("libunder.so", "undefined symbol: cos", &["Error dyn.underlinked"]);
    workshop.build("liblinked.so", wants_cos, "", &["-lm"]);
    workshop.loads("liblinked.so", &[]);
    // libstdc++ needs libm.
    workshop.build("libthrough.so", wants_cos, "", &["-l:libstdc++.so.6"]);
    workshop.loads("libthrough.so", &[]);

    let undefined = "int nowhere(void); int use(void) { return nowhere(); }";
    workshop.build("libundefined.so", undefined, "", &[]);
    workshop.refuses("libundefined.so", "undefined symbol: nowhere", &["Error dyn.undefined"]);
    let weak = "__attribute__((weak)) int nowhere(void); int use(void) { return nowhere != 0; }";
    workshop.build("libweak.so", weak, "", &[]);
    workshop.loads("libweak.so", &[]);

    // What comes with a library is bound with it, to what the library itself defines as well.
    let asks = "int answer(void); int help(void) { return answer(); }";
    workshop.build("libasks.so", asks, "", &[]);
    let linked = ["-L.", "-l:libasks.so", ORIGIN, "-Wl,--unresolved-symbols=ignore-all"];
    workshop.build("libsilent.so", USER, "", &linked);
    workshop.refuses("libsilent.so", "undefined symbol: answer", &["Error dyn.undefined"]);
    let answers = format!("{USER} int answer(void) {{ return 1; }}");
    workshop.build("libanswers.so", &answers, "", &linked);
    workshop.loads("libanswers.so", &[]);

    // Every process has the C library.
    let alone = "int abs(int); int use(int x) { return abs(x); }";
    workshop.build("libalone.so", alone, "", &["-nostdlib"]);
    workshop.loads("libalone.so", &["Warning dyn.underlinked"]);
}

#[test]
fn the_name_of_a_library_is_its_soname() {
    let Some(workshop) = Workshop::new() else { return };
    // Needed as `libfile.so`, it calls itself `libname.so`, which the second one needs.
    workshop.build("libname.so", HELP, "", &[]);
    workshop.build("libsecond.so", USER, "", &["-L.", "-l:libname.so"]);
    fs::rename(workshop.path("libname.so"), workshop.path("libfile.so")).unwrap();
    workshop.build("unnamed/libfile.so", HELP, "", &["-Wl,-soname,libfile.so"]);
    let top = "int use(void); int help(void); int top(void) { return use() + help(); }";
    let linked = ["-Lunnamed", "-l:libfile.so", "-L.", "-l:libsecond.so", ORIGIN];
    let arguments = [&linked[..], &["-Wl,--unresolved-symbols=ignore-in-shared-libs"]].concat();
    workshop.build("libtop.so", top, "", &arguments);
    workshop.loads("libtop.so", &[]);
    fs::remove_file(workshop.path("libfile.so")).unwrap();
    let words = "libfile.so: cannot open shared object file";
    let missing = ["Error dyn.needed_missing", "Error dyn.needed_missing"];
    workshop.refuses("libtop.so", words, &missing);
}

#[test]
fn a_library_that_is_found_must_be_one() {
    let Some(workshop) = Workshop::new() else { return };
    workshop.build("libhelp.so", HELP, "", &[]);
    workshop.build("libuse.so", USER, "", &["-L.", "-l:libhelp.so", ORIGIN]);
    let help = workshop.path("libhelp.so");
    let missing = ["Error dyn.needed_missing"];
    fs::write(&help, "INPUT(libhelp.so.1.2)\n").unwrap();
    workshop.refuses("libuse.so", "file too short", &missing);
    fs::write(&help, "/* GNU ld script */\n".repeat(100)).unwrap();
    workshop.refuses("libuse.so", "invalid ELF header", &missing);
    let program = ["host.c", "-pie", "-fPIE", "-o", "libhelp.so"];
    workshop.run_gcc(&program);
    workshop.refuses("libuse.so", "cannot dynamically load position-independent", &missing);
}

#[test]
fn packed_relocations_are_announced() {
    let Some(workshop) = Workshop::new() else { return };
    let pointers = "int abs(int); int a; int *at = &a; int use(void) { return abs(*at); }";
    let flag = "-Wl,-z,pack-relative-relocs";
    workshop.build("libpacked.so", pointers, "", &[flag]);
    workshop.loads("libpacked.so", &[]);
    // As lld does with `--pack-dyn-relocs=relr`: the version is named, but not this one.
    let path = workshop.path("libpacked.so");
    let mut bytes = fs::read(&path).unwrap();
    let facts = hoist_elf::ElfFacts::read(&bytes).unwrap();
    if !facts.dynamic.has_packed_relocations {
        return eprintln!("this linker packs no relocations");
    }
    let marker = b"GLIBC_ABI_DT_RELR";
    let hash = |name: &[u8]| {
        name.iter().fold(0_u32, |hash, &byte| {
            let hash = (hash << 4).wrapping_add(byte.into());
            (hash & 0x0fff_ffff) ^ ((hash & 0xf000_0000) >> 24)
        })
    };
    // The needed version becomes the same as that of `abs`: one more of GLIBC_2.2.5.
    let at = bytes.windows(marker.len()).position(|part| part == marker).unwrap();
    let old = hash(marker).to_le_bytes();
    let record = bytes.windows(4).position(|part| part == old).unwrap();
    let name = b"GLIBC_2.2.5\0";
    bytes[at..at + name.len()].copy_from_slice(name);
    bytes[record..record + 4].copy_from_slice(&hash(b"GLIBC_2.2.5").to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let words = "DT_RELR without GLIBC_ABI_DT_RELR dependency";
    workshop.refuses("libpacked.so", words, &["Error dyn.version_missing"]);
}
