//! Edited libraries are still libraries to everybody else: the loader, `readelf`, `eu-elflint`,
//! `strip`, `ldd` and gdb.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::{Path, PathBuf};

use hoist_elf::ElfFacts;
use hoist_elf::edit::{Edit, Layout, debug_link_crc, rewrite, split_debug};
use hoist_testkit::{Tool, not_checked, tool};
use tempfile::TempDir;

const SOURCE: &str = r#"
#include <math.h>
#include <stdlib.h>
#include <string.h>
static _Thread_local int calls = 3;
static int seen[64];
#ifdef BIG
char big[BIG];
#endif
static const char *const words[] = {"one", "two"};
const char *(*volatile chosen)(int);
static const char *word(int i) { return words[i & 1]; }
__attribute__((constructor)) static void begin(void) { chosen = word; }
int add(int a, int b) {
    char *copy = malloc(8);
    strcpy(copy, chosen(a));
    calls++;
    seen[a & 63] += 1;
#ifdef BIG
    big[BIG - 1] = (char)a;
#endif
    free(copy);
    return a + b + (int)floor(sin((double)seen[63]));
}
int calls_so_far(void) { return calls; }
"#;

const RUNPATH_65: &str = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-pattern-search-0.1.0/lib";

/// A folder with libraries that were linked in various ways.
struct Bench {
    folder: TempDir,
    readelf: Tool,
    lint: Tool,
    python: Tool,
    strip: Tool,
}

impl Bench {
    fn new() -> Option<Self> {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            readelf: tool("readelf", "binutils")?,
            lint: tool("eu-elflint", "elfutils")?,
            python: tool("python3", "python3")?,
            strip: tool("strip", "binutils")?,
        };
        fs::write(bench.path("source.c"), SOURCE).unwrap();
        Some(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, compiler: &Tool, name: &str, arguments: &[&str]) -> Vec<u8> {
        let output = self.path(name);
        let mut command = compiler.command();
        command
            .current_dir(self.folder.path())
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&output);
        let done = command.arg("source.c").args(arguments).arg("-lm").output().unwrap();
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        fs::read(output).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Asserts that `eu-elflint` has nothing against a file that it had not against the original.
    #[track_caller]
    fn lints_as(&self, before: &[String], path: &Path, context: &dyn std::fmt::Debug) {
        let mut new = self.complaints(path);
        new.retain(|complaint| !before.contains(complaint));
        assert!(new.is_empty(), "{context:?}: {new:#?}");
    }

    /// What `eu-elflint` has against a file.
    fn complaints(&self, path: &Path) -> Vec<String> {
        let output = self.lint.command().arg("--gnu-ld").arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> =
            said.lines().filter(|line| *line != "No errors").map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The real loader takes every file, and its functions answer.
    fn load(&self, files: &[PathBuf]) {
        const PROGRAM: &str = "import ctypes, sys\n\
            for path in sys.argv[1:]:\n\
            \x20   lib = ctypes.CDLL(path, mode=2)\n\
            \x20   assert lib.add(2, 3) == 5, path\n\
            \x20   assert lib.calls_so_far() == 4, path\n";
        let output = self.python.command().args(["-c", PROGRAM]).args(files).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The library after `strip`, which lays it out anew.
    fn stripped(&self, path: &Path) -> PathBuf {
        let output = path.with_extension("stripped.so");
        let facts = |path: &Path| ElfFacts::read(&fs::read(path).unwrap()).unwrap();
        let arguments = ["-o".as_ref(), output.as_os_str(), path.as_os_str()];
        let done = self.strip.command().args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(String::from_utf8_lossy(&done.stderr), "");
        assert_eq!(facts(&output).dynamic, facts(path).dynamic);
        output
    }

    /// `readelf` finds nothing to warn about and reads the same facts.
    fn compare_with_readelf(&self, path: &Path, bytes: &[u8]) {
        let output = self.readelf.command().args(["-Wa"]).arg(path).output().unwrap();
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(warnings, "", "{}", path.display());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let facts = ElfFacts::read(bytes).unwrap().dynamic;
        let bracketed = |tag: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.contains(tag));
            lines
                .map(|line| line.split_once('[').unwrap().1.trim_end_matches(']').to_owned())
                .collect()
        };
        assert_eq!(bracketed("(RUNPATH)"), Vec::from_iter(facts.runpath));
        assert_eq!(bracketed("(RPATH)"), Vec::from_iter(facts.rpath));
        assert_eq!(bracketed("(SONAME)"), Vec::from_iter(facts.soname));
        assert_eq!(bracketed("(NEEDED)"), facts.needed);
    }
}

