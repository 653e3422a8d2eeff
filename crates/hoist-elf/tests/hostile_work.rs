//! Small files that ask for much work: it stays in proportion to the file. The limits in seconds
//! are generous; what they are for took at least ten times as long.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::time::{Duration, Instant};

use hoist_elf::ElfFacts;
use hoist_elf::isa::{IsaSurvey, MOST_PATH};
use hoist_elf::testing::{Definition, Library};
use hoist_schema::manifest::IsaLevel;

const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_INIT: u64 = 12;

/// `vmulps zmm0, zmm0, zmm0; ret`.
const AVX512_FUNCTION: [u8; 7] = [0x62, 0xf1, 0x7c, 0x48, 0x59, 0xc0, 0xc3];

/// A library of one segment, which may be read and run: headers, tables, then code.
#[derive(Default)]
struct Hostile {
    code: Vec<u8>,
    /// Places of exported functions in the code, and their sizes in bytes.
    exports: Vec<(u64, u64)>,
    /// Whether the start of the code runs while the library is loaded.
    has_constructor: bool,
    /// How many segments of notes lie over the code.
    note_segments: usize,
}

impl Hostile {
    fn build(&self) -> Vec<u8> {
        let word = u64::to_le_bytes;
        let mut names = vec![0];
        let mut symbols = vec![0; 24];
        for (index, (place, size)) in self.exports.iter().enumerate() {
            symbols.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
            symbols.extend([0x12, 0, 1, 0]);
            symbols.extend([word(*place), word(*size)].concat());
            names.extend(format!("f{index}\0").bytes());
        }
        names.resize(names.len().next_multiple_of(8), 0);
        let count = u32::try_from(1 + self.exports.len()).unwrap();
        let chain = (0..count).map(|index| index.saturating_sub(1));
        let mut hash: Vec<u8> =
            [1, count, count - 1].into_iter().chain(chain).flat_map(u32::to_le_bytes).collect();
        hash.resize(hash.len().next_multiple_of(8), 0);

        let dynamic_at = 64 + 56 * (2 + self.note_segments) as u64;
        let dynamic_bytes = 16 * 7;
        let names_at = dynamic_at + dynamic_bytes;
        let symbols_at = names_at + names.len() as u64;
        let hash_at = symbols_at + symbols.len() as u64;
        let code_at = hash_at + hash.len() as u64;
        let total = code_at + self.code.len() as u64;
        for symbol in symbols.chunks_mut(24).skip(1) {
            let value = u64::from_le_bytes(symbol[8..16].try_into().unwrap());
            symbol[8..16].copy_from_slice(&word(value + code_at));
        }

        let program = |kind: u32, flags: u32, at: u64, length: u64, align: u64| {
            let words = [at, at, at, length, length, align].map(word);
            [&kind.to_le_bytes()[..], &flags.to_le_bytes(), words.as_flattened()].concat()
        };
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        bytes.extend([0, 64, 0].map(word).as_flattened());
        bytes.extend([0; 4]);
        let segments = u16::try_from(2 + self.note_segments).unwrap();
        bytes.extend([64, 56, segments, 0, 0, 0].map(u16::to_le_bytes).as_flattened());
        bytes.extend(program(1, 5, 0, total, 0x1000));
        bytes.extend(program(2, 4, dynamic_at, dynamic_bytes, 8));
        for _ in 0..self.note_segments {
            bytes.extend(program(4, 4, code_at, self.code.len() as u64, 4));
        }
        let init = if self.has_constructor { (DT_INIT, code_at) } else { (DT_NULL, 0) };
        for (tag, value) in [
            (DT_STRTAB, names_at),
            (DT_STRSZ, names.len() as u64),
            (DT_SYMTAB, symbols_at),
            (DT_SYMENT, 24),
            (DT_HASH, hash_at),
            init,
            (DT_NULL, 0),
        ] {
            bytes.extend([tag, value].map(word).as_flattened());
        }
        [bytes, names, symbols, hash, self.code.clone()].concat()
    }
}

/// Asserts that `work` takes less than `seconds`.
fn within<R>(seconds: u64, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(seconds), "it took {took:?}, wanted at most {seconds} s");
    result
}

fn survey<'a>(bytes: &'a [u8], facts: &ElfFacts) -> IsaSurvey<'a> {
    IsaSurvey::read(bytes, facts, IsaLevel::V1).unwrap().unwrap()
}

/// A call or jump over `distance` bytes behind it.
fn near(opcode: u8, distance: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(distance).unwrap().to_le_bytes();
    [opcode, a, b, c, d]
}

