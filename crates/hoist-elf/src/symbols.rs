//! Dynamic symbols: what a library gives and what it wants.

use std::sync::Arc;

use crate::dynamic::{Entries, Strings};
use crate::error::ElfError;
use crate::hash::{count_by_relocations, gnu_chains, sysv_table};
use crate::identity::Machine;
use crate::image::Image;
use crate::segments::LoadMap;
use crate::spec::{DT_SYMENT, DT_SYMTAB, SHN_ABS, SHN_COMMON, SHN_UNDEF};

/// How a symbol takes part in linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the STB_ constants")]
pub enum Binding {
    Local,
    Global,
    Weak,
    /// One instance in the whole process; keeps its library from ever being unloaded.
    GnuUnique,
    Other(u8),
}

/// Who may see a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the STV_ constants")]
pub enum Visibility {
    Default,
    Internal,
    Hidden,
    Protected,
}

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the STT_ constants")]
pub enum SymbolKind {
    /// Not said; hand-written assembly often leaves it out.
    NoType,
    Data,
    Function,
    ThreadLocal,
    /// The function is chosen by a resolver that runs while the library is loaded.
    IndirectFunction,
    Other(u8),
}

/// Where a symbol's value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In another library, if anywhere.
    Undefined,
    /// In memory that may run.
    Code,
    /// In memory that may not run.
    Data,
    /// It is a number, not an address.
    Absolute,
    /// In no segment.
    Nowhere,
}

/// One dynamic symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: Arc<str>,
    /// The version it is defined with or wanted in, e.g. `GLIBC_2.34`.
    pub version: Option<Arc<str>>,
    /// Whether only who asks for its version finds it (`name@VERSION`, not `name@@VERSION`).
    pub is_version_hidden: bool,
    /// How it takes part in linking.
    pub binding: Binding,
    /// Who may see it.
    pub visibility: Visibility,
    /// What it names.
    pub kind: SymbolKind,
    /// Where its value lies.
    pub place: Place,
    /// Its value, an address in the loaded image unless `place` says otherwise.
    pub value: u64,
    /// Size of what it names, in bytes; 0 when not said.
    pub size_bytes: u64,
}

impl Symbol {
    /// Whether it is defined in this file.
    #[must_use]
    pub fn is_defined(&self) -> bool {
        self.place != Place::Undefined
    }

    /// Whether other libraries can find it here: defined, not local, not hidden, and not the
    /// marker that linkers add for each version they define.
    #[must_use]
    pub fn is_export(&self) -> bool {
        let is_version_marker =
            self.place == Place::Absolute && self.version.as_deref() == Some(&*self.name);
        self.is_visible() && self.is_defined() && !is_version_marker
    }

    /// Whether its binding and visibility let other libraries find it.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        matches!(self.visibility, Visibility::Default | Visibility::Protected)
            && matches!(self.binding, Binding::Global | Binding::Weak | Binding::GnuUnique)
    }
}

impl Binding {
    pub(crate) fn of(info: u8) -> Self {
        match info >> 4 {
            0 => Self::Local,
            1 => Self::Global,
            2 => Self::Weak,
            10 => Self::GnuUnique,
            other => Self::Other(other),
        }
    }
}

impl Visibility {
    pub(crate) fn of(other: u8) -> Self {
        match other & 3 {
            0 => Self::Default,
            1 => Self::Internal,
            2 => Self::Hidden,
            _ => Self::Protected,
        }
    }
}

impl SymbolKind {
    pub(crate) fn of(info: u8) -> Self {
        match info & 0xf {
            0 => Self::NoType,
            1 => Self::Data,
            2 => Self::Function,
            6 => Self::ThreadLocal,
            10 => Self::IndirectFunction,
            other => Self::Other(other),
        }
    }
}

/// A symbol table entry as it is stored.
pub(crate) struct RawSymbol {
    pub(crate) name_index: u64,
    pub(crate) info: u8,
    pub(crate) other: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size_bytes: u64,
}

