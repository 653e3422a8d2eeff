//! Any bytes are read or refused: no panic, no endless walk, no memory out of proportion.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::fs;
use std::path::Path;

use hoist_elf::edit::{self, Edit, EditError, split_debug, verify_edit};
use hoist_elf::testing::{Library, Wanted};
use hoist_elf::{ElfFacts, find_local_symbol};
use proptest::prelude::*;

#[expect(unreachable_pub, reason = "the fuzz target calls it, too")]
#[path = "../../../fuzz/src/check_elf/library.rs"]
mod library;
#[expect(unreachable_pub, reason = "the fuzz target calls it, too")]
#[path = "../../../fuzz/src/check_elf/rewrite.rs"]
mod rewrite;

const SMALL: &[u8] = include_bytes!("fixtures/small.so");
const MOJO: &[u8] = include_bytes!("fixtures/nearest.so");

const WITH_DEBUG: &[u8] = include_bytes!("fixtures/debug/gcc-dwarf5.so");

/// Reads `bytes` in every way; a panic fails the test.
fn read_all(bytes: &[u8]) {
    if let Ok(facts) = ElfFacts::read(bytes) {
        assert!(facts.symbols.len() <= bytes.len() / 16);
    }
    library::library(bytes);
}

/// Libraries with every kind of relocation, note, start-up function and unwinding record.
fn kinds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/facts");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "so"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Numbers that break arithmetic more often than random ones do.
fn awkward() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 15),
        Just(0x7fff_ffff_ffff_ff00),
        Just(0xffff_ffff),
        Just(0x8000_0000_0000_0000),
        0..0x4000_u64,
        any::<u64>(),
    ]
}

/// A place, mostly among headers and tables, and what to write there: 1, 2, 4 or 8 bytes.
fn edits(length: usize) -> impl Strategy<Value = Vec<(usize, u64, u32)>> {
    let place = prop_oneof![3 => 0..0x800_usize, 1 => 0..length];
    prop::collection::vec((place, awkward(), 0..4_u32), 1..5)
}

fn edited(original: &[u8], edits: &[(usize, u64, u32)]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for &(at, value, width) in edits {
        let width = 1 << width;
        let at = (at - at % width).min(bytes.len() - width);
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
    bytes
}

#[test]
fn the_fixture_is_whole() {
    let facts = ElfFacts::read(SMALL).unwrap();
    assert!(facts.exports().any(|export| &*export.name == "small_root"));
    assert!(find_local_symbol(SMALL, "kept_inside").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn any_header_is_read_or_refused(
        class in 0..4_u8,
        order in 0..4_u8,
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let head = [0x7f, b'E', b'L', b'F', class, order, 1];
        read_all(&[&head[..], &rest].concat());
    }

    #[test]
    fn a_damaged_library_is_read_or_refused(edits in edits(SMALL.len())) {
        read_all(&edited(SMALL, &edits));
    }

    #[test]
    fn a_cut_library_is_read_or_refused(length in 0..SMALL.len()) {
        read_all(&SMALL[..length]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_library_of_any_kind_is_read_or_refused(
        (bytes, edits) in prop::sample::select(kinds())
            .prop_flat_map(|bytes| { let length = bytes.len(); (Just(bytes), edits(length)) }),
    ) {
        read_all(&edited(&bytes, &edits));
    }
}

proptest! {
    #[test]
    fn a_damaged_library_without_sections_is_read_or_refused(edits in edits(0x800)) {
        let wanted = vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")];
        let library = Library { wanted, ..Library::new() };
        read_all(&edited(&library.build(), &edits));
    }
}

/// Edits `bytes` in several ways: what comes out was asked for, or there is an error.
fn edit_all(bytes: &[u8]) {
    for edits in [
        vec![Edit::Runpath(None)],
        vec![Edit::Runpath(Some("/somewhere/else".repeat(9)))],
        vec![Edit::Soname("libnew.so".to_owned()), Edit::BindNow],
        vec![Edit::AddNeeded("libm.so.6".to_owned()), Edit::NonExecutableStack],
    ] {
        if let Ok(edited) = edit::rewrite(bytes, &edits) {
            verify_edit(bytes, &edited, &edits).expect("an edit verifies itself");
            let most = 2 * bytes.len() + (2 << 20);
            assert!(edited.bytes.len() < most, "{} from {}", edited.bytes.len(), bytes.len());
        }
    }
    if let Ok(split) = split_debug(bytes, "x.debug") {
        let most = bytes.len() + (2 << 20);
        let (library, debug) = (split.library.len(), split.debug.len());
        assert!(library < most && debug < most, "{library} and {debug} from {}", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_library_is_edited_or_refused(edits in edits(SMALL.len())) {
        edit_all(&edited(SMALL, &edits));
    }

    #[test]
    fn a_damaged_library_of_mojo_is_edited_or_refused(edits in edits(MOJO.len())) {
        edit_all(&edited(MOJO, &edits));
    }

    #[test]
    fn any_bytes_are_edited_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        edit_all(&bytes);
    }
}

/// Asks the same as the fuzz target, of libraries with a byte changed or without their end.
#[test]
fn neighbours_of_the_fixtures_are_edited_or_refused() {
    for library in [SMALL, MOJO] {
        for kind in 0..8 {
            let mut seed = [&[kind, 7], "$ORIGIN".as_bytes(), library].concat();
            rewrite::rewrite(&seed);
            let step = 67 + usize::from(kind); // other places for each kind
            for place in (0..seed.len()).step_by(step) {
                rewrite::rewrite(&seed[..place]);
                seed[place] ^= 0x81;
                rewrite::rewrite(&seed);
                seed[place] ^= 0x81;
            }
        }
    }
}

/// A library with debug information that each of `count` sections of `kind` claims, too.
fn claimed_often(count: u16, kind: u32) -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    let mut bytes = WITH_DEBUG.to_vec();
    let word = |bytes: &[u8], at: usize| {
        usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
    };
    let half = |bytes: &[u8], at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let (table, old) = (word(&bytes, 40), half(&bytes, 60));
    let headers = bytes[table..table + usize::from(old) * HEADER_BYTES].to_vec();
    // All of the largest section that is not loaded.
    let largest = headers.chunks(HEADER_BYTES).filter(|header| word(header, 8) & 2 == 0);
    let mut copy = largest.max_by_key(|header| word(header, 32)).unwrap().to_vec();
    copy[..4].fill(0); // another name: it is not among what goes
    copy[4..8].copy_from_slice(&kind.to_le_bytes());
    let at = bytes.len().next_multiple_of(8);
    bytes.resize(at, 0);
    bytes.extend(headers);
    bytes.extend(copy.repeat(usize::from(count)));
    bytes[40..48].copy_from_slice(&(at as u64).to_le_bytes());
    bytes[60..62].copy_from_slice(&(old + count).to_le_bytes());
    bytes
}

/// `SHT_PROGBITS`, `SHT_SYMTAB` and `SHT_DYNSYM`.
#[test]
fn sections_over_the_same_bytes_are_not_copied_one_by_one() {
    split_debug(WITH_DEBUG, "x.debug").unwrap();
    for kind in [1, 2, 11] {
        split_debug(&claimed_often(0, kind), "x.debug").unwrap();
        let claimed = claimed_often(2000, kind);
        let refusal = split_debug(&claimed, "x.debug").map(drop).unwrap_err();
        assert!(matches!(refusal, EditError::Overlap { .. }), "{kind}: {refusal}");
        edit_all(&claimed);
    }
}
