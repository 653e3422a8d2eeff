//! All facts of one file, read as the loader reads it.

use std::sync::Arc;

use crate::dynamic::{Dynamic, Entries, Strings, read_dynamic};
use crate::error::ElfError;
use crate::identity::Identity;
use crate::image::Image;
use crate::integrity::{check_tables, check_version};
use crate::notes::{Notes, read_notes};
use crate::relocations::RelocationCounts;
use crate::sections::{SectionFacts, section_facts, table_end};
use crate::segments::{LoadMap, Segment, SegmentKind, read_segments};
use crate::spec::{ET_CORE, ET_DYN, ET_EXEC, ET_REL};
use crate::startup::{LoaderCalls, read_loader_calls};
use crate::symbols::{Symbol, read_symbols};
use crate::versions::{VersionNeed, read_versions};

/// What an ELF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A library that a process can load.
    SharedLibrary,
    /// An executable that is stored like a library; the loader refuses to load it as one.
    PositionIndependentExecutable,
    /// An executable for fixed addresses.
    Executable,
    /// A compiled object that was not linked yet.
    Object,
    /// A memory dump.
    Core,
    /// Debug information that was taken out of a library.
    DebugOnly,
    /// `e_type` is none of these.
    Other(u16),
}

/// All facts of one ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// What machine it is for.
    pub identity: Identity,
    /// What it is for.
    pub kind: FileKind,
    /// Program headers, in order.
    pub segments: Vec<Segment>,
    /// What the dynamic section says; empty unless `kind` is a shared library or executable.
    pub dynamic: Dynamic,
    /// Dynamic symbols, in table order, without the null symbol at its start.
    pub symbols: Vec<Symbol>,
    /// Versions that other libraries must define, in table order.
    pub version_needs: Vec<VersionNeed>,
    /// How many relocations of each kind the loader applies.
    pub relocations: RelocationCounts,
    /// Functions that the loader calls while it loads and unloads it.
    pub loader_calls: LoaderCalls,
    /// What linker and compilers noted.
    pub notes: Notes,
    /// Versions that it defines, in table order, without the one that is the file's own name.
    pub version_definitions: Vec<Arc<str>>,
    /// Whether each of its symbols has a place for a version (`DT_VERSYM`).
    pub has_version_indices: bool,
    /// What the section headers add.
    pub sections: SectionFacts,
    /// How many of the bytes are used by headers, segments and sections.
    pub used_bytes: u64,
}

