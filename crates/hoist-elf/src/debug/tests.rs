//! Information that is made to waste time or memory is read as far as the work allows.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gimli::RunTimeEndian;

use super::error::DebugError;
use super::exports::{Index, find_exports};
use super::sections::DebugSections;
use super::units::{EntryAt, Units};
use crate::spec::SHF_COMPRESSED;
use crate::symbols::{Binding, Place, Symbol, SymbolKind, Visibility};

const COMPILE_UNIT: u8 = 0x11;
const NAMESPACE: u8 = 0x39;
const SUBPROGRAM: u8 = 0x2e;

/// Attributes with the form that they have in these tests.
const NAME: [u8; 2] = [0x03, 0x08]; // DW_FORM_string
const FAR_NAME: [u8; 2] = [0x03, 0x0e]; // DW_FORM_strp
const LOW_PC: [u8; 2] = [0x11, 0x01]; // DW_FORM_addr
const EXTERNAL: [u8; 2] = [0x3f, 0x19]; // DW_FORM_flag_present

/// DWARF 4 of one unit.
#[derive(Default)]
struct Written {
    /// Tables of abbreviations; their codes are 1, 2 and so on.
    kinds: Vec<u8>,
    count: u8,
    entries: Vec<u8>,
    texts: Vec<u8>,
}

impl Written {
    fn new() -> Self {
        let mut written = Self::default();
        let unit = written.kind(COMPILE_UNIT, true, &[]);
        written.entries.push(unit);
        written
    }

    /// Adds a kind of entries; gives its code.
    fn kind(&mut self, tag: u8, has_children: bool, attributes: &[[u8; 2]]) -> u8 {
        self.count += 1;
        self.kinds.extend([self.count, tag, u8::from(has_children)]);
        self.kinds.extend(attributes.iter().flatten());
        self.kinds.extend([0, 0]);
        self.count
    }

    fn sections(&self) -> DebugSections<'_> {
        let mut info = u32::try_from(self.entries.len() + 7).unwrap().to_le_bytes().to_vec();
        info.extend([4, 0, 0, 0, 0, 0, 8]);
        info.extend(&self.entries);
        let kinds = [&*self.kinds, &[0]].concat();
        let sections = vec![
            (".debug_info", Cow::Owned(info)),
            (".debug_abbrev", Cow::Owned(kinds)),
            (".debug_str", Cow::Borrowed(&*self.texts)),
        ];
        DebugSections { sections }
    }

    /// Looks for `exports`, and then does more with what was found.
    fn find<T>(
        &self,
        exports: &[Symbol],
        then: impl FnOnce(&Units<'_>, &Index) -> T,
    ) -> (T, Option<DebugError>) {
        let sections = self.sections();
        let (units, damage) = Units::read(&sections, RunTimeEndian::Little);
        assert_eq!(damage, None);
        let exports: Vec<&Symbol> = exports.iter().collect();
        let (index, damage) = find_exports(&units, &exports, !0);
        (then(&units, &index), damage)
    }
}

fn function(name: &str, address: u64) -> Symbol {
    Symbol {
        name: Arc::from(name),
        version: None,
        is_version_hidden: false,
        binding: Binding::Global,
        visibility: Visibility::Default,
        kind: SymbolKind::Function,
        place: Place::Code,
        value: address,
        size_bytes: 8,
    }
}

fn is_too_much(damage: Option<&DebugError>) -> bool {
    matches!(damage, Some(DebugError::TooMuchWork { .. }))
}

/// So many functions at one address, called `f0`, `f1` and so on.
fn at_one_address(count: u32) -> Written {
    let mut written = Written::new();
    let code = written.kind(SUBPROGRAM, false, &[LOW_PC, NAME]);
    for number in 0..count {
        written.entries.push(code);
        written.entries.extend(0x1000_u64.to_le_bytes());
        written.entries.extend(format!("f{number}\0").as_bytes());
    }
    written
}

#[test]
fn functions_at_one_address_are_told_apart_by_their_names() {
    let aliases: Vec<Symbol> =
        [3, 9, 1].iter().map(|number| function(&format!("f{number}"), 0x1000)).collect();
    let (offsets, damage) = at_one_address(5).find(&aliases, |_, index| {
        [0, 1, 2].map(|export| index.entries.get(&export).map(|at| at.offset))
    });
    assert_eq!(damage, None);
    // Every entry is 12 bytes long, and the first is behind 11 of the unit and 1 of its own entry.
    let first = 12;
    assert_eq!(offsets, [Some(first + 3 * 12), Some(first), Some(first + 12)]);
}

