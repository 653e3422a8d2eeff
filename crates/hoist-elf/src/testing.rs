//! Small shared libraries, written byte by byte: a test says what is in one and needs no compiler.
//!
//! ```
//! use hoist_elf::testing::{Definition, Library};
//! let bytes = Library { exports: vec![Definition::function("add")], ..Library::new() }.build();
//! let facts = hoist_elf::ElfFacts::read(&bytes)?;
//! assert_eq!(facts.exports().map(|export| &*export.name).collect::<Vec<_>>(), ["add"]);
//! # Ok::<(), hoist_elf::ElfError>(())
//! ```

use crate::hash::gnu_hash;
use crate::identity::Machine;
use crate::spec::{
    DT_FLAGS, DT_GNU_HASH, DT_HASH, DT_INIT_ARRAYSZ, DT_JMPREL, DT_NEEDED, DT_NULL, DT_PLTRELSZ,
    DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB, DT_VERDEF,
    DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM, ET_DYN, PT_DYNAMIC, PT_GNU_RELRO,
    PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_TLS,
};

/// What to write; [`Library::new`] is a good one for 64-bit little-endian x86.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one part that is there or not")]
#[expect(missing_docs, reason = "named after what they become in the file")]
pub struct Library {
    pub machine: Machine,
    pub os_abi: u8,
    pub file_type: u16,
    pub soname: Option<&'static str>,
    pub needed: Vec<&'static str>,
    pub runpath: Option<&'static str>,
    pub rpath: Option<&'static str>,
    pub interpreter: Option<&'static str>,
    pub exports: Vec<Definition>,
    pub wanted: Vec<Wanted>,
    /// `DT_FLAGS`; 8 binds every symbol when the library is loaded.
    pub flags: u64,
    /// More dynamic entries, tag and value.
    pub dynamic: Vec<(u64, u64)>,
    /// `p_flags` of the three segments: headers, code, data.
    pub load_flags: [u32; 3],
    /// `p_align` of the three segments.
    pub page_bytes: u64,
    /// `p_flags` of `PT_GNU_STACK`; absent when `None`.
    pub stack_flags: Option<u32>,
    pub has_relro: bool,
    /// Whether it has an entry that could be bound lazily.
    pub has_plt: bool,
    pub constructors: u64,
    /// Size of its thread-local block; absent when 0.
    pub tls_bytes: u64,
    /// Bytes that lie in the data segment.
    pub data: Vec<u8>,
    pub has_sysv_hash: bool,
    pub has_gnu_hash: bool,
}

/// A symbol that the library defines.
#[derive(Debug, Clone)]
pub struct Definition {
    name: &'static str,
    info: u8,
    visibility: u8,
    place: DefinedIn,
    version: Option<&'static str>,
    is_version_hidden: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DefinedIn {
    Code,
    Data,
    Absolute,
}

/// A symbol that the library wants from others.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named after what they become in the file")]
pub struct Wanted {
    pub name: &'static str,
    /// Library and version.
    pub version: Option<(&'static str, &'static str)>,
    pub is_weak: bool,
}

impl Definition {
    const fn global(name: &'static str, kind: u8, place: DefinedIn) -> Self {
        Self {
            name,
            info: 0x10 | kind,
            visibility: 0,
            place,
            version: None,
            is_version_hidden: false,
        }
    }

    /// A function.
    #[must_use]
    pub const fn function(name: &'static str) -> Self {
        Self::global(name, 2, DefinedIn::Code)
    }

    /// A variable.
    #[must_use]
    pub const fn variable(name: &'static str) -> Self {
        Self::global(name, 1, DefinedIn::Data)
    }

    /// A label in the code whose type is not said.
    #[must_use]
    pub const fn label(name: &'static str) -> Self {
        Self::global(name, 0, DefinedIn::Code)
    }

    /// A number.
    #[must_use]
    pub const fn absolute(name: &'static str) -> Self {
        Self::global(name, 0, DefinedIn::Absolute)
    }

    /// A function that a resolver chooses.
    #[must_use]
    pub const fn indirect_function(name: &'static str) -> Self {
        Self::global(name, 10, DefinedIn::Code)
    }