#[test]
fn a_library_without_code_is_looked_at_wholly() {
    let exports = vec![Definition::variable("table")];
    let bytes = Library { load_flags: [4, 4, 6], exports, ..Library::new() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    assert!(survey(&bytes, &facts).is_whole());
}

#[test]
fn functions_inside_each_other_are_not_looked_at_wholly() {
    // Each calls the one behind it, so that one after the other is found, and jumps to the end.
    let function = |index: usize| [near(0xe8, 5), near(0xe9, 10 * (999 - index))].concat();
    let mut code: Vec<u8> = (0..1000).flat_map(function).collect();
    code.resize(30_000, 0x90);
    code.push(0xc3);
    let bytes = Hostile { code, has_constructor: true, ..Hostile::default() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    assert!(!survey(&bytes, &facts).is_whole());
}

#[test]
fn segments_of_notes_over_the_same_bytes_are_read_once() {
    let library = Hostile { code: vec![0; 1 << 20], note_segments: 4000, ..Hostile::default() };
    let bytes = library.build();
    within(5, || ElfFacts::read(&bytes)).unwrap();
}

#[test]
fn functions_that_only_calls_show_are_looked_at_in_proportion() {
    // The constructor calls each of many functions, which are one byte each, the lowest first.
    const COUNT: usize = 60_000;
    let mut code = Vec::new();
    for index in 0..COUNT {
        let next = 5 * (index + 1);
        code.extend(near(0xe8, 5 * COUNT + 1 + index - next));
    }
    code.resize(code.len() + 1 + COUNT, 0xc3);
    code.resize(16 << 20, 0);
    let bytes = Hostile { code, has_constructor: true, ..Hostile::default() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    assert!(within(5, || survey(&bytes, &facts)).is_whole());
}

#[test]
fn a_chain_of_functions_that_only_calls_show_is_looked_at_in_proportion() {
    // Each calls the one behind it, so that one after the other is found.
    let mut code: Vec<u8> = (0..50_000).flat_map(|_| [0xe8, 1, 0, 0, 0, 0xc3]).collect();
    code.resize(16 << 20, 0xc3);
    let bytes = Hostile { code, has_constructor: true, ..Hostile::default() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    assert!(within(5, || survey(&bytes, &facts)).is_whole());
}

#[test]
fn a_long_way_to_an_instruction_is_counted_and_its_start_named() {
    const COUNT: usize = 20_000;
    let mut code: Vec<u8> = (1..COUNT).flat_map(|_| near(0xe9, 0)).collect();
    let last = code.len() as u64;
    code.extend(AVX512_FUNCTION);
    let mut exports: Vec<(u64, u64)> = (0..last).step_by(5).map(|place| (place, 5)).collect();
    exports.push((last, 7));
    let bytes = Hostile { code, exports, ..Hostile::default() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    let survey = survey(&bytes, &facts);
    let needs: Vec<_> = within(5, || {
        facts.exports().map(|export| survey.needs_of(export.value).unguarded.unwrap()).collect()
    });
    for (index, evidence) in needs.iter().enumerate() {
        assert_eq!(evidence.path.len() + evidence.path_left_out, COUNT - index);
        assert_eq!(evidence.path.len(), MOST_PATH.min(COUNT - index));
        assert_eq!(evidence.path[0], format!("f{index}"));
    }
}

#[test]
fn functions_full_of_tests_are_looked_at_in_proportion() {
    // Behind each of 1500 tests may run all that follows, to the end of the function.
    const TESTS: usize = 1500;
    const TEST: [u8; 4] = [0x0f, 0xa2, 0x85, 0xc0]; // cpuid; test eax, eax
    let mut function = Vec::new();
    for index in 0..TESTS {
        function.extend(TEST);
        function.push(0x0f);
        function.extend(near(0x84, 10 * (TESTS - 1 - index) + 6)); // je to the `ret`
    }
    function.extend(AVX512_FUNCTION);
    let size = function.len() as u64;
    let exports = (0..12).map(|index| (index * size, size)).collect();
    let bytes = Hostile { code: function.repeat(12), exports, ..Hostile::default() }.build();
    let facts = ElfFacts::read(&bytes).unwrap();
    let survey = within(5, || survey(&bytes, &facts));
    let first = facts.exports().next().unwrap();
    let needs = survey.needs_of(first.value);
    assert!(needs.unguarded.is_none() && needs.guarded.is_some(), "{needs:?}");
}