impl RawSymbol {
    /// Reads entry `index` of `table`, which starts at the table's first byte.
    pub(crate) fn read(table: &Image<'_>, index: u64) -> Result<Self, ElfError> {
        const WHAT: &str = "a symbol table entry";
        let at = index * table.symbol_bytes();
        let (info_at, other_at, section_at) = if table.is_64() { (4, 5, 6) } else { (12, 13, 14) };
        let byte = |at| table.slice(at, 1, WHAT).map(|bytes| bytes[0]);
        Ok(Self {
            name_index: table.u32(at, WHAT)?.into(),
            info: byte(at + info_at)?,
            other: byte(at + other_at)?,
            section: table.u16(at + section_at, WHAT)?,
            value: table.field(at + 4, at + 8, WHAT)?,
            size_bytes: table.field(at + 8, at + 16, WHAT)?,
        })
    }
}

/// Reads the dynamic symbols but for their versions; the null symbol comes first.
pub(crate) fn read_symbols(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    strings: &Strings<'_>,
    machine: Machine,
) -> Result<Vec<Symbol>, ElfError> {
    let Some(address) = entries.get(DT_SYMTAB) else { return Ok(Vec::new()) };
    if let Some(found) = entries.get(DT_SYMENT).filter(|&size| size != image.symbol_bytes()) {
        let wanted = if image.is_64() { "24" } else { "16" };
        return Err(ElfError::Field { field: "DT_SYMENT", offset: address, found, wanted });
    }
    let chains = gnu_chains(map, entries)?;
    let by_sysv = sysv_table(image, map, entries, machine)?;
    let count = match (&by_sysv, &chains) {
        (Some(table), _) => table.count,
        (None, Some(chains)) => {
            chains.end().max(count_by_relocations(image, map, entries, machine)?)
        }
        (None, None) => {
            let (present, absent) = ("DT_SYMTAB", "DT_HASH or DT_GNU_HASH");
            return Err(ElfError::MissingEntry { present, absent });
        }
    };
    let length = count.saturating_mul(image.symbol_bytes());
    let table = map.bytes_at(address, length, "DT_SYMTAB")?;
    if let Some(chains) = chains.as_ref().filter(|chains| chains.end() > count) {
        let (table, symbol) = ("DT_GNU_HASH", chains.end() - 1);
        return Err(ElfError::SymbolOutOfRange { table, symbol, count });
    }
    let mut symbols = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for index in 0..count {
        let raw = RawSymbol::read(&table, index)?;
        let bytes = strings.bytes(raw.name_index, || format!("the name of symbol {index}"))?;
        if let Some(chains) = &chains {
            chains.check_value(index, bytes)?;
        }
        let symbol = Symbol {
            name: String::from_utf8_lossy(bytes).into(),
            version: None,
            is_version_hidden: false,
            binding: Binding::of(raw.info),
            visibility: Visibility::of(raw.other),
            kind: SymbolKind::of(raw.info),
            place: place(map, &raw),
            value: raw.value,
            size_bytes: raw.size_bytes,
        };
        if symbol.is_visible() && symbol.is_defined() {
            // The loader reads DT_HASH only where DT_GNU_HASH is not.
            match (&chains, &by_sysv) {
                (Some(chains), _) => chains.check_way(index, bytes)?,
                (None, Some(table)) => table.check_way(index, bytes)?,
                (None, None) => {}
            }
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

/// The indices of the names of the first `count` symbols in the string table.
pub(crate) fn name_indices(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    count: u64,
) -> Result<Vec<u64>, ElfError> {
    let Some(address) = entries.get(DT_SYMTAB) else { return Ok(Vec::new()) };
    let length = count.saturating_mul(image.symbol_bytes());
    let table = map.bytes_at(address, length, "DT_SYMTAB")?;
    (0..count).map(|index| Ok(RawSymbol::read(&table, index)?.name_index)).collect()
}

fn place(map: &LoadMap<'_>, raw: &RawSymbol) -> Place {
    match raw.section {
        SHN_UNDEF => Place::Undefined,
        SHN_ABS => Place::Absolute,
        SHN_COMMON => Place::Data,
        // A thread-local symbol's value is an offset into its block, not an address.
        _ if SymbolKind::of(raw.info) == SymbolKind::ThreadLocal => Place::Data,
        _ => match map.segment_at(raw.value) {
            Some(segment) if segment.is_executable() => Place::Code,
            Some(_) => Place::Data,
            None => Place::Nowhere,
        },
    }
}