impl ElfFacts {
    /// Reads a whole file, through program headers and the dynamic section.
    ///
    /// # Errors
    ///
    /// When `bytes` are not ELF, or the loader could not use them as they are: a part outside the
    /// file, a table outside its segment, counts or links that cannot be. Damaged section headers
    /// are no error but [`SectionFacts::table`].
    pub fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        let identity = Identity::read(bytes)?;
        let image = Image::new(bytes, identity.class, identity.endian);
        check_version(&image)?;
        let segments = read_segments(&image)?;
        let sections = section_facts(&image);
        let mut facts = Self {
            identity,
            kind: kind_by_type(identity.file_type, &sections),
            used_bytes: used_bytes(&image, &segments).max(sections.end).min(image.size_bytes()),
            notes: read_notes(&image, &segments),
            segments,
            dynamic: Dynamic::default(),
            symbols: Vec::new(),
            version_needs: Vec::new(),
            relocations: RelocationCounts::default(),
            loader_calls: LoaderCalls::default(),
            version_definitions: Vec::new(),
            has_version_indices: false,
            sections,
        };
        if matches!(facts.kind, FileKind::SharedLibrary | FileKind::Executable) {
            facts.read_dynamic_section(&image)?;
        }
        Ok(facts)
    }

    /// The symbols that other libraries can find here.
    pub fn exports(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().filter(|symbol| symbol.is_export())
    }

    /// The first segment of a kind.
    #[must_use]
    pub fn segment(&self, kind: SegmentKind) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The segments that the loader maps, in order of address.
    pub fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.kind == SegmentKind::Load)
    }

    fn read_dynamic_section(&mut self, image: &Image<'_>) -> Result<(), ElfError> {
        let map = LoadMap::new(*image, &self.segments)?;
        let Some(segment) = self.segment(SegmentKind::Dynamic) else {
            let is_static = self.kind == FileKind::Executable;
            return if is_static { Ok(()) } else { Err(ElfError::NoDynamicSection) };
        };
        let entries = Entries::read(image, segment)?;
        let strings = Strings::read(&map, &entries)?;
        check_tables(image, &map, &entries)?;
        self.dynamic = read_dynamic(image, &entries, &strings)?;
        let machine = self.identity.machine;
        let mut symbols = read_symbols(image, &map, &entries, &strings, machine)?;
        (self.loader_calls, self.relocations) =
            read_loader_calls(image, &map, &entries, machine, &symbols)?;
        let versions = read_versions(&map, &entries, &strings, &mut symbols)?;
        self.version_needs = versions.needs;
        self.version_definitions = versions.defined;
        self.has_version_indices = versions.has_indices;
        if !symbols.is_empty() {
            symbols.remove(0);
        }
        self.symbols = symbols;
        let runs_alone = self.segment(SegmentKind::Interpreter).is_some()
            && !self.is_runnable_library(image.field(24, 24, "e_entry")?);
        if self.kind == FileKind::SharedLibrary && (self.dynamic.is_pie() || runs_alone) {
            self.kind = FileKind::PositionIndependentExecutable;
        }
        Ok(())
    }

    /// Whether what names an interpreter is a library all the same, which can be run as well.
    ///
    /// Linkers give `DT_DEBUG` to executables only. The C library and Qt's define versions; libcap
    /// does not, but begins (`entry`) at a function of its own, where programs that need the C
    /// library begin by `__libc_start_main`.
    fn is_runnable_library(&self, entry: u64) -> bool {
        let begins_as_program =
            || self.symbols.iter().any(|symbol| &*symbol.name == "__libc_start_main");
        let begins_by_itself =
            || entry != 0 && !self.dynamic.needed.is_empty() && !begins_as_program();
        let defines_versions = !self.version_definitions.is_empty();
        !self.dynamic.has_debug_entry && (defines_versions || begins_by_itself())
    }
}

/// How many bytes of a file its headers speak of, judged by its first bytes alone.
///
/// A caller that does not want to read a file larger than that can read so many bytes of it.
/// `None` when `head` is not ELF or ends before the program headers do.
#[must_use]
pub fn extent_bytes(head: &[u8]) -> Option<u64> {
    let identity = Identity::read(head).ok()?;
    let image = Image::new(head, identity.class, identity.endian);
    let segments = read_segments(&image).ok()?;
    Some(used_bytes(&image, &segments))
}

fn used_bytes(image: &Image<'_>, segments: &[Segment]) -> u64 {
    let ends = segments
        .iter()
        .map(|segment| segment.offset.saturating_add(segment.file_size_bytes))
        .chain(table_end(image))
        .chain([image.header_bytes()]);
    ends.max().unwrap_or(0)
}

