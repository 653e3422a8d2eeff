//! Section headers after something moved: the loader does not read them, everybody else does.

use crate::edit::EditError;
use crate::edit::grow::{At, Request, Room};
use crate::edit::patch::Patch;
use crate::edit::section::{RawSection, Sections};
use crate::segments::Segment;
use crate::spec::{
    SHF_ALLOC, SHF_TLS, SHF_WRITE, SHT_DYNAMIC, SHT_NOBITS, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB,
};

impl Sections {
    /// Where the file ends when the table and its names, which are written anew, are left out.
    pub(crate) fn end_without_table(&self, size_bytes: u64) -> u64 {
        if self.table_at + self.headers.len() as u64 * self.entry_bytes != size_bytes {
            return size_bytes; // something follows it: it is left there, unused
        }
        let is_other = |index: &usize| *index != self.names_index;
        let others = (0..self.headers.len()).filter(is_other).map(|index| &self.headers[index]);
        let others_end = others.map(RawSection::end).max().unwrap_or(0);
        let names = &self.headers[self.names_index];
        if names.offset >= others_end && names.end() <= self.table_at {
            names.offset
        } else if names.end().max(others_end) <= self.table_at {
            self.table_at
        } else {
            size_bytes
        }
    }

    /// Lets the sections of zeros at the end of `last` be what they are now: bytes in the file.
    pub(crate) fn fill_zeros(&mut self, last: &Segment) -> Result<(), EditError> {
        let zeros_from = last.address + last.file_size_bytes;
        let zeros = zeros_from..last.address + last.memory_size_bytes;
        for index in 0..self.headers.len() {
            let section = &self.headers[index];
            let is_zeros = section.kind == SHT_NOBITS
                && section.flags & SHF_ALLOC != 0
                && section.flags & SHF_TLS == 0
                && zeros.contains(&section.address);
            if !is_zeros {
                continue;
            }
            // By their own names, they would be taken for sections without bytes.
            let name = [b".data", self.name(section)].concat();
            let name = self.add_name(&name)?;
            let section = &mut self.headers[index];
            section.name = name;
            section.kind = SHT_PROGBITS;
            section.offset = last.offset + (section.address - last.address);
        }
        Ok(())
    }

    /// Lets the sections say where the string table and the dynamic section lie now.
    ///
    /// Old places keep their index, and so their symbols, under another name; the new ones come
    /// last, which needs no other index to change.
    pub(crate) fn follow(
        &mut self,
        patch: &mut Patch,
        room: &Room,
        request: &Request<'_>,
        is_longer: bool,
    ) -> Result<(), EditError> {
        if let (Some((table, old)), Some(At { offset, address })) = (request.strings, room.strings)
            && let Some(index) = self.loaded(SHT_STRTAB, old)
        {
            let size_bytes = table.bytes.len() as u64;
            if is_longer {
                self.headers[index].size_bytes = size_bytes;
            } else {
                let new = RawSection { address, offset, size_bytes, ..self.headers[index].clone() };
                self.replace(index, new)?;
            }
        }
        if let (Some((length, old)), Some(At { offset, address })) = (request.dynamic, room.dynamic)
            && let Some(index) = self.loaded(SHT_DYNAMIC, old)
        {
            let flags = SHF_ALLOC | SHF_WRITE;
            let section = self.headers[index].clone();
            let new = RawSection { flags, address, offset, size_bytes: length, ..section };
            let new = self.replace(index, new)?;
            self.move_dynamic_symbol(patch, (old, address), new)?;
        }
        Ok(())
    }

    /// Adds `new` in the place of section `index`, which becomes bytes without a meaning.
    fn replace(&mut self, index: usize, new: RawSection) -> Result<u32, EditError> {
        let old_name = [self.name(&self.headers[index]), b".old"].concat();
        let old_name = self.add_name(&old_name)?;
        let at = self.push(new)?;
        let old = &mut self.headers[index];
        (old.name, old.kind, old.link, old.entry_bytes) = (old_name, SHT_PROGBITS, 0, 0);
        for section in &mut self.headers {
            if usize::try_from(section.link).is_ok_and(|link| link == index) {
                section.link = at;
            }
        }
        Ok(at)
    }

    fn loaded(&self, kind: u32, address: u64) -> Option<usize> {
        self.headers.iter().position(|section| {
            section.kind == kind && section.flags & SHF_ALLOC != 0 && section.address == address
        })
    }

    /// Lets `_DYNAMIC` of the full symbol table, which only debuggers read, name the new place.
    fn move_dynamic_symbol(
        &self,
        patch: &mut Patch,
        (old, new): (u64, u64),
        section: u32,
    ) -> Result<(), EditError> {
        let section = u16::try_from(section).expect("pushed sections have small indices");
        // There is one; a file with many over the same bytes would be walked for each.
        let Some(table) = self.headers.iter().find(|section| section.kind == SHT_SYMTAB) else {
            return Ok(());
        };
        let names = usize::try_from(table.link).ok().and_then(|link| self.headers.get(link));
        let Some(names) = names.cloned() else { return Ok(()) };
        let (entry_bytes, value_at, section_at) =
            if patch.image().is_64() { (24, 8, 6) } else { (16, 4, 14) };
        for index in 0..table.size_bytes / entry_bytes {
            let symbol = table.offset.saturating_add(index * entry_bytes);
            let image = patch.image();
            let name = u64::from(image.u32(symbol, "a symbol")?);
            let is_named = names.offset.checked_add(name).is_some_and(|at| {
                image.slice(at, 9, "its name").is_ok_and(|it| it == b"_DYNAMIC\0")
            });
            if is_named && image.word(symbol.saturating_add(value_at), "a symbol")? == old {
                patch.put_word(symbol + value_at, new)?;
                patch.put_u16(symbol + section_at, section)?;
            }
        }
        Ok(())
    }
}