fn before_has_no_sections(bytes: &[u8]) -> bool {
    bytes[40..48] == [0; 8]
}

/// Takes the section headers away, as some tools that make files small do.
fn without_sections(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[40..48].fill(0);
    bytes[58..64].fill(0);
    bytes
}

/// Libraries that were linked in various ways, by name.
fn variants(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let runpath = "-Wl,-rpath,/home/ci/project/.venv/lib";
    let rpath = "-Wl,--disable-new-dtags,-rpath,/home/ci/lib";
    let mut files = Vec::new();
    if let Some(gcc) = tool("gcc", "gcc") {
        for (name, arguments) in [
            ("gcc", &[runpath][..]),
            ("gcc-plain", &[]),
            ("gcc-rpath", &[rpath]),
            ("gcc-soname-now", &[runpath, "-Wl,-soname,liba.so.1", "-Wl,-z,now", "-Wl,-z,relro"]),
            ("gcc-stripped", &[runpath, "-s"]),
            ("gcc-one-segment", &[runpath, "-Wl,-z,noseparate-code", "-Wl,-z,norelro"]),
            ("gcc-debug", &["-g", rpath]),
            ("gcc-large-pages", &[runpath, "-Wl,-z,max-page-size=65536"]),
            ("gcc-sysv-hash", &["-Wl,--hash-style=sysv", "-Wl,-z,lazy"]),
            ("gcc-bss", &[runpath, "-DBIG=5000000"]),
            ("gcc-bss-large-pages", &["-DBIG=5000000", "-Wl,-z,max-page-size=2097152"]),
        ] {
            files.push((name.to_owned(), bench.compile(&gcc, &format!("{name}.so"), arguments)));
        }
        let plain = bench.compile(&gcc, "sectionless.so", &[runpath]);
        files.push(("gcc-sectionless".to_owned(), without_sections(plain)));
    }
    if let (Some(clang), Some(_)) = (tool("clang", "clang"), tool("ld.lld", "lld")) {
        for (name, arguments) in [
            ("lld", &[runpath][..]),
            ("lld-plain", &[]),
            ("lld-one-read-segment", &["-Wl,--no-rosegment", "-Wl,--build-id=none"]),
            (
                "lld-large-pages",
                &["-Wl,-z,max-page-size=65536", "-Wl,-z,separate-loadable-segments"],
            ),
            ("lld-bss", &[runpath, "-DBIG=5000000"]),
            ("lld-packed", &[runpath, "-Wl,-z,norelro", "-Wl,-z,noseparate-code", "-s"]),
        ] {
            let mut arguments = arguments.to_vec();
            arguments.push("-fuse-ld=lld");
            files.push((name.to_owned(), bench.compile(&clang, &format!("{name}.so"), &arguments)));
        }
    }
    if files.is_empty() {
        not_checked("no compiler to link with");
    }
    files
}

