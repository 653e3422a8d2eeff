//! Two libraries, one of which needs the other, with some of their bytes changed.

use std::collections::BTreeMap;

use hoist_check::{Candidate, Contract, Promise, Target, best_manylinux, check_library, floors};
use hoist_elf::ElfFacts;
use hoist_elf::testing::{Definition, Library, Wanted};

/// Bytes of the input that say one change: which library, where, and the new byte.
const CHANGE_BYTES: usize = 4;

/// Where the tables of a test library end, and where its dynamic section begins.
const TABLES_END: usize = 0x1000;
const DYNAMIC_AT: usize = 0x2_0000;

/// Any two libraries are checked to the end, with a bounded number of findings, and what they would
/// load on is said in words.
///
/// # Panics
///
/// Where that does not hold.
pub fn dependencies(changes: &[u8]) {
    let mut libraries = [needing().build(), needed().build()];
    for change in changes.chunks_exact(CHANGE_BYTES) {
        let [library, high, low, byte] = [change[0], change[1], change[2], change[3]];
        let at = usize::from(high & 0x7f) << 8 | usize::from(low);
        // The upper bit says whether the place is in the dynamic section.
        let at = if high & 0x80 == 0 { at % TABLES_END } else { DYNAMIC_AT + at };
        if let Some(place) = libraries[usize::from(library & 1)].get_mut(at) {
            *place = byte;
        }
    }
    let [needing, needed] = libraries;
    let facts: Vec<ElfFacts> =
        [&needing, &needed].into_iter().filter_map(|bytes| ElfFacts::read(bytes).ok()).collect();
    for facts in &facts {
        let _ = floors(facts).to_string();
    }
    let _ = best_manylinux(&facts, &Target::X86_64_LINUX);
    let siblings = BTreeMap::from([("lib/libhelp.so.1".to_owned(), needed)]);
    let report = check_library(&Candidate::new("lib/libcase.so", &needing), &contract(), &siblings);
    assert!(report.findings.len() < 10_000, "{} findings", report.findings.len());
}

fn contract() -> Contract {
    Contract {
        exports: vec![Promise::function("add")],
        glibc: "2.28".parse().ok(),
        libstdcxx: "3.4.25".parse().ok(),
        libgcc: "7.0.0".parse().ok(),
        leaked_names: vec!["workhorse".to_owned()],
        ..Contract::new(Target::X86_64_LINUX)
    }
}

fn needing() -> Library {
    Library {
        needed: vec!["libhelp.so.1", "libc.so.6", "libm.so.6", "libstdc++.so.6"],
        runpath: Some("$ORIGIN:/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-x/lib:${ORIGIN}/$LIB:"),
        exports: vec![
            Definition::function("add").in_version("CASE_1"),
            Definition::variable("_ZZ5valuevE4kept").unique(),
            Definition::function("malloc"),
        ],
        wanted: vec![
            Wanted::versioned("help", "libhelp.so.1", "HELP_1"),
            Wanted::versioned("cos", "libm.so.6", "GLIBC_2.2.5"),
            Wanted::versioned("pthread_create", "libc.so.6", "GLIBC_2.34"),
            Wanted::versioned("_Znwm", "libstdc++.so.6", "GLIBCXX_3.4"),
            Wanted { is_weak: true, ..Wanted::versioned("gettid", "libc.so.6", "GLIBC_2.30") },
            Wanted::plain("helped"),
        ],
        data: b"\0/home/alice/src/case.c\0on workhorse\0".to_vec(),
        tls_bytes: 16,
        ..Library::new()
    }
}

fn needed() -> Library {
    Library {
        soname: Some("libhelp.so.1"),
        needed: vec!["libc.so.6", "libcase.so"],
        rpath: Some("$ORIGIN/../lib"),
        exports: vec![
            Definition::function("help").in_version("HELP_1"),
            Definition::function("helped").in_version("HELP_2"),
        ],
        wanted: vec![
            Wanted::versioned("memcpy", "libc.so.6", "GLIBC_2.14"),
            Wanted::versioned("add", "libcase.so", "CASE_1"),
        ],
        ..Library::new()
    }
}

#[cfg(test)]
mod tests {
    /// What the fuzzer changes is a library that has nothing unreadable.
    #[test]
    fn the_libraries_are_good_before_they_are_changed() {
        for library in [super::needing(), super::needed()] {
            hoist_elf::ElfFacts::read(&library.build()).expect("it is whole");
        }
        super::dependencies(&[]);
    }
}
