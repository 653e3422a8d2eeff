//! Edits of small libraries: what they change, where it lies, and what they refuse.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use hoist_elf::edit::{
    Edit, EditError, Layout, Rewritten, debug_link_crc, rewrite, split_debug, verify_edit,
};
use hoist_elf::testing::{Definition, Library, Wanted};
use hoist_elf::{ElfFacts, Machine, SegmentKind};
use proptest::prelude::*;

const SMALL: &[u8] = include_bytes!("fixtures/small.so");
const MOJO: &[u8] = include_bytes!("fixtures/nearest.so");

fn library() -> Library {
    Library {
        needed: vec!["libc.so.6", "/home/ci/lib/libdep.so"],
        runpath: Some("/home/ci/lib"),
        wanted: vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")],
        ..Library::new()
    }
}

fn runpath(text: &str) -> Edit {
    Edit::Runpath(Some(text.to_owned()))
}

fn facts(bytes: &[u8]) -> ElfFacts {
    ElfFacts::read(bytes).unwrap()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_fits_is_made_in_place() {
    let bytes = library().build();
    for (edit, expected) in
        [(Edit::Runpath(None), None), (runpath("$ORIGIN"), Some("$ORIGIN".to_owned()))]
    {
        let edited = rewrite(&bytes, &[edit]).unwrap();
        assert_eq!(edited.layout, Layout::InPlace);
        assert_eq!(edited.bytes.len(), bytes.len());
        assert_eq!(facts(&edited.bytes).dynamic.runpath, expected);
        // `/home/ci/lib` alone: the needed library's path starts like it.
        assert!(!has(&edited.bytes, "\0/home/ci/lib\0"));
        let changed: u64 = edited.changed.iter().map(|range| range.end - range.start).sum();
        assert!(changed < 300, "{:?}", edited.changed);
    }
}

#[test]
fn what_is_so_already_changes_nothing() {
    let bytes = Library { runpath: Some("$ORIGIN"), flags: 8, ..library() }.build();
    let edits = [
        runpath("$ORIGIN"),
        Edit::Soname("libcase.so".to_owned()),
        Edit::BindNow,
        Edit::AddNeeded("libc.so.6".to_owned()),
        Edit::NonExecutableStack,
    ];
    let edited = rewrite(&bytes, &edits).unwrap();
    assert_eq!(edited, Rewritten { bytes, changed: Vec::new(), layout: Layout::InPlace });
}

#[test]
fn rpath_becomes_runpath_and_both_become_one() {
    for (old, rpath) in [(None, Some("$ORIGIN/x")), (Some("/opt/y"), Some("$ORIGIN/x"))] {
        let bytes = Library { runpath: old, rpath, ..library() }.build();
        let edited = rewrite(&bytes, &[runpath("$ORIGIN/x")]).unwrap();
        assert_eq!(edited.layout, Layout::InPlace);
        let dynamic = facts(&edited.bytes).dynamic;
        assert_eq!((dynamic.runpath.as_deref(), dynamic.rpath), (Some("$ORIGIN/x"), None));
        let none = rewrite(&bytes, &[Edit::Runpath(None)]).unwrap();
        assert_eq!(facts(&none.bytes).dynamic.runpath, None);
    }
}

#[test]
fn a_name_that_is_shared_is_not_written_over() {
    // The string table ends with the RUNPATH; let the SONAME point to its end.
    let bytes = Library { soname: Some("ci/lib"), ..library() }.build();
    let table = |bytes: &[u8], text: &str| {
        let at = bytes.windows(text.len()).position(|it| it == text.as_bytes()).unwrap();
        at as u64 - bytes.windows(10).position(|it| it == b"\0libc.so.6").unwrap() as u64
    };
    let shared = table(&bytes, "\0/home/ci/lib\0") + 1 + "/home/".len() as u64;
    let own = table(&bytes, "\0ci/lib\0") + 1;
    let mut bytes = bytes;
    let start =
        usize::try_from(facts(&bytes).segment(SegmentKind::Dynamic).unwrap().offset).unwrap();
    let entry = [14_u64.to_le_bytes(), own.to_le_bytes()].concat();
    let at = bytes[start..].windows(16).position(|it| it == entry).unwrap() + start + 8;
    bytes[at..at + 8].copy_from_slice(&shared.to_le_bytes());
    assert_eq!(facts(&bytes).dynamic.soname.as_deref(), Some("ci/lib"));

    let deleted = rewrite(&bytes, &[Edit::Runpath(None)]).unwrap();
    assert_eq!(facts(&deleted.bytes).dynamic.soname.as_deref(), Some("ci/lib"));
    assert!(has(&deleted.bytes, "/home/ci/lib\0"), "its bytes are another name's");
    let shortened = rewrite(&bytes, &[runpath("$ORIGIN")]).unwrap();
    assert_eq!(shortened.layout, Layout::GrownSegment, "there is no room of its own");
    assert_eq!(facts(&shortened.bytes).dynamic.soname.as_deref(), Some("ci/lib"));
}

#[test]
fn what_does_not_fit_makes_the_last_segment_grow() {
    let bytes = library().build();
    let long = "/nix/store/".to_owned() + &"x".repeat(4000);
    let edited = rewrite(&bytes, &[runpath(&long)]).unwrap();
    assert_eq!(edited.layout, Layout::GrownSegment);
    let (before, after) = (facts(&bytes), facts(&edited.bytes));
    assert_eq!(after.dynamic.runpath, Some(long));
    assert_eq!(after.segments.len(), before.segments.len());
    assert_eq!(after.loads().next(), before.loads().next(), "others stay as they are");
    // The next one is put behind it: the table is not copied again.
    let longer = "/nix/store/".to_owned() + &"y".repeat(5000);
    let again = rewrite(&edited.bytes, &[runpath(&longer)]).unwrap();
    assert!(again.bytes.len() - edited.bytes.len() < 5100);
}

/// patchelf#639: what follows the program headers is never written over.
#[test]
fn a_last_segment_that_cannot_grow_gets_a_neighbour() {
    for page_bytes in [0x1000, 0x4000, 0x1_0000] {
        let load_flags = [4, 6, 5]; // the last one runs
        let bytes = Library { load_flags, page_bytes, ..library() }.build();
        let edits = [runpath(&"/far".repeat(50)), Edit::AddNeeded("libm.so.6".to_owned())];
        let edited = rewrite(&bytes, &edits).unwrap();
        assert_eq!(edited.layout, Layout::NewSegment);
        let (before, after) = (facts(&bytes), facts(&edited.bytes));
        assert_eq!(after.segments.len(), before.segments.len() + 1);
        let new = after.loads().last().unwrap();
        assert_eq!(new.align, page_bytes);
        assert_eq!(new.offset % page_bytes, new.address % page_bytes);
        assert!(new.is_writable() && !new.is_executable());
        // The old program headers are as they were, and the symbol table behind them, too.
        let end = 64 + before.segments.len() * 56 + 72;
        assert!(edited.bytes[64..end] == bytes[64..end]);
        let moved = after.segment(SegmentKind::Dynamic).unwrap();
        assert!(new.holds(moved.address));
    }
}

#[test]
fn a_spare_program_header_is_used_before_the_table_moves() {
    let bytes = Library { load_flags: [4, 6, 5], interpreter: None, ..library() }.build();
    // PT_GNU_RELRO, the last one, becomes PT_NULL.
    let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    let mut bytes = bytes;
    bytes[64 + (count - 1) * 56..][..4].fill(0);
    let edited = rewrite(&bytes, &[runpath(&"/far".repeat(50))]).unwrap();
    assert_eq!(edited.layout, Layout::NewSegment);
    assert_eq!(edited.bytes[32..40], bytes[32..40], "the table is where it was");
    assert_eq!(edited.bytes[56..58], bytes[56..58], "with as many entries");
}

#[test]
fn needed_libraries_are_renamed_with_the_versions_that_are_wanted_of_them() {
    let bytes = library().build();
    let replace = |from: &str, to: &str| Edit::ReplaceNeeded { from: from.into(), to: to.into() };
    let edits = [
        replace("libc.so.6", "libc-1a2b3c4d.so.6"),
        replace("/home/ci/lib/libdep.so", "libdep.so"),
    ];
    let after = facts(&rewrite(&bytes, &edits).unwrap().bytes);
    assert_eq!(after.dynamic.needed, ["libc-1a2b3c4d.so.6", "libdep.so"]);
    assert_eq!(&*after.version_needs[0].library, "libc-1a2b3c4d.so.6");
    // One that it needs already is not needed twice.
    let after = rewrite(&bytes, &[replace("/home/ci/lib/libdep.so", "libc.so.6")]).unwrap();
    assert_eq!(facts(&after.bytes).dynamic.needed, ["libc.so.6"]);
}

#[test]
fn flags_are_set_where_they_are() {
    let bytes = Library { flags: 0x10, ..library() }.build();
    let edited = rewrite(&bytes, &[Edit::BindNow]).unwrap();
    assert_eq!(facts(&edited.bytes).dynamic.flags, 0x18);
    assert_eq!(edited.changed.len(), 1);

    let bytes = Library { stack_flags: Some(7), ..library() }.build();
    let edited = rewrite(&bytes, &[Edit::NonExecutableStack]).unwrap();
    assert_eq!(facts(&edited.bytes).segment(SegmentKind::GnuStack).unwrap().flags, 6);
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let refusal = |library: &Library, edit: Edit| {
        let error = rewrite(&library.build(), &[edit]).unwrap_err();
        error.to_string()
    };
    let none = Edit::Runpath(None);
    let named = |name: &str| Edit::RemoveNeeded(name.to_owned());
    for (library, edit, expected) in [
        (
            Library { machine: Machine(8), ..library() },
            none.clone(),
            "libraries for machine 8 are not edited: its dynamic section may hold distances",
        ),
        (
            Library { file_type: 2, ..library() },
            none.clone(),
            "only shared libraries are edited, and this is Executable",
        ),
        (
            Library { dynamic: vec![(0x6fff_fdf5, 1)], ..library() },
            none,
            "it has DT_GNU_PRELINKED, which is only true of the bytes as they are",
        ),
        (library(), named("libm.so.6"), "it does not need `libm.so.6`"),
        (library(), named("libc.so.6"), "it wants versions of `libc.so.6`, so it must need it"),
        (library(), runpath(""), "`` cannot be a RUNPATH: it is empty"),
        (
            library(),
            runpath("a\0b"),
            "`a\\0b` cannot be a RUNPATH: it holds a zero byte, where a name ends",
        ),
        (
            Library { stack_flags: None, ..library() },
            Edit::NonExecutableStack,
            "it has no PT_GNU_STACK whose flags could be changed",
        ),
    ] {
        assert_eq!(refusal(&library, edit), expected);
    }
    assert!(matches!(rewrite(b"hello", &[]), Err(EditError::Unreadable(_))));
    assert_eq!(split_debug(SMALL, "x.debug"), Err(EditError::NoDebugInformation));
    assert_eq!(split_debug(&library().build(), "x.debug"), Err(EditError::NoDebugInformation));
}

#[test]
fn the_last_look_sees_a_byte_too_many() {
    let bytes = library().build();
    let edits = [Edit::Runpath(None)];
    let good = rewrite(&bytes, &edits).unwrap();
    verify_edit(&bytes, &good, &edits).unwrap();
    let spoil = |at: usize| {
        let mut bad = good.clone();
        bad.bytes[at] ^= 1;
        verify_edit(&bytes, &bad, &edits)
    };
    let code = 0x1_0000;
    assert!(matches!(spoil(code + 3), Err(EditError::Doubtful { .. })));
    assert!(verify_edit(&bytes, &good, &[runpath("$ORIGIN")]).is_err(), "not what was asked");
    let unchanged = Rewritten { bytes: bytes.clone(), ..good };
    assert!(verify_edit(&bytes, &unchanged, &edits).is_err());
}

/// What Mojo writes: a RUNPATH into a virtual environment, and no library that is looked for.
#[test]
fn the_library_of_mojo_loses_its_runpath_and_gets_a_name() {
    assert!(has(MOJO, "/home/builder/venv/"));
    let edits = [Edit::Runpath(None), Edit::BindNow, Edit::Soname("libnearest.so.1".to_owned())];
    let edited = rewrite(MOJO, &edits).unwrap();
    assert_eq!((edited.layout, edited.bytes.len()), (Layout::InPlace, MOJO.len()));
    assert!(!has(&edited.bytes, "/home/"));
    let dynamic = facts(&edited.bytes).dynamic;
    assert_eq!(dynamic.soname.as_deref(), Some("libnearest.so.1"));
    assert!(dynamic.binds_now() && dynamic.runpath.is_none());
}

#[test]
fn the_checksum_of_a_debug_file_is_that_of_zlib() {
    assert_eq!(debug_link_crc(b""), 0);
    assert_eq!(debug_link_crc(b"123456789"), 0xcbf4_3926);
}

/// Edits of any kind, with names that are short, long, shared or strange.
fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let name = prop_oneof![
        "[a-z$/.:+-]{1,12}",
        "[a-z/]{60,70}",
        Just("libc.so.6".to_owned()),
        Just("c.so.6".to_owned()),
        Just("add".to_owned()),
        Just("/home/ci/lib/libdep.so".to_owned()),
        Just("x".repeat(4000)),
    ];
    let edit = (0..7_u8, name.clone(), name).prop_map(|(kind, one, other)| match kind {
        0 => Edit::Runpath(None),
        1 => Edit::Soname(one),
        2 => Edit::ReplaceNeeded { from: one, to: other },
        3 => Edit::AddNeeded(one),
        4 => Edit::RemoveNeeded(one),
        5 => Edit::BindNow,
        _ => Edit::Runpath(Some(one)),
    });
    prop::collection::vec(edit, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Facts are those of the original but for the RUNPATH, whatever it is and was.
    #[test]
    fn any_runpath_changes_only_the_runpath(
        old in prop::option::of(Just("/home/ci/lib")),
        rpath in prop::option::of(Just("$ORIGIN/../lib")),
        new in prop::option::of("[ -~]{1,200}"),
        flags in prop::sample::select(vec![[4, 5, 6], [5, 4, 6], [4, 6, 5], [4, 5, 4]]),
        page_bytes in prop::sample::select(vec![1, 0x1000, 0x1_0000]),
        exports in 0..3_usize,
    ) {
        let names = ["add", "lib", "ci/lib"];
        let exports = names[..exports].iter().map(|name| Definition::function(name)).collect();
        let original =
            Library { runpath: old, rpath, load_flags: flags, page_bytes, exports, ..library() };
        let original = original.build();
        let edited = rewrite(&original, &[Edit::Runpath(new.clone())]).unwrap();
        let mut expected = facts(&original);
        let found = facts(&edited.bytes);
        expected.dynamic.runpath = new;
        expected.dynamic.rpath = None;
        prop_assert_eq!(&expected.dynamic, &found.dynamic);
        prop_assert_eq!(&expected.symbols, &found.symbols);
        prop_assert_eq!(&expected.version_needs, &found.version_needs);
    }

    /// Edits one after the other and all at once say the same, on libraries of any linker.
    #[test]
    fn edits_at_once_and_in_turn_say_the_same(
        edits in edits(),
        which in 0..3_usize,
    ) {
        let original = [library().build(), SMALL.to_vec(), MOJO.to_vec()][which].clone();
        let in_turn = edits.iter().try_fold(original.clone(), |bytes, edit| {
            rewrite(&bytes, std::slice::from_ref(edit)).map(|edited| edited.bytes)
        });
        match (rewrite(&original, &edits), in_turn) {
            (Ok(at_once), Ok(in_turn)) => {
                prop_assert_eq!(facts(&at_once.bytes).dynamic, facts(&in_turn).dynamic);
                let again = rewrite(&in_turn, &[]).unwrap();
                prop_assert_eq!(again.bytes, in_turn);
            }
            (Err(at_once), Err(in_turn)) => prop_assert_eq!(at_once, in_turn),
            (at_once, in_turn) => prop_assert!(false, "{at_once:?} {in_turn:?}"),
        }
    }
}
