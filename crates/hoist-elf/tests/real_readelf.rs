//! Facts agree with binutils' `readelf` on every shared library of this machine's system folder.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use hoist_elf::isa::IsaSurvey;
use hoist_elf::{ElfError, ElfFacts, FileKind};
use hoist_schema::manifest::IsaLevel;
use hoist_testkit::{Tool, not_checked, tool};

/// Where the system's libraries are.
const SYSTEM_LIBRARIES: &str = "/usr/lib";

/// Largest library that is disassembled as well, in bytes: without optimisation it takes
/// noticeable time.
const DISASSEMBLED_BYTES: usize = 1 << 18;

/// What both readers can tell about a library.
#[derive(Debug, PartialEq, Default)]
struct Reading {
    soname: Option<String>,
    needed: Vec<String>,
    runpath: Option<String>,
    rpath: Option<String>,
    exports: BTreeSet<String>,
    /// Wanted versions, as `LIBRARY VERSION`.
    versions: BTreeSet<String>,
}

#[test]
fn facts_agree_with_readelf_on_system_libraries_and_wheels() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let mut folders = vec![PathBuf::from(SYSTEM_LIBRARIES)];
    folders.extend(wheels());
    let mut libraries = Vec::new();
    for folder in &folders {
        collect(folder, &mut libraries);
    }
    libraries.sort();
    let next = AtomicUsize::new(0);
    let counts = [const { AtomicUsize::new(0) }; 3];
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(path) = libraries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    counts[compare(&readelf, path) as usize].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [compared, not_elf, without_dynamic] = counts.map(AtomicUsize::into_inner);
    println!(
        "{compared} libraries agree, {not_elf} are not ELF, {without_dynamic} have no dynamic \
         section to compare; {} folders",
        folders.len()
    );
    assert!(compared > 0, "no library was compared");
}

/// What came of one file.
enum Compared {
    Agrees,
    /// A linker script.
    NotElf,
    /// Debug information alone, or an object.
    NoDynamic,
}

#[expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]
fn compare(readelf: &Tool, path: &Path) -> Compared {
    let bytes = fs::read(path).unwrap();
    let facts = match ElfFacts::read(&bytes) {
        Ok(facts) => facts,
        Err(ElfError::NotElf { .. } | ElfError::Empty) => return Compared::NotElf,
        Err(refusal) => panic!("{}: {refusal}", path.display()),
    };
    if !matches!(facts.kind, FileKind::SharedLibrary | FileKind::PositionIndependentExecutable) {
        return Compared::NoDynamic;
    }
    let arguments = ["--wide", "--dyn-syms", "--dynamic", "--version-info"];
    let theirs = readelf.stdout(arguments.iter().map(AsRef::as_ref).chain([path.as_os_str()]));
    assert_eq!(our_reading(&facts), their_reading(&theirs), "{}", path.display());
    if bytes.len() <= DISASSEMBLED_BYTES {
        IsaSurvey::read(&bytes, &facts, IsaLevel::V1).unwrap();
    }
    Compared::Agrees
}

/// Folders of Python packages with libraries: those that `HOIST_TEST_WHEELS` names, separated by
/// `:`, and that of the numpy which `python3` imports.
fn wheels() -> Vec<PathBuf> {
    let named = std::env::var_os("HOIST_TEST_WHEELS").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&named).filter(|path| path.is_dir()).collect();
    let Some(python) = tool("python3", "python3") else { return folders };
    let where_numpy = "import importlib.util as i; s = i.find_spec('numpy'); \
                       print(s.origin if s else '')";
    let origin = python.stdout(["-c", where_numpy]);
    let installed = Path::new(&origin).parent().and_then(Path::parent);
    match installed.filter(|_| !origin.is_empty()) {
        Some(folder) => folders.push(folder.to_owned()),
        None if folders.is_empty() => not_checked("no numpy for python3, and no other wheels"),
        None => {}
    }
    folders
}

/// Adds every library below `folder`, without following links.
fn collect(folder: &Path, libraries: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            collect(&path, libraries);
        } else if is_library(&path) {
            libraries.push(path);
        }
    }
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file && (name.ends_with(".so") || name.contains(".so."))
}

fn our_reading(facts: &ElfFacts) -> Reading {
    let export = |symbol: &hoist_elf::Symbol| symbol.name.to_string();
    Reading {
        soname: facts.dynamic.soname.clone(),
        needed: facts.dynamic.needed.clone(),
        runpath: facts.dynamic.runpath.clone(),
        rpath: facts.dynamic.rpath.clone(),
        exports: facts.exports().map(export).collect(),
        versions: facts
            .version_needs
            .iter()
            .map(|need| format!("{} {}", need.library, need.version))
            .collect(),
    }
}

fn their_reading(text: &str) -> Reading {
    // What `readelf` calls STB_GNU_UNIQUE when the file's OS ABI is not said to be GNU's.
    let text = text.replace("<OS specific>: 10", "UNIQUE");
    let mut reading = Reading::default();
    let mut library = String::new();
    let mut is_needs = false;
    let mut absolute = BTreeSet::new();
    let mut definitions = BTreeSet::new();
    for line in text.lines() {
        let bracketed =
            || line.split_once('[').map(|(_, rest)| rest.trim_end_matches(']').to_owned());
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with("Version needs section") {
            is_needs = true;
        } else if line.starts_with("Version ") {
            is_needs = false;
        } else if line.contains("(NEEDED)") {
            reading.needed.extend(bracketed());
        } else if line.contains("(SONAME)") {
            reading.soname = bracketed();
        } else if line.contains("(RUNPATH)") {
            reading.runpath = bracketed();
        } else if line.contains("(RPATH)") {
            reading.rpath = bracketed();
        } else if let (true, Some((_, rest))) = (is_needs, line.split_once("File: ")) {
            rest.split_whitespace().next().unwrap_or_default().clone_into(&mut library);
        } else if let (true, Some((_, rest))) = (is_needs, line.split_once("Name: ")) {
            let version = rest.split_whitespace().next().unwrap_or_default();
            reading.versions.insert(format!("{library} {version}"));
        } else if let Some((_, rest)) = line.split_once("Name: ") {
            definitions.insert(rest.trim().to_owned());
        } else if let [_, _, _, _, binding, visibility, section, name, ..] = words[..] {
            let is_visible = matches!(binding, "GLOBAL" | "WEAK" | "UNIQUE")
                && matches!(visibility, "DEFAULT" | "PROTECTED");
            let name = name.split('@').next().unwrap_or_default();
            if is_visible && section != "UND" {
                reading.exports.insert(name.to_owned());
            }
            if section == "ABS" {
                absolute.insert(name.to_owned());
            }
        }
    }
    // Linkers add a marker for each version that is defined: an absolute symbol of its name.
    reading.exports.retain(|name| !(absolute.contains(name) && definitions.contains(name)));
    reading
}

#[test]
fn the_small_fixture_is_read_as_readelf_reads_it() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/small.so");
    let facts = ElfFacts::read(&fs::read(&path).unwrap()).unwrap();
    let arguments = ["--wide", "--dyn-syms", "--dynamic", "--version-info"];
    let theirs = readelf.stdout(arguments.iter().map(AsRef::as_ref).chain([path.as_os_str()]));
    assert_eq!(our_reading(&facts), their_reading(&theirs));
    assert_eq!(facts.dynamic.runpath.as_deref(), Some("$ORIGIN/deps"));
    assert_eq!(facts.dynamic.constructors, 2);
}