#[test]
fn every_runpath_leaves_a_library_that_loads() {
    let Some(bench) = Bench::new() else { return };
    let mut grown = [0, 0, 0];
    for (name, original) in variants(&bench) {
        let before = bench.complaints(&bench.write(&format!("{name}-0.so"), &original));
        let long = format!("$ORIGIN/{}", "x".repeat(3992));
        let mut bytes = original;
        let mut loaded = Vec::new();
        let mut is_stripped_as_before = true;
        for (step, runpath) in
            [Some("$ORIGIN"), None, Some(RUNPATH_65), Some(&long), Some("$ORIGIN/deps"), None]
                .into_iter()
                .enumerate()
        {
            let edit = Edit::Runpath(runpath.map(str::to_owned));
            let edited = rewrite(&bytes, std::slice::from_ref(&edit))
                .unwrap_or_else(|error| panic!("{name} {step}: {error:?}"));
            grown[edited.layout as usize] += 1;
            bytes = edited.bytes;
            let path = bench.write(&format!("{name}-{step}.so"), &bytes);
            bench.compare_with_readelf(&path, &bytes);
            bench.lints_as(&before, &path, &(&name, step, edited.layout));
            assert_eq!(rewrite(&bytes, &[edit]).unwrap().bytes, bytes, "{name}: not again");
            is_stripped_as_before &= edited.layout != Layout::NewSegment;
            if step > 2 && is_stripped_as_before && !before_has_no_sections(&bytes) {
                loaded.push(bench.stripped(&path));
            }
            loaded.push(path);
        }
        for text in ["/home/ci", "nix/store", "xxxx"] {
            assert!(!contains(&bytes, text.as_bytes()), "{name}: `{text}` is still there");
        }
        bench.load(&loaded);
    }
    assert!(grown.iter().all(|count| *count > 0), "{grown:?}");
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn every_other_edit_leaves_a_library_that_loads() {
    let Some(bench) = Bench::new() else { return };
    for (name, original) in variants(&bench) {
        let before = bench.complaints(&bench.write(&format!("{name}-0.so"), &original));
        let was = ElfFacts::read(&original).unwrap().dynamic;
        let libm = || "libm.so.6".to_owned();
        let edits = [
            Edit::Soname("libedited-with-a-long-name.so.1".to_owned()),
            Edit::AddNeeded("libdl.so.2".to_owned()),
            Edit::BindNow,
            Edit::NonExecutableStack,
            Edit::Runpath(Some("$ORIGIN".to_owned())),
            Edit::ReplaceNeeded { from: "libdl.so.2".to_owned(), to: "librt.so.1".to_owned() },
            Edit::RemoveNeeded("librt.so.1".to_owned()),
            Edit::Soname("libe.so".to_owned()),
        ];
        let mut bytes = original.clone();
        let mut loaded = Vec::new();
        let mut may_strip = !before_has_no_sections(&original);
        for (step, edit) in edits.iter().enumerate() {
            let edited = rewrite(&bytes, std::slice::from_ref(edit))
                .unwrap_or_else(|error| panic!("{name} {edit:?}: {error:?}"));
            may_strip &= edited.layout != Layout::NewSegment;
            bytes = edited.bytes;
            let path = bench.write(&format!("{name}-{step}.so"), &bytes);
            bench.compare_with_readelf(&path, &bytes);
            bench.lints_as(&before, &path, &(&name, edit));
            loaded.push(path);
        }
        if may_strip {
            loaded.push(bench.stripped(loaded.last().unwrap()));
        }
        // All at once gives the same facts.
        let at_once = rewrite(&original, &edits).unwrap().bytes;
        let facts = |bytes: &[u8]| ElfFacts::read(bytes).unwrap();
        assert_eq!(facts(&at_once).dynamic, facts(&bytes).dynamic, "{name}");
        assert_eq!(facts(&at_once).dynamic.needed, was.needed);
        loaded.push(bench.write(&format!("{name}-once.so"), &at_once));
        bench.load(&loaded);
        let versions = [Edit::RemoveNeeded(libm())];
        let wants = facts(&original).version_needs.iter().any(|need| *need.library == *libm());
        assert_eq!(rewrite(&original, &versions).is_err(), wants, "{name}");
    }
}

/// The loader finds a needed library under another name, with the version that is wanted of it.
#[test]
fn a_renamed_dependency_keeps_its_versions() {
    let (Some(bench), Some(gcc)) = (Bench::new(), tool("gcc", "gcc")) else { return };
    for linker in ["bfd", "lld"] {
        if linker == "lld" && tool("ld.lld", "lld").is_none() {
            continue;
        }
        let linked_by = format!("-fuse-ld={linker}");
        let compile = |name: &str, arguments: &[&str]| {
            let source = format!("{name}.c");
            let mut command = gcc.command();
            command.current_dir(bench.folder.path()).args(["-shared", "-fPIC", "-o", name]);
            let done = command.args([&source, &linked_by]).args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        bench.write("libdep.so.1.c", b"int dep(void) { return 41; }");
        bench.write("dep.map", b"DEP_1 { global: dep; };");
        bench.write("liba.so.c", b"int dep(void); int answer(void) { return dep() + 1; }");
        let soname = "-Wl,-soname,libdep.so.1";
        compile("libdep.so.1", &[soname, "-Wl,--version-script=dep.map"]);
        compile("liba.so", &["./libdep.so.1", "-Wl,-rpath,/home/ci/lib"]);

        let new = "libdep-1a2b3c4d.so.1".to_owned();
        let user = fs::read(bench.path("liba.so")).unwrap();
        let from = "libdep.so.1".to_owned();
        let renames = [
            Edit::ReplaceNeeded { from, to: new.clone() },
            Edit::Runpath(Some("$ORIGIN".to_owned())),
        ];
        let user = rewrite(&user, &renames).unwrap().bytes;
        let dependency = fs::read(bench.path("libdep.so.1")).unwrap();
        let dependency = rewrite(&dependency, &[Edit::Soname(new.clone())]).unwrap().bytes;
        fs::remove_file(bench.path("libdep.so.1")).unwrap();
        bench.write(&new, &dependency);
        let user = bench.write("liba.so", &user);
        let program = "import ctypes, sys\nassert ctypes.CDLL(sys.argv[1], mode=2).answer() == 42";
        bench.python.stdout(["-c".as_ref(), program.as_ref(), user.as_os_str()]);
    }
}

/// `gdb` and `addr2line` find the lines of a function in the file that the library links to.
#[test]
fn debuggers_find_the_debug_file() {
    let Some(bench) = Bench::new() else { return };
    let Some(gdb) = tool("gdb", "gdb") else { return };
    let Some(eu_readelf) = tool("eu-readelf", "elfutils") else { return };
    let compilers = [
        ("gcc", "gcc", &["-gdwarf-4"][..]),
        ("gcc", "gcc", &["-gdwarf-5", "-Wl,--build-id=none"]),
        ("gcc", "gcc", &["-g", "-gz=zlib", "-Wl,-rpath,/home/ci/lib"]),
        ("clang", "clang", &["-gdwarf-5", "-fuse-ld=lld"]),
        ("clang", "clang", &["-gdwarf-4", "-Wl,--build-id"]),
    ];
    for (number, (compiler, package, arguments)) in compilers.into_iter().enumerate() {
        let Some(compiler) = tool(compiler, package) else { continue };
        let name = format!("libdebug{number}.so");
        let original = bench.compile(&compiler, &name, arguments);
        let edits = [Edit::Soname("libdebug-1a2b3c4d.so".to_owned())];
        let edited = rewrite(&original, &edits).unwrap().bytes;
        let before = bench.complaints(&bench.write("before.so", &edited));
        let split = split_debug(&edited, &format!("{name}.debug")).unwrap();
        assert!(split.library.len() < original.len());
        let library = bench.write(&name, &split.library);
        let debug = bench.write(&format!("{name}.debug"), &split.debug);
        bench.compare_with_readelf(&library, &split.library);
        bench.lints_as(&before, &library, &arguments);
        bench.load(&[library.clone(), bench.stripped(&library)]);
        let said = eu_readelf.stdout(["--debug-dump=info".as_ref(), debug.as_os_str()]);
        assert!(said.contains("calls_so_far"), "{said}");

        let asked = ["-batch", "-nx", "-ex", "info line add", "-ex", "info address seen"];
        let said = gdb.stdout(asked.map(AsRef::as_ref).into_iter().chain([library.as_os_str()]));
        assert!(said.contains("of \"source.c\""), "{arguments:?}: {said}");
        // Without the file, there is nothing to find: it was the file that said it.
        fs::remove_file(&debug).unwrap();
        let said = gdb.stdout(asked.map(AsRef::as_ref).into_iter().chain([library.as_os_str()]));
        assert!(!said.contains("of \"source.c\""), "{arguments:?}: {said}");
    }
}

/// Machines that this one cannot run, and 32 bits: `readelf` and `eu-elflint` say the same.
#[test]
fn libraries_for_other_machines_are_edited_too() {
    let Some(bench) = Bench::new() else { return };
    let (Some(clang), Some(_)) = (tool("clang", "clang"), tool("ld.lld", "lld")) else { return };
    bench
        .write("small.c", b"int table[99]; int add(int a, int b) { return a + b + table[a & 7]; }");
    for target in
        ["aarch64-linux-gnu", "i386-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu"]
    {
        let output = bench.path("foreign.so");
        let mut command = clang.command();
        command.current_dir(bench.folder.path()).args(["-shared", "-fPIC", "-nostdlib", "-o"]);
        command.arg(&output).args([
            "small.c",
            "-fuse-ld=lld",
            "-Wl,-rpath,/home/ci/lib",
            "-target",
        ]);
        let done = command.arg(target).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut bytes = fs::read(&output).unwrap();
        let before = bench.complaints(&output);
        for edit in [
            Edit::Runpath(Some(RUNPATH_65.to_owned())),
            Edit::Soname("libforeign.so.1".to_owned()),
            Edit::AddNeeded("libc.so.6".to_owned()),
            Edit::Runpath(None),
            Edit::BindNow,
        ] {
            bytes = rewrite(&bytes, &[edit]).unwrap().bytes;
            let path = bench.write("foreign-edited.so", &bytes);
            bench.compare_with_readelf(&path, &bytes);
            bench.lints_as(&before, &path, &target);
        }
    }
}

/// Most bytes of a library of the system that is edited: those above differ in size alone.
const MOST_BYTES: u64 = 1 << 20;

/// Of how many libraries of the system one is edited: all of them take minutes.
const ONE_OF: u32 = 8;

/// Whatever this machine's distribution linked: an edit is made, and verifies itself. Which
/// libraries are taken depends on their names alone, so that a failure comes again.
#[test]
fn libraries_of_the_system_can_be_edited() {
    let Ok(folder) = fs::read_dir("/usr/lib/x86_64-linux-gnu") else {
        not_checked("no system libraries in the usual folder");
        return;
    };
    let edits = [
        Edit::Runpath(Some(format!("$ORIGIN/{}", "x".repeat(300)))),
        Edit::Soname("libedited-1a2b3c4d.so.1".to_owned()),
        Edit::AddNeeded("libanother.so".to_owned()),
        Edit::BindNow,
    ];
    let mut edited = 0;
    for entry in folder.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_taken =
            name.contains(".so") && debug_link_crc(name.as_bytes()).is_multiple_of(ONE_OF);
        if !is_taken || !entry.metadata().is_ok_and(|it| it.is_file() && it.len() <= MOST_BYTES) {
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        if ElfFacts::read(&bytes).is_err() {
            continue; // a linker script
        }
        if let Err(refusal) = rewrite(&bytes, &edits) {
            panic!("{}: {refusal}", entry.path().display());
        }
        edited += 1;
    }
    println!("{edited} libraries of the system edited");
    if edited == 0 {
        not_checked("no system library is among those that are taken");
    }
}
