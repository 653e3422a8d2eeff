//! Section headers, read only as far as nothing that matters hangs on them: the loader ignores
//! them, so damage here is told apart from damage of the file.

use crate::dynamic::Strings;
use crate::error::ElfError;
use crate::image::Image;
use crate::spec::{SHF_EXECINSTR, SHT_NOBITS};

/// State of the section header table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionTable {
    /// There is none; legal, and loadable.
    Absent,
    /// It is whole.
    Whole,
    /// It is not; loadable all the same.
    Damaged(ElfError),
}

/// What the section headers add to the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionFacts {
    /// State of the table.
    pub table: SectionTable,
    /// Whether it has DWARF debug information.
    pub has_debug_info: bool,
    /// Whether its code was taken out, as `objcopy --only-keep-debug` does.
    pub is_debug_only: bool,
    /// Where the last section or the table itself ends in the file, in bytes.
    pub end: u64,
}

/// One section header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    pub(crate) name_index: u64,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size_bytes: u64,
    pub(crate) link: u32,
}

/// Where the section header table lies.
struct Header {
    table: u64,
    entry_bytes: u64,
    count: u64,
    names: u64,
}

impl Header {
    /// Reads its place from the ELF header; `None` when there is no table.
    fn read(image: &Image<'_>) -> Result<Option<Self>, ElfError> {
        const WHAT: &str = "the ELF header";
        let table = image.field(32, 40, WHAT)?;
        if table == 0 {
            return Ok(None);
        }
        let first = if image.is_64() { 58 } else { 46 };
        let entry_bytes = image.u16(first, WHAT)?;
        let wanted_bytes = if image.is_64() { 64 } else { 40 };
        if entry_bytes != wanted_bytes {
            let (field, wanted) = ("e_shentsize", if image.is_64() { "64" } else { "40" });
            return Err(ElfError::Field {
                field,
                offset: first,
                found: entry_bytes.into(),
                wanted,
            });
        }
        let mut header = Self {
            table,
            entry_bytes: entry_bytes.into(),
            count: image.u16(first + 2, WHAT)?.into(),
            names: image.u16(first + 4, WHAT)?.into(),
        };
        // Counts too large for the header are in the first section's header.
        if header.count == 0 || header.names == 0xffff {
            let escape = header.section(image, 0)?;
            header.count = if header.count == 0 { escape.size_bytes } else { header.count };
            header.names = if header.names == 0xffff { escape.link.into() } else { header.names };
        }
        Ok(Some(header))
    }

    fn section(&self, image: &Image<'_>, index: u64) -> Result<Section, ElfError> {
        const WHAT: &str = "the section header table";
        let overflow =
            || ElfError::Overflow { what: WHAT.to_owned(), start: self.table, length: index };
        let start = index
            .checked_mul(self.entry_bytes)
            .and_then(|at| self.table.checked_add(at))
            .ok_or_else(overflow)?;
        let entry = image.part(start, self.entry_bytes, WHAT)?;
        Ok(Section {
            name_index: entry.u32(0, WHAT)?.into(),
            kind: entry.u32(4, WHAT)?,
            flags: entry.field(8, 8, WHAT)?,
            address: entry.field(12, 16, WHAT)?,
            offset: entry.field(16, 24, WHAT)?,
            size_bytes: entry.field(20, 32, WHAT)?,
            link: entry.u32(if image.is_64() { 40 } else { 24 }, WHAT)?,
        })
    }
}

/// Reads all section headers; none when there is no table.
///
/// The table must lie in the file whole before any entry is kept.
pub(crate) fn read_sections(image: &Image<'_>) -> Result<Vec<Section>, ElfError> {
    let Some(header) = Header::read(image)? else { return Ok(Vec::new()) };
    let length = header.count.saturating_mul(header.entry_bytes);
    image.slice(header.table, length, "the section header table")?;
    (0..header.count).map(|index| header.section(image, index)).collect()
}

