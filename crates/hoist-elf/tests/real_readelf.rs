//! Facts agree with binutils' `readelf` on every shared library of this machine's system folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_elf::{ElfError, ElfFacts};
use hoist_testkit::{not_checked, tool};

/// Where Debian keeps the libraries of an x86-64 machine.
const SYSTEM_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// What both readers can tell about a library.
#[derive(Debug, PartialEq, Default)]
struct Reading {
    soname: Option<String>,
    needed: Vec<String>,
    runpath: Option<String>,
    exports: BTreeSet<String>,
    /// Wanted versions, as `LIBRARY VERSION`.
    versions: BTreeSet<String>,
}

#[test]
fn facts_agree_with_readelf_on_the_system_libraries() {
    let Some(readelf) = tool("readelf", "binutils") else { return };
    let Ok(folder) = fs::read_dir(SYSTEM_LIBRARIES) else {
        not_checked("no system libraries in the usual folder");
        return;
    };
    let mut compared = 0;
    let libraries = folder.flatten().map(|entry| entry.path()).filter(|path| is_library(path));
    for path in libraries {
        let bytes = fs::read(&path).unwrap();
        let facts = match ElfFacts::read(&bytes) {
            Ok(facts) => facts,
            Err(ElfError::NotElf { .. }) => continue, // a linker script
            Err(refusal) => panic!("{}: {refusal}", path.display()),
        };
        let arguments = ["--wide", "--dyn-syms", "--dynamic", "--version-info"];
        let theirs = readelf.stdout(arguments.iter().map(AsRef::as_ref).chain([path.as_os_str()]));
        assert_eq!(our_reading(&facts), their_reading(&theirs), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 0, "no library was compared");
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