    /// A function with hidden visibility that is in the dynamic table all the same.
    #[must_use]
    pub const fn hidden_function(name: &'static str) -> Self {
        Self { visibility: 2, ..Self::function(name) }
    }
}

impl Definition {
    /// The same, defined in a version.
    #[must_use]
    pub const fn in_version(self, version: &'static str) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The same, defined in a version that only those find who ask for it.
    #[must_use]
    pub const fn in_hidden_version(self, version: &'static str) -> Self {
        Self { is_version_hidden: true, ..self.in_version(version) }
    }

    /// The same, with one instance in the whole process.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { info: 0xa0 | self.info & 0xf, ..self }
    }
}

impl Wanted {
    /// A strong symbol without a version.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self { name, version: None, is_weak: false }
    }

    /// A strong symbol in a version of a library.
    #[must_use]
    pub const fn versioned(
        name: &'static str,
        library: &'static str,
        version: &'static str,
    ) -> Self {
        Self { name, version: Some((library, version)), is_weak: false }
    }
}

impl Default for Library {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the code and data segments start, in the file and in memory. Not tied to
/// [`Library::page_bytes`], so that a test can ask for an alignment that does not fit.
const CODE_AT: u64 = 0x1_0000;
const DATA_AT: u64 = 0x2_0000;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;

impl Library {
    /// A library that no rule has anything against: one function `add`, hardened, for x86-64.
    #[must_use]
    pub fn new() -> Self {
        Self {
            machine: Machine::X86_64,
            os_abi: 0,
            file_type: ET_DYN,
            soname: Some("libcase.so"),
            needed: Vec::new(),
            runpath: None,
            rpath: None,
            interpreter: None,
            exports: vec![Definition::function("add")],
            wanted: Vec::new(),
            flags: 8,
            dynamic: Vec::new(),
            load_flags: [4, 5, 6],
            page_bytes: 0x1000,
            stack_flags: Some(6),
            has_relro: true,
            has_plt: false,
            constructors: 0,
            tls_bytes: 0,
            data: Vec::new(),
            has_sysv_hash: true,
            has_gnu_hash: true,
        }
    }

    /// The file's bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut strings = StringTable(vec![0]);
        let mut parts = Parts { bytes: Vec::new(), start: self.headers_bytes() };
        let mut dynamic: Vec<(u64, u64)> = Vec::new();

        let interpreter = self.interpreter.map(|path| {
            let text = [path.as_bytes(), b"\0"].concat();
            (parts.put(&text), text.len() as u64)
        });
        dynamic.extend(self.needed.iter().map(|name| (DT_NEEDED, strings.add(name))));
        for (tag, text) in
            [(DT_SONAME, self.soname), (DT_RPATH, self.rpath), (DT_RUNPATH, self.runpath)]
        {
            dynamic.extend(text.map(|text| (tag, strings.add(text))));
        }
        let symbols = self.symbols(&mut strings);
        dynamic.push((DT_SYMTAB, parts.put(&symbols)));
        dynamic.push((DT_SYMENT, 24));
        if self.has_sysv_hash {
            dynamic.push((DT_HASH, parts.put(&self.sysv_hash())));
        }
        if self.has_gnu_hash {
            dynamic.push((DT_GNU_HASH, parts.put(&self.gnu_hash())));
        }
        let (mut indices, needs, need_count) = self.needed_versions(&mut strings);
        let definitions = self.defined_versions(&mut strings, need_count, &mut indices);
        if need_count + definitions.len() as u64 > 0 {
            dynamic.push((DT_VERSYM, parts.put(&indices)));
        }
        if need_count > 0 {
            dynamic.push((DT_VERNEED, parts.put(&needs)));
            dynamic.push((DT_VERNEEDNUM, need_count));
        }
        if !definitions.is_empty() {
            dynamic.push((DT_VERDEF, parts.put(&definitions.concat())));
            dynamic.push((DT_VERDEFNUM, definitions.len() as u64));
        }
        dynamic.push((DT_STRSZ, strings.0.len() as u64));
        dynamic.push((DT_STRTAB, parts.put(&strings.0)));
        dynamic.push((DT_FLAGS, self.flags));
        if self.has_plt {
            dynamic.extend([(DT_JMPREL, DATA_AT), (DT_PLTRELSZ, 0)]);
        }
        if self.constructors > 0 {
            dynamic.push((DT_INIT_ARRAYSZ, self.constructors * 8));
        }
        dynamic.extend(&self.dynamic);
        dynamic.push((DT_NULL, 0));
        self.assemble(&parts.bytes, &dynamic, interpreter)
    }

