//! Facts agree with binutils' `readelf` on shared libraries of this machine's system folder, of
//! wheels and of Mojo.
//!
//! The wheels are those in the folder that `HOIST_WHEELS` names.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

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

/// Largest library of the system that is compared, in bytes.
const MOST_SYSTEM_BYTES: u64 = 8 << 20;

/// How many libraries of the system are compared at most, evenly spread over their names.
const MOST_SYSTEM_LIBRARIES: usize = 300;

/// How many libraries of one wheel that is none of [`WHOLE_WHEELS`] are compared at most.
const MOST_OF_A_WHEEL: usize = 20;

/// The packages of which every library is compared.
const WHOLE_WHEELS: [&str; 3] = ["numpy", "faiss_cpu", "pyarrow"];

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
fn facts_agree_with_readelf_on_system_libraries() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let mut libraries = libraries_below(Path::new(SYSTEM_LIBRARIES));
    let found = libraries.len();
    libraries.retain(|path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.len() <= MOST_SYSTEM_BYTES)
    });
    let compared = compare_all(&readelf, &spread(&libraries, MOST_SYSTEM_LIBRARIES));
    println!("{SYSTEM_LIBRARIES}: {compared}, of {found}");
}

#[test]
fn facts_agree_with_readelf_on_wheels() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let Some(python) = tool("python3", "python3") else { return };
    let Some(folder) = std::env::var_os("HOIST_WHEELS").map(PathBuf::from) else {
        not_checked("no folder of wheels in HOIST_WHEELS");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let mut whole: BTreeSet<&str> = BTreeSet::new();
    for wheel in files(&folder) {
        let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if wheel.extension().is_none_or(|end| end != "whl") {
            continue;
        }
        let unpacked = home.path().join(&name);
        python.stdout([
            "-m".as_ref(),
            "zipfile".as_ref(),
            "-e".as_ref(),
            wheel.as_os_str(),
            unpacked.as_os_str(),
        ]);
        let libraries = libraries_below(&unpacked);
        let package = name.split('-').next().unwrap_or_default();
        let known = WHOLE_WHEELS.iter().find(|known| **known == package);
        whole.extend(known);
        let most = if known.is_some() { usize::MAX } else { MOST_OF_A_WHEEL };
        let compared = compare_all(&readelf, &spread(&libraries, most));
        println!("{name}: {compared}, of {}", libraries.len());
        fs::remove_dir_all(&unpacked).unwrap();
    }
    assert_eq!(whole, BTreeSet::from(WHOLE_WHEELS), "the wheels in {}", folder.display());
}

#[test]
fn facts_agree_with_readelf_on_the_libraries_of_mojo() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let Some(mojo) = tool("mojo", "mojo, by pip") else { return };
    // An entry point of pip's lies in the environment's `bin`, beside the `lib` with the packages.
    let program = fs::canonicalize(mojo.path()).unwrap();
    let environment = program.parent().and_then(Path::parent).unwrap();
    let libraries = libraries_below(&environment.join("lib"));
    let libraries: Vec<_> = libraries
        .into_iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "modular"))
        .collect();
    println!("Mojo: {}", compare_all(&readelf, &libraries));
}

/// At most `most` of `all`, evenly spread.
fn spread(all: &[PathBuf], most: usize) -> Vec<PathBuf> {
    let count = all.len().min(most);
    (0..count).map(|index| all[index * all.len() / count].clone()).collect()
}

/// Compares every library; returns the counts, in words.
fn compare_all(readelf: &Tool, libraries: &[PathBuf]) -> String {
    let next = AtomicUsize::new(0);
    let counts = [const { AtomicUsize::new(0) }; 3];
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(path) = libraries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    counts[compare(readelf, path) as usize].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [compared, not_elf, without_dynamic] = counts.map(AtomicUsize::into_inner);
    assert!(compared > 0, "no library was compared");
    format!(
        "{compared} libraries agree, {not_elf} are not ELF, {without_dynamic} have no dynamic \
         section to compare"
    )
}

/// What came of one file.
enum Compared {
    Agrees,
    /// A linker script.
    NotElf,
    /// Debug information alone, or an object.
    NoDynamic,
}

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

/// What lies in `folder`, in order of name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Every library below `folder`, without following links, in order of name.
fn libraries_below(folder: &Path) -> Vec<PathBuf> {
    let mut libraries = Vec::new();
    for path in files(folder) {
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            libraries.extend(libraries_below(&path));
        } else if is_library(&path) {
            libraries.push(path);
        }
    }
    libraries
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