#[test]
fn many_functions_at_one_address_with_many_names_are_too_much_work() {
    let aliases: Vec<Symbol> =
        (0..1000).map(|number| function(&format!("alias{number}"), 0x1000)).collect();
    let ((), damage) = at_one_address(100).find(&aliases, |_, _| ());
    assert_eq!(damage, None);
    let ((), damage) = at_one_address(20_000).find(&aliases, |_, _| ());
    assert!(is_too_much(damage.as_ref()), "{damage:?}");
}

#[test]
fn attributes_that_take_no_space_are_work() {
    let find = |attributes| {
        let mut written = Written::new();
        let code = written.kind(SUBPROGRAM, false, &vec![EXTERNAL; attributes]);
        written.entries.extend([code].repeat(2000));
        written.find(&[function("f", 0x1000)], |_, _| ()).1
    };
    assert_eq!(find(10), None);
    let damage = find(50_000);
    assert!(is_too_much(damage.as_ref()), "{damage:?}");
}

#[test]
fn a_text_without_an_end_nearby_is_work() {
    let find = |bytes| {
        let mut written = Written::new();
        let code = written.kind(SUBPROGRAM, false, &[EXTERNAL, FAR_NAME]);
        written.entries.extend([code, 0, 0, 0, 0].repeat(1000));
        written.texts = vec![b'a'; bytes];
        written.texts.push(0);
        written.find(&[function("f", 0x1000)], |_, _| ()).1
    };
    assert_eq!(find(1000), None);
    let damage = find(1 << 20);
    assert!(is_too_much(damage.as_ref()), "{damage:?}");
}

#[test]
fn namespaces_count_up_to_a_depth_and_their_names_are_work() {
    let mut written = Written::new();
    let code = written.kind(NAMESPACE, true, &[NAME]);
    for _ in 0..1000 {
        written.entries.push(code);
        written.entries.extend([b'n'; 100]);
        written.entries.push(0);
    }
    let inside = EntryAt { unit: 0, offset: written.entries.len() + 10 };
    let ((first, calls), damage) = written.find(&[function("f", 0x1000)], |units, index| {
        let first = index.scope_of(units, inside).unwrap();
        let calls = (0..10_000).take_while(|_| index.scope_of(units, inside).is_ok()).count();
        (first, calls)
    });
    assert_eq!(damage, None);
    assert_eq!(first, format!("{}::", "n".repeat(100)).repeat(64));
    assert!((100..1000).contains(&calls), "{calls}");
}

/// A file whose sections of these names all lie in the same compressed bytes.
fn sharing_bytes(names: &[&str], size_bytes: usize) -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; size_bytes]).unwrap();
    let mut packed = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &(size_bytes as u64).to_le_bytes()].concat();
    packed.extend(1_u64.to_le_bytes());
    packed.extend(encoder.finish().unwrap());
    let mut texts = vec![0];
    let mut sections = vec![(0, 0, 0, 0, 0)];
    for name in names {
        let contents = (SHF_COMPRESSED, HEADER_BYTES, packed.len());
        sections.push((texts.len(), 1_u32, contents.0, contents.1, contents.2));
        texts.extend(name.as_bytes());
        texts.push(0);
    }
    sections.push((0, 3, 0, HEADER_BYTES + packed.len(), texts.len()));
    let table = HEADER_BYTES + packed.len() + texts.len();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    file.resize(40, 0);
    file.extend((table as u64).to_le_bytes());
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0]);
    for number in [sections.len(), sections.len() - 1] {
        file.extend(u16::try_from(number).unwrap().to_le_bytes());
    }
    file.extend(packed);
    file.extend(texts);
    for (name, kind, flags, offset, size) in sections {
        file.extend(u32::try_from(name).unwrap().to_le_bytes());
        file.extend(kind.to_le_bytes());
        for field in [flags, 0, offset as u64, size as u64, 0, 0, 0] {
            file.extend(field.to_le_bytes());
        }
    }
    file
}

#[test]
fn sections_in_the_same_compressed_bytes_have_one_limit() {
    let mebibyte = 1 << 20;
    let one = sharing_bytes(&[".debug_info"], mebibyte);
    let read = DebugSections::read(&one).unwrap();
    assert_eq!(read.get(".debug_info").len(), mebibyte);
    let three = sharing_bytes(&[".debug_info", ".debug_abbrev", ".debug_str"], mebibyte);
    let refusal = DebugSections::read(&three).err();
    assert_eq!(refusal, Some(DebugError::TooLargeTogether { limit: 1 << 20 }));
}
