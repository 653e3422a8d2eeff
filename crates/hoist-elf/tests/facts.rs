//! Notes, relocations, start-up functions and instruction sets of small libraries that real
//! compilers made; `tests/fixtures/facts/make.sh` says how, and `readelf` and `nm` what is wanted.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::Path;

use hoist_elf::isa::{IsaSurvey, Need, Needs};
use hoist_elf::{ElfFacts, RelocationCounts};
use hoist_schema::manifest::IsaLevel;

fn library(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/facts");
    fs::read(folder.join(name).with_extension("so")).unwrap()
}

fn facts(name: &str) -> ElfFacts {
    ElfFacts::read(&library(name)).unwrap()
}

/// What the export `name` of a library needs above x86-64-v2.
fn needs(file: &str, name: &str) -> Needs {
    let bytes = library(file);
    let facts = ElfFacts::read(&bytes).unwrap();
    let survey = IsaSurvey::read(&bytes, &facts, IsaLevel::V2).unwrap().unwrap();
    assert!(survey.is_whole());
    let export = facts.exports().find(|export| &*export.name == name).unwrap();
    survey.needs_of(export.value)
}

#[test]
fn notes_are_read_through_program_headers() {
    let noted = facts("noted").notes;
    assert_eq!(noted.build_id.as_deref(), Some(&[0x00, 0x11, 0x22, 0x33][..]));
    assert_eq!(noted.x86_features, Some(3));
    assert_eq!(noted.isa_needed, None);
    assert_eq!(facts("level").notes.isa_needed, Some(4));
    assert_eq!(facts("plain").notes.build_id, None);
}

#[test]
fn relocations_are_counted_by_kind_on_every_machine() {
    let none = RelocationCounts::default();
    let pointers =
        RelocationCounts { relative: 3, symbol_address: 7, jump_slot: 1, ..none.clone() };
    for name in ["pointers", "pointers_i386", "pointers_aarch64"] {
        assert_eq!(facts(name).relocations, pointers, "{name}");
    }
    let tls = facts("tls").relocations;
    assert_eq!((tls.static_tls, tls.jump_slot, tls.other), (1, 1, 2));
    assert_eq!(facts("ifunc").relocations, RelocationCounts { resolver: 1, ..none.clone() });
    assert_eq!(facts("packed").relocations, RelocationCounts { relative: 42, ..none });
}

#[test]
fn start_up_functions_are_found_through_relocations() {
    let calls = facts("startup").loader_calls;
    assert_eq!(calls.constructors, [0x370, 0x310, 0x320]);
    assert_eq!(calls.destructors, [0x2c0, 0x380]);
    assert_eq!(facts("ifunc").loader_calls.resolvers, [0x2d0]);
}

#[test]
fn evidence_names_the_instruction_and_the_way_to_it() {
    let found = needs("startup", "second");
    assert_eq!((&found.unguarded, &found.guarded), (&None, &None));
    let found = needs("avx512", "scale").unguarded.unwrap();
    assert_eq!(found.need, Need::Level(IsaLevel::V4));
    assert_eq!((&*found.feature, &found.path[..]), ("AVX512F", &["scale".to_owned()][..]));
    let found = needs("bare", "scale").unguarded.unwrap();
    assert_eq!((found.need, &*found.mnemonic), (Need::Level(IsaLevel::V3), "vaddps"));
    assert_eq!(found.path.len(), 2, "{found:?}");
}

#[test]
fn a_test_guards_what_runs_behind_it() {
    for (file, export) in [("cpuid", "scale"), ("ifunc", "scale"), ("ifunc", "outer")] {
        let found = needs(file, export);
        assert_eq!(found.unguarded, None, "{file}: {export}");
        let guarded = found.guarded.unwrap();
        assert_eq!(guarded.need, Need::Level(IsaLevel::V3), "{file}: {export}");
    }
}

#[test]
fn only_x86_64_is_disassembled() {
    for name in ["pointers_i386", "pointers_aarch64"] {
        let bytes = library(name);
        let facts = ElfFacts::read(&bytes).unwrap();
        assert!(IsaSurvey::read(&bytes, &facts, IsaLevel::V1).unwrap().is_none(), "{name}");
    }
}