fn kind_by_type(file_type: u16, sections: &SectionFacts) -> FileKind {
    match file_type {
        ET_DYN | ET_EXEC if sections.is_debug_only => FileKind::DebugOnly,
        ET_DYN => FileKind::SharedLibrary,
        ET_EXEC => FileKind::Executable,
        ET_REL => FileKind::Object,
        ET_CORE => FileKind::Core,
        other => FileKind::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{
        DF_1_PIE, DT_DEBUG, DT_FLAGS_1, DT_HASH, DT_STRSZ, DT_SYMTAB, DT_VERNEEDNUM,
    };
    use crate::testing::{Definition, Library, Wanted};
    use crate::{Binding, Place, SymbolKind};

    /// The place of the value of a dynamic entry.
    fn entry(bytes: &[u8], tag: u64) -> usize {
        let facts = ElfFacts::read(bytes).unwrap();
        let start = facts.segment(SegmentKind::Dynamic).unwrap().offset;
        let mut at = usize::try_from(start).unwrap();
        while bytes[at..at + 8] != tag.to_le_bytes() {
            at += 16;
        }
        at + 8
    }

    fn with_entry(library: &Library, tag: u64, value: u64) -> ElfError {
        let mut bytes = library.build();
        let at = entry(&bytes, tag);
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        ElfFacts::read(&bytes).unwrap_err()
    }

    #[test]
    fn reads_what_a_library_says_without_section_headers() {
        let library = Library {
            needed: vec!["libc.so.6", "libm.so.6"],
            runpath: Some("$ORIGIN"),
            exports: vec![Definition::function("add"), Definition::variable("table")],
            wanted: vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")],
            ..Library::new()
        };
        let facts = ElfFacts::read(&library.build()).unwrap();
        assert_eq!(facts.kind, FileKind::SharedLibrary);
        assert_eq!(facts.dynamic.soname.as_deref(), Some("libcase.so"));
        assert_eq!(facts.dynamic.needed, ["libc.so.6", "libm.so.6"]);
        assert_eq!(facts.dynamic.runpath.as_deref(), Some("$ORIGIN"));
        assert!(facts.dynamic.binds_now());
        let symbols: Vec<_> = facts
            .symbols
            .iter()
            .map(|symbol| (&*symbol.name, symbol.place, symbol.kind, symbol.version.as_deref()))
            .collect();
        assert_eq!(
            symbols,
            [
                ("malloc", Place::Undefined, SymbolKind::NoType, Some("GLIBC_2.2.5")),
                ("add", Place::Code, SymbolKind::Function, None),
                ("table", Place::Data, SymbolKind::Data, None),
            ]
        );
        assert_eq!(facts.symbols[1].binding, Binding::Global);
        let need = &facts.version_needs[0];
        assert_eq!((&*need.library, &*need.version), ("libc.so.6", "GLIBC_2.2.5"));
        assert_eq!(need.symbols.iter().map(|name| &**name).collect::<Vec<_>>(), ["malloc"]);
    }

    #[test]
    fn a_library_says_which_versions_it_defines() {
        let exports = vec![
            Definition::function("old").in_version("CASE_1.0"),
            Definition::function("new").in_version("CASE_1.1"),
            Definition::variable("plain").unique(),
        ];
        let wanted = vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")];
        let facts = ElfFacts::read(&Library { exports, wanted, ..Library::new() }.build()).unwrap();
        assert_eq!(facts.version_definitions, ["CASE_1.0".into(), "CASE_1.1".into()]);
        assert!(facts.has_version_indices);
        let versions: Vec<_> =
            facts.symbols.iter().map(|symbol| symbol.version.as_deref()).collect();
        assert_eq!(versions, [Some("GLIBC_2.2.5"), Some("CASE_1.0"), Some("CASE_1.1"), None]);
        assert_eq!(facts.symbols[3].binding, Binding::GnuUnique);
        assert!(!ElfFacts::read(&Library::new().build()).unwrap().has_version_indices);
    }

    #[test]
    fn either_hash_table_alone_counts_the_symbols() {
        let both = Library::new();
        let wanted = ElfFacts::read(&both.build()).unwrap().symbols;
        for library in [
            Library { has_gnu_hash: false, ..Library::new() },
            Library { has_sysv_hash: false, ..Library::new() },
        ] {
            assert_eq!(ElfFacts::read(&library.build()).unwrap().symbols, wanted);
        }
        let neither = Library { has_gnu_hash: false, has_sysv_hash: false, ..Library::new() };
        assert_eq!(
            ElfFacts::read(&neither.build()).unwrap_err().to_string(),
            "the dynamic section has DT_SYMTAB but not DT_HASH or DT_GNU_HASH"
        );
    }

    #[test]
    fn what_names_an_interpreter_is_an_executable() {
        let pie = FileKind::PositionIndependentExecutable;
        assert_eq!(kind_with_interpreter(Library::new(), 0), pie);
        assert_eq!(kind_with_interpreter(Library::new(), 0x1_0000), pie);
        let program = || Library {
            needed: vec!["libc.so.6"],
            wanted: vec![Wanted::plain("__libc_start_main")],
            ..Library::new()
        };
        assert_eq!(kind_with_interpreter(program(), 0x1_0000), pie);
        for dynamic in [vec![(DT_DEBUG, 0)], vec![(DT_FLAGS_1, DF_1_PIE)]] {
            let exports = vec![Definition::function("printf").in_version("GLIBC_2.2.5")];
            let library = Library { exports, dynamic, ..Library::new() };
            assert_eq!(kind_with_interpreter(library, 0x1_0000), pie);
        }
    }

    #[test]
    fn libraries_that_can_be_run_as_well_are_libraries() {
        let exports = vec![Definition::function("printf").in_version("GLIBC_2.2.5")];
        let like_libc = Library { exports, ..Library::new() };
        let like_libcap = Library { needed: vec!["libc.so.6"], ..Library::new() };
        assert_eq!(kind_with_interpreter(like_libc, 0x1_0000), FileKind::SharedLibrary);
        assert_eq!(kind_with_interpreter(like_libcap, 0x1_0000), FileKind::SharedLibrary);
    }

    fn kind_with_interpreter(library: Library, entry: u64) -> FileKind {
        let interpreter = Some("/lib64/ld-linux-x86-64.so.2");
        let mut bytes = Library { interpreter, ..library }.build();
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        ElfFacts::read(&bytes).unwrap().kind
    }

    #[test]
    fn a_table_outside_every_segment_is_refused() {
        assert_eq!(
            with_entry(&Library::new(), DT_SYMTAB, 0x7fff_fff0).to_string(),
            "DT_SYMTAB lies at address 0x7ffffff0 with 48 bytes, inside no segment"
        );
    }

    #[test]
    fn a_name_past_the_string_table_is_refused() {
        assert_eq!(
            with_entry(&Library::new(), DT_STRSZ, 13).to_string(),
            "the name of symbol 1 at 0xc of the string table has no end"
        );
    }

    #[test]
    fn absurd_counts_of_versions_are_refused_at_once() {
        let wanted = vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")];
        let library = Library { wanted, ..Library::new() };
        assert_eq!(
            with_entry(&library, DT_VERNEEDNUM, 0xffff_ffff).to_string(),
            "DT_VERNEED says 4294967295 records, but its links end after 1"
        );
    }

    #[test]
    fn a_chain_that_comes_back_is_refused() {
        let mut bytes = Library { has_gnu_hash: false, ..Library::new() }.build();
        let at = entry(&bytes, DT_HASH);
        let table = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        bytes[table + 16..table + 20].copy_from_slice(&1_u32.to_le_bytes());
        assert_eq!(
            ElfFacts::read(&bytes).unwrap_err().to_string(),
            "the chain of DT_HASH bucket 0 comes back to symbol 1 and never ends"
        );
    }

    #[test]
    fn a_cut_file_is_truncated_wherever_it_is_cut() {
        let bytes = Library::new().build();
        for length in [1, 40, 64, 200, 0x1_0008, bytes.len() - 1] {
            let refusal = ElfFacts::read(&bytes[..length]).unwrap_err();
            let is_magic_alone = length < 4;
            assert!(refusal.is_truncation() || is_magic_alone, "{length}: {refusal}");
        }
    }

    #[test]
    fn the_extent_is_what_the_headers_speak_of() {
        let mut bytes = Library::new().build();
        let used = bytes.len() as u64;
        bytes.resize(bytes.len() + 5000, 0);
        assert_eq!(extent_bytes(&bytes[..4096]), Some(used));
        assert_eq!(ElfFacts::read(&bytes).unwrap().used_bytes, used);
        assert_eq!(extent_bytes(b"hello"), None);
    }
}
