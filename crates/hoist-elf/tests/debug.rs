//! Debug information of every form says the same; any bytes in its place are read or refused in
//! bounded time and memory.

#[expect(unreachable_pub, reason = "the fuzz targets call it, too")]
#[path = "../../../fuzz/src/check_elf/mod.rs"]
mod check_elf;

use std::collections::BTreeMap;

use hoist_elf::debug::{DebugError, Type, debug_summary, read_debug_info};
use hoist_elf::{ElfFacts, Place};
use proptest::prelude::*;

macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("fixtures/debug/", $name, ".so")))),*]
    };
}

const OF_C: &[(&str, &[u8])] = fixtures![
    "gcc-dwarf2",
    "gcc-dwarf3",
    "gcc-dwarf4",
    "gcc-dwarf4-units",
    "gcc-dwarf5",
    "gcc-dwarf5-units",
    "gcc-dwarf5-zlib",
    "gcc-dwarf5-zstd",
    "clang-dwarf4",
    "clang-dwarf5",
];

const OF_CPP: &[(&str, &[u8])] = fixtures!["gxx-dwarf4", "gxx-dwarf5", "clangxx-dwarf5"];

const SPLIT: &[u8] = include_bytes!("fixtures/debug/gcc-split.so");

/// Every export as a declaration.
fn declarations(bytes: &[u8]) -> BTreeMap<String, String> {
    let Ok(facts) = ElfFacts::read(bytes) else { return BTreeMap::new() };
    let Ok(info) = read_debug_info(bytes, &facts, |_| true) else { return BTreeMap::new() };
    let spell = |symbol: &hoist_elf::Symbol| {
        let name = symbol.name.to_string();
        let spelled = match symbol.place {
            Place::Code => info.types.spell_function(info.function(symbol)?, &name),
            _ => info.types.spell_as(info.variable(symbol)?, &name),
        };
        Some((name, spelled.replace("restrict", "")))
    };
    facts.exports().filter_map(spell).collect()
}

#[test]
fn every_form_says_the_same() {
    let wanted = [
        ("dot", "double dot(const float *, const float *, int64_t)"),
        ("middle", "point middle(point, point)"),
        ("print", "void print(const char *, ...)"),
        ("table", "struct node table[3]"),
        ("visit", "int32_t visit(struct node **, enum mode, callback)"),
    ];
    let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
    for (name, bytes) in OF_C {
        assert_eq!(declarations(bytes), wanted.clone().into(), "{name}");
        assert!(debug_summary(bytes).size_bytes > 500, "{name}");
    }
}

#[test]
fn fields_lie_where_the_compiler_put_them() {
    for (name, bytes) in OF_C {
        let facts = ElfFacts::read(bytes).unwrap();
        let info = read_debug_info(bytes, &facts, |symbol| &*symbol.name == "table").unwrap();
        let symbol = facts.exports().find(|symbol| &*symbol.name == "table").unwrap();
        let (_, Type::Array { of, .. }) = info.types.resolve(info.variable(symbol).unwrap()) else {
            panic!("{name}: no array");
        };
        let (_, Type::Composite(node)) = info.types.resolve(*of) else {
            panic!("{name}: no struct");
        };
        assert_eq!(node.size_bytes, Some(96), "{name}");
        let fields: Vec<_> = node
            .fields
            .iter()
            .map(|field| (field.name.as_deref().unwrap(), field.offset_bits, field.width_bits))
            .collect();
        let wanted = [
            ("next", 0, None),
            ("hidden", 64, None),
            ("low", 128, Some(3)),
            ("high", 131, Some(9)),
            ("weights", 192, None),
            ("mode", 704, None),
        ];
        assert_eq!(fields, wanted, "{name}");
        let (_, Type::Enum(mode)) = info.types.resolve(node.fields[5].kind) else {
            panic!("{name}: no enum");
        };
        let values = [("FAST".to_owned(), 1), ("EXACT".to_owned(), -2)];
        assert_eq!(mode.enumerators, values, "{name}");
        assert_eq!(info.types.size_bytes(node.fields[4].kind), Some(64), "{name}");
    }
}

#[test]
fn names_of_cpp_have_their_namespaces() {
    for (name, bytes) in OF_CPP {
        let found = declarations(bytes);
        let wanted = "int use(class search::Index &, nullptr_t)";
        let found = found["use"].replace("decltype(nullptr)", "nullptr_t");
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn information_in_another_file_is_told() {
    let facts = ElfFacts::read(SPLIT).unwrap();
    let info = read_debug_info(SPLIT, &facts, |_| true).unwrap();
    assert!(info.is_split);
    assert_eq!(declarations(SPLIT), BTreeMap::new());
}

#[test]
fn a_library_without_says_so() {
    let bytes = include_bytes!("fixtures/small.so");
    let facts = ElfFacts::read(bytes).unwrap();
    assert_eq!(read_debug_info(bytes, &facts, |_| true), Err(DebugError::Absent));
    assert_eq!(debug_summary(bytes).size_bytes, 0);
}

const HEADERS: [&str; 2] = [
    include_str!("../../../kernels/pattern-search/include/pattern_search.h"),
    include_str!("../../../kernels/message-router/include/message_router.h"),
];

#[test]
fn headers_of_the_kernels_keep_what_is_asked_of_any() {
    for header in HEADERS {
        for length in (0..=header.len()).filter(|length| header.is_char_boundary(*length)) {
            check_elf::header(&header.as_bytes()[..length]);
        }
    }
}

fn any_fixture() -> impl Strategy<Value = &'static [u8]> {
    let all: Vec<&'static [u8]> =
        OF_C.iter().chain(OF_CPP).map(|(_, bytes)| *bytes).chain([SPLIT]).collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_information_is_read_or_refused(
        original in any_fixture(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = original.to_vec();
        for (place, value) in edits {
            // The first part is what the loader reads, and tested elsewhere.
            let at = 0x400 + place.index(bytes.len() - 0x400);
            bytes[at] = value;
        }
        check_elf::dwarf(&bytes);
    }

    #[test]
    fn cut_information_is_read_or_refused(
        original in any_fixture(),
        length in any::<prop::sample::Index>(),
    ) {
        check_elf::dwarf(&original[..length.index(original.len())]);
    }
}