/// All section headers with their names; those without a name, or with one outside the table of
/// names, are left out.
pub(crate) fn named_sections<'a>(image: &Image<'a>) -> Result<Vec<(&'a [u8], Section)>, ElfError> {
    let Some(header) = Header::read(image)? else { return Ok(Vec::new()) };
    let sections = read_sections(image)?;
    let table = usize::try_from(header.names).ok().and_then(|index| sections.get(index));
    let Some(table) = table.filter(|_| header.names != 0) else { return Ok(Vec::new()) };
    let names = Strings::over(image.slice(
        table.offset,
        table.size_bytes,
        "the section of section names",
    )?);
    let name = |section: &Section| names.bytes(section.name_index, String::new).ok();
    Ok(sections.iter().filter_map(|section| Some((name(section)?, *section))).collect())
}

/// Reads the headers of the sections called `name`; none where the table is damaged.
pub(crate) fn sections_called(image: &Image<'_>, name: &[u8]) -> Vec<Section> {
    let named = named_sections(image).unwrap_or_default().into_iter();
    named.filter(|(called, _)| *called == name).map(|(_, section)| section).collect()
}

/// Where the section header table ends by the ELF header alone, which may be past the file.
pub(crate) fn table_end(image: &Image<'_>) -> Option<u64> {
    let table = image.field(32, 40, "e_shoff").ok()?;
    let first = if image.is_64() { 58 } else { 46 };
    let entry_bytes = image.u16(first, "e_shentsize").ok()?;
    let count = image.u16(first + 2, "e_shnum").ok()?;
    table.checked_add(u64::from(entry_bytes) * u64::from(count))
}

/// Reads what the section headers add; never fails, since the loader does not read them.
pub(crate) fn section_facts(image: &Image<'_>) -> SectionFacts {
    let mut facts = SectionFacts {
        table: SectionTable::Absent,
        has_debug_info: false,
        is_debug_only: false,
        end: 0,
    };
    match fill(image, &mut facts) {
        Ok(true) => facts.table = SectionTable::Whole,
        Ok(false) => {}
        Err(damage) => facts.table = SectionTable::Damaged(damage),
    }
    facts
}

/// Returns whether there is a table.
fn fill(image: &Image<'_>, facts: &mut SectionFacts) -> Result<bool, ElfError> {
    let Some(header) = Header::read(image)? else { return Ok(false) };
    let sections = read_sections(image)?;
    facts.end = table_end(image).unwrap_or(0);
    let mut has_code = false;
    let mut has_symbols_or_debug = false;
    let names = usize::try_from(header.names).ok().and_then(|index| sections.get(index));
    let names = match names {
        Some(section) if header.names != 0 => Strings::over(image.slice(
            section.offset,
            section.size_bytes,
            "the section of section names",
        )?),
        Some(_) => Strings::over(&[]),
        None => {
            return Err(ElfError::Field {
                field: "e_shstrndx",
                offset: if image.is_64() { 62 } else { 50 },
                found: header.names,
                wanted: "less than the number of sections",
            });
        }
    };
    for (index, section) in sections.iter().enumerate().skip(1) {
        let holds_bytes = section.kind != SHT_NOBITS;
        if holds_bytes {
            image.slice(section.offset, section.size_bytes, &format!("section {index}"))?;
            facts.end = facts.end.max(section.offset + section.size_bytes);
        }
        has_code |= section.flags & SHF_EXECINSTR != 0 && holds_bytes && section.size_bytes > 0;
        facts.is_debug_only |= section.flags & SHF_EXECINSTR != 0 && !holds_bytes;
        if header.names != 0 {
            let name =
                names.bytes(section.name_index, || format!("the name of section {index}"))?;
            let is_debug = matches!(name, b".debug_info" | b".zdebug_info");
            facts.has_debug_info |= is_debug && holds_bytes;
            has_symbols_or_debug |= is_debug || name == b".symtab";
        }
    }
    facts.is_debug_only &= !has_code && has_symbols_or_debug;
    Ok(true)
}
