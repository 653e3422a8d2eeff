//! Section headers, read and written whole.

use crate::edit::EditError;
use crate::edit::patch::Patch;
use crate::error::ElfError;
use crate::image::Image;
use crate::spec::{SHN_LORESERVE, SHT_NOBITS};

/// A section header as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RawSection {
    pub(crate) name: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size_bytes: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry_bytes: u64,
}

impl RawSection {
    fn read(entry: &Image<'_>) -> Result<Self, ElfError> {
        const WHAT: &str = "a section header";
        Ok(Self {
            name: entry.u32(0, WHAT)?,
            kind: entry.u32(4, WHAT)?,
            flags: entry.field(8, 8, WHAT)?,
            address: entry.field(12, 16, WHAT)?,
            offset: entry.field(16, 24, WHAT)?,
            size_bytes: entry.field(20, 32, WHAT)?,
            link: entry.u32(if entry.is_64() { 40 } else { 24 }, WHAT)?,
            info: entry.u32(if entry.is_64() { 44 } else { 28 }, WHAT)?,
            align: entry.field(32, 48, WHAT)?,
            entry_bytes: entry.field(36, 56, WHAT)?,
        })
    }

    fn bytes(&self, patch: &Patch) -> Result<Vec<u8>, EditError> {
        let mut bytes = [patch.half(self.name), patch.half(self.kind)].concat();
        for word in [self.flags, self.address, self.offset, self.size_bytes] {
            bytes.extend(patch.word(word)?);
        }
        bytes.extend([patch.half(self.link), patch.half(self.info)].concat());
        for word in [self.align, self.entry_bytes] {
            bytes.extend(patch.word(word)?);
        }
        Ok(bytes)
    }

    /// Whether it takes room in the file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.kind != SHT_NOBITS && self.kind != 0
    }

    /// Where it ends in the file.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(if self.is_in_file() { self.size_bytes } else { 0 })
    }
}

/// The section headers of a file, and their names.
#[derive(Debug, Clone)]
pub(crate) struct Sections {
    pub(crate) headers: Vec<RawSection>,
    /// Which of them holds the names.
    pub(crate) names_index: usize,
    pub(crate) names: Vec<u8>,
    /// Where the table lies in the file, and the size of an entry.
    pub(crate) table_at: u64,
    pub(crate) entry_bytes: u64,
}

impl Sections {
    /// Reads the headers; `None` when there are none, or none that could be written back: the
    /// file is edited then as if it had none.
    pub(crate) fn read(image: &Image<'_>) -> Result<Option<Self>, ElfError> {
        const WHAT: &str = "the ELF header";
        let table_at = image.field(32, 40, WHAT)?;
        let first = if image.is_64() { 58 } else { 46 };
        let entry_bytes = u64::from(image.u16(first, WHAT)?);
        let count = image.u16(first + 2, WHAT)?;
        let names_index = usize::from(image.u16(first + 4, WHAT)?);
        if table_at == 0 || count == 0 || usize::from(count) <= names_index || names_index == 0 {
            return Ok(None);
        }
        let length = u64::from(count) * entry_bytes;
        let table = image.part(table_at, length, "the section header table")?;
        let headers = (0..u64::from(count))
            .map(|index| {
                let entry = table.part(index * entry_bytes, entry_bytes, "a section header")?;
                RawSection::read(&entry)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let of_names = &headers[names_index];
        let names = image.slice(of_names.offset, of_names.size_bytes, "the section names")?;
        Ok(Some(Self { names: names.to_owned(), headers, names_index, table_at, entry_bytes }))
    }

    /// The name of a section.
    pub(crate) fn name(&self, section: &RawSection) -> &[u8] {
        let tail = usize::try_from(section.name).ok().and_then(|at| self.names.get(at..));
        tail.and_then(|tail| tail.split(|byte| *byte == 0).next()).unwrap_or_default()
    }

    /// Where a new name is kept.
    pub(crate) fn add_name(&mut self, name: &[u8]) -> Result<u32, EditError> {
        if self.names.last().is_some_and(|last| *last != 0) {
            self.names.push(0);
        }
        let at = u32::try_from(self.names.len())
            .map_err(|_| EditError::TooLarge { what: "a table of section names" })?;
        self.names.extend(name);
        self.names.push(0);
        Ok(at)
    }

    /// Adds a section and returns its index.
    pub(crate) fn push(&mut self, section: RawSection) -> Result<u32, EditError> {
        self.headers.push(section);
        u32::try_from(self.headers.len() - 1)
            .ok()
            .filter(|index| *index + 1 < u32::from(SHN_LORESERVE))
            .ok_or(EditError::TooLarge { what: "one more section" })
    }

    /// Writes names and headers at the end of the file, and where they are into the ELF header.
    pub(crate) fn append(mut self, patch: &mut Patch) -> Result<(), EditError> {
        let names_at = patch.image().size_bytes();
        let header = &mut self.headers[self.names_index];
        header.offset = names_at;
        header.size_bytes = self.names.len() as u64;
        patch.bytes.extend(&self.names);
        let table_at = patch.image().size_bytes().next_multiple_of(8);
        patch.pad_to(table_at)?;
        for header in &self.headers {
            let bytes = header.bytes(patch)?;
            patch.bytes.extend(bytes);
        }
        let count = u16::try_from(self.headers.len())
            .map_err(|_| EditError::TooLarge { what: "one more section" })?;
        let index = u16::try_from(self.names_index)
            .map_err(|_| EditError::TooLarge { what: "one more section" })?;
        let first = if patch.image().is_64() { 58 } else { 46 };
        patch.put_field(0, 32, 40, table_at)?;
        patch.put_u16(first + 2, count)?;
        patch.put_u16(first + 4, index)
    }
}
