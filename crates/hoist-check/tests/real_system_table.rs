//! The table of system symbols has all that this machine's glibc, libgcc and libstdc++ define.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::{SystemSymbols, Target};
use hoist_elf::ElfFacts;
use hoist_testkit::not_checked;

/// Where distributions keep their libraries.
const FOLDERS: [&str; 4] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

const LIBRARIES: [&str; 10] = [
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];

#[test]
fn the_table_has_what_the_libraries_of_this_machine_define() {
    let system = SystemSymbols::of(&Target::HOST).unwrap();
    let all = system.all();
    let is_in_table = |name: &str, version: Option<&str>| {
        all.get(name).is_some_and(|found| found.iter().any(|found| found.version == version))
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for library in LIBRARIES {
        let Some(facts) = installed(library) else { continue };
        let newer = |version: Option<&str>| version.is_some_and(|it| !system.is_as_new_as(it));
        let exports = facts.exports().filter(|symbol| {
            let version = symbol.version.as_deref();
            version != Some("GLIBC_PRIVATE") && !newer(version)
        });
        let mut count = 0;
        for symbol in exports {
            let (name, version) = (&*symbol.name, symbol.version.as_deref());
            assert!(is_in_table(name, version), "{library}: {name} {version:?}");
            count += 1;
        }
        assert!(count > 0, "{library}");
        counts.insert(library, count);
    }
    if counts.is_empty() {
        not_checked("no system library in the usual folders");
        return;
    }
    assert!(counts["libc.so.6"] > 2000 && counts["libm.so.6"] > 900, "{counts:?}");
    println!("in the table: {counts:?}");
}

/// What a library needs is needed by the table's as well, or it has become part of libc.
#[test]
fn the_table_knows_what_the_libraries_need() {
    let system = SystemSymbols::of(&Target::HOST).unwrap();
    let Some(facts) = installed("libstdc++.so.6") else {
        not_checked("no libstdc++.so.6 in the usual folders");
        return;
    };
    for needed in &facts.dynamic.needed {
        let known = system.needed_by("libstdc++.so.6");
        assert!(known.contains(&needed.as_str()), "{needed}: {known:?}");
    }
}

fn installed(library: &str) -> Option<ElfFacts> {
    let paths = FOLDERS.iter().map(|folder| -> PathBuf { Path::new(folder).join(library) });
    let bytes = paths.into_iter().find_map(|path| fs::read(path).ok())?;
    Some(ElfFacts::read(&bytes).unwrap())
}