    fn headers_bytes(&self) -> usize {
        let optional = [
            self.interpreter.is_some(),
            self.stack_flags.is_some(),
            self.has_relro,
            self.tls_bytes > 0,
        ];
        let count = 4 + optional.iter().filter(|&&is_there| is_there).count();
        HEADER_BYTES + count * PROGRAM_HEADER_BYTES
    }

    fn assemble(
        &self,
        tables: &[u8],
        dynamic: &[(u64, u64)],
        interpreter: Option<(u64, u64)>,
    ) -> Vec<u8> {
        let start = self.headers_bytes();
        let tables_end = (start + tables.len()) as u64;
        let dynamic: Vec<u8> =
            dynamic.iter().flat_map(|&(tag, value)| words(&[tag, value])).collect();
        let dynamic_bytes = dynamic.len() as u64;
        let data_bytes = dynamic_bytes + self.data.len() as u64;
        let [headers, code, data] = self.load_flags;
        let align = self.page_bytes;
        let mut programs = vec![
            program(PT_LOAD, headers, 0, tables_end, align),
            program(PT_LOAD, code, CODE_AT, 16, align),
            program(PT_LOAD, data, DATA_AT, data_bytes, align),
            program(PT_DYNAMIC, 6, DATA_AT, dynamic_bytes, 8),
        ];
        if let Some((at, length)) = interpreter {
            programs.push(program(PT_INTERP, 4, at, length, 1));
        }
        if let Some(flags) = self.stack_flags {
            programs.push(program(PT_GNU_STACK, flags, 0, 0, 16));
        }
        if self.has_relro {
            programs.push(program(PT_GNU_RELRO, 4, DATA_AT, dynamic_bytes, 1));
        }
        if self.tls_bytes > 0 {
            // Only its memory is used: the block starts as zeros.
            let mut tls = program(PT_TLS, 4, DATA_AT, 0, 8);
            tls[40..48].copy_from_slice(&self.tls_bytes.to_le_bytes());
            programs.push(tls);
        }
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, self.os_abi, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(self.file_type.to_le_bytes());
        bytes.extend(self.machine.0.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(words(&[0, HEADER_BYTES as u64, 0]));
        bytes.extend(0_u32.to_le_bytes());
        for half in [HEADER_BYTES, PROGRAM_HEADER_BYTES, programs.len(), 0, 0, 0] {
            bytes.extend(u16::try_from(half).expect("a handful of headers").to_le_bytes());
        }
        bytes.extend(programs.concat());
        bytes.extend(tables);
        bytes.resize(usize::try_from(CODE_AT).expect("it is small"), 0);
        bytes.extend([0xc3; 16]);
        bytes.resize(usize::try_from(DATA_AT).expect("it is small"), 0);
        bytes.extend(dynamic);
        bytes.extend(&self.data);
        bytes
    }

    /// Null symbol, wanted symbols, definitions: the order that `DT_GNU_HASH` asks for.
    fn symbols(&self, strings: &mut StringTable) -> Vec<u8> {
        let mut table = vec![0; 24];
        for wanted in &self.wanted {
            let info = if wanted.is_weak { 0x20 } else { 0x10 };
            table.extend(symbol(strings.add(wanted.name), info, 0, 0, 0));
        }
        for definition in &self.exports {
            let (section, value) = match definition.place {
                DefinedIn::Code => (1, CODE_AT),
                DefinedIn::Data => (2, DATA_AT),
                DefinedIn::Absolute => (0xfff1, 7),
            };
            let name = strings.add(definition.name);
            table.extend(symbol(name, definition.info, definition.visibility, section, value));
        }
        table
    }

    /// One bucket, its chain through all symbols.
    fn sysv_hash(&self) -> Vec<u8> {
        let count = u32::try_from(1 + self.wanted.len() + self.exports.len()).expect("a few");
        let chain = (0..count).map(|index| index.saturating_sub(1));
        [1, count, count - 1].into_iter().chain(chain).flat_map(u32::to_le_bytes).collect()
    }

    /// One bucket with all definitions, one word of filter that lets everything through.
    fn gnu_hash(&self) -> Vec<u8> {
        let first = u32::try_from(1 + self.wanted.len()).expect("a few");
        let bucket = if self.exports.is_empty() { 0 } else { first };
        let mut table: Vec<u8> = [1, first, 1, 6, u32::MAX, u32::MAX, bucket]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        for (index, definition) in self.exports.iter().enumerate() {
            let end = u32::from(index + 1 == self.exports.len());
            let hash = gnu_hash(definition.name.as_bytes()) & !1 | end;
            table.extend(hash.to_le_bytes());
        }
        table
    }

    /// `DT_VERSYM` of the wanted symbols, `DT_VERNEED` with one record per wanted symbol, and their
    /// number.
    fn needed_versions(&self, strings: &mut StringTable) -> (Vec<u8>, Vec<u8>, u64) {
        let mut indices = vec![0_u16];
        let mut records: Vec<[u8; 32]> = Vec::new();
        for wanted in &self.wanted {
            let Some((library, version)) = wanted.version else {
                indices.push(1);
                continue;
            };
            let index = u16::try_from(records.len() + 2).expect("a few");
            indices.push(index);
            let mut record = [0; 32];
            record[..4].copy_from_slice(&[1, 0, 1, 0]);
            record[4..8].copy_from_slice(&half_word(strings.add(library)));
            record[8..16].copy_from_slice(&words(&[16 | 32 << 32]));
            record[20] = if wanted.is_weak { 2 } else { 0 };
            record[22..24].copy_from_slice(&index.to_le_bytes());
            record[24..28].copy_from_slice(&half_word(strings.add(version)));
            records.push(record);
        }
        if let Some(last) = records.last_mut() {
            last[12..16].fill(0);
        }
        let count = records.len() as u64;
        (indices.into_iter().flat_map(u16::to_le_bytes).collect(), records.concat(), count)
    }
}

impl Library {
    /// `DT_VERDEF`, one record per version that an export is defined in; adds the exports' places
    /// to `DT_VERSYM`.
    fn defined_versions(
        &self,
        strings: &mut StringTable,
        need_count: u64,
        indices: &mut Vec<u8>,
    ) -> Vec<[u8; 28]> {
        let mut versions: Vec<&str> = Vec::new();
        for definition in &self.exports {
            let place = definition.version.map(|version| {
                let known = versions.iter().position(|known| *known == version);
                known.unwrap_or_else(|| {
                    versions.push(version);
                    versions.len() - 1
                })
            });
            let first = need_count + 2;
            let index = place.map_or(1, |place| place as u64 + first);
            let hidden = if definition.is_version_hidden { 0x8000 } else { 0 };
            let index = u16::try_from(index).expect("a few") | hidden;
            indices.extend(index.to_le_bytes());
        }
        let mut records: Vec<[u8; 28]> = Vec::new();
        for version in versions {
            let index = need_count + 2 + records.len() as u64;
            let mut record = [0; 28];
            record[..2].copy_from_slice(&[1, 0]);
            record[4..6].copy_from_slice(&u16::try_from(index).expect("a few").to_le_bytes());
            record[6] = 1;
            record[12..20].copy_from_slice(&words(&[0x14 | 0x1c << 32]));
            record[20..24].copy_from_slice(&half_word(strings.add(version)));
            records.push(record);
        }
        if let Some(last) = records.last_mut() {
            last[16..20].fill(0);
        }
        records
    }
}

struct StringTable(Vec<u8>);

impl StringTable {
    fn add(&mut self, text: &str) -> u64 {
        let index = self.0.len() as u64;
        self.0.extend(text.as_bytes());
        self.0.push(0);
        index
    }
}

/// Tables that follow the headers.
struct Parts {
    bytes: Vec<u8>,
    start: usize,
}

impl Parts {
    /// Adds a table and returns its address.
    fn put(&mut self, table: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = (self.start + self.bytes.len()) as u64;
        self.bytes.extend(table);
        at
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn half_word(value: u64) -> [u8; 4] {
    u32::try_from(value).expect("the string table is small").to_le_bytes()
}

fn program(kind: u32, flags: u32, at: u64, length: u64, align: u64) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    bytes.extend(words(&[at, at, at, length, length, align]));
    bytes
}

fn symbol(name: u64, info: u8, other: u8, section: u16, value: u64) -> Vec<u8> {
    let mut bytes = half_word(name).to_vec();
    bytes.extend([info, other]);
    bytes.extend(section.to_le_bytes());
    bytes.extend(words(&[value, 8]));
    bytes
}
