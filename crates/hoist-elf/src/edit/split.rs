//! Debug information in a file of its own, as `objcopy --only-keep-debug` and
//! `--add-gnu-debuglink` make it.
//!
//! Source: GDB's manual, "Debugging Information in Separate Files".

use crate::edit::EditError;
use crate::edit::grow::in_file;
use crate::edit::patch::{Patch, align_up};
use crate::edit::section::{RawSection, Sections};
use crate::facts::{ElfFacts, FileKind};
use crate::image::Image;
use crate::sections::SectionTable;
use crate::segments::{Segment, SegmentKind};
use crate::spec::{
    PT_NOTE, SHF_ALLOC, SHN_LORESERVE, SHT_DYNSYM, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS, SHT_REL,
    SHT_RELA, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};

/// Name of the section that leads to the file with the debug information.
const LINK_NAME: &[u8] = b".gnu_debuglink";

/// Longest name of a file.
const MOST_NAME_BYTES: usize = 255;

/// A library, and the debug information that was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugSplit {
    /// The library with a link to the other file in the place of the debug information. What is
    /// loaded is unchanged but for three numbers in the ELF header.
    pub library: Vec<u8>,
    /// The debug information, the symbols and the notes, with the addresses of all sections.
    pub debug: Vec<u8>,
}

/// Takes the debug information out of a library.
///
/// - `debug_name`: how the file with the debug information will be called, without a folder.
///
/// # Errors
///
/// When the library cannot be read, has no debug information or damaged section headers, or is
/// laid out so that taking something out would move what is loaded.
pub fn split_debug(bytes: &[u8], debug_name: &str) -> Result<DebugSplit, EditError> {
    let facts = ElfFacts::read(bytes)?;
    if facts.kind != FileKind::SharedLibrary {
        return Err(EditError::NotALibrary { kind: facts.kind });
    }
    if let SectionTable::Damaged(damage) = facts.sections.table {
        return Err(EditError::DamagedSections(damage));
    }
    let why = if debug_name.is_empty() {
        Some("it is empty")
    } else if debug_name.contains(['/', '\0']) {
        Some("it holds a `/` or a zero byte")
    } else if debug_name.len() > MOST_NAME_BYTES {
        Some("it has more than 255 bytes")
    } else {
        None
    };
    if let Some(why) = why {
        let text = debug_name.chars().take(MOST_NAME_BYTES).collect();
        return Err(EditError::Text { place: "the name of a debug file", text, why });
    }
    let patch = Patch::new(bytes, facts.identity);
    let sections = Sections::read(&patch.image())?.filter(|_| facts.sections.has_debug_info);
    let sections = sections.ok_or(EditError::NoDebugInformation)?;
    check_shares(&sections)?;
    let debug = debug_file(&patch, &facts, sections.clone())?;
    let library = without_debug(patch, &facts, sections, debug_name, debug_link_crc(&debug))?;
    let split = DebugSplit { library, debug };
    verify(bytes, &facts, &split)?;
    Ok(split)
}

/// The checksum that `.gnu_debuglink` keeps of a debug file: CRC-32 as in zlib.
#[must_use]
pub fn debug_link_crc(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0_u32;
        while index < 256 {
            let mut value = index;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index as usize] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        TABLE[usize::from(low ^ byte)] ^ crc >> 8
    })
}

/// Checks that no byte is in two sections that are copied, so that a copy is no larger than the
/// file, and that there is one table of symbols of each kind, so that none is walked again.
fn check_shares(sections: &Sections) -> Result<(), EditError> {
    let name = |section: &RawSection| String::from_utf8_lossy(sections.name(section)).into_owned();
    let is_copied = |it: &&RawSection| it.is_in_file() && it.size_bytes > 0 && is_kept(it);
    let mut copied: Vec<&RawSection> = sections.headers.iter().filter(is_copied).collect();
    copied.sort_by_key(|section| section.offset);
    if let Some(pair) = copied.windows(2).find(|pair| pair[1].offset < pair[0].end()) {
        return Err(EditError::Overlap { name: name(pair[1]) });
    }
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        if let Some(second) = sections.headers.iter().filter(|it| it.kind == kind).nth(1) {
            return Err(EditError::SecondTable { name: name(second) });
        }
    }
    Ok(())
}

/// Whether a section goes to the file with the debug information, and not its header alone.
fn is_kept(section: &RawSection) -> bool {
    section.flags & SHF_ALLOC == 0 || section.kind == SHT_NOTE
}

/// Whether a section holds debug information only.
fn is_debug(sections: &Sections, section: &RawSection) -> bool {
    let name = sections.name(section);
    let is_named = [&b".debug_"[..], b".zdebug_", b".stab"].iter().any(|it| name.starts_with(it))
        || matches!(name, b".gdb_index" | b".gnu_debugaltlink");
    is_named && section.flags & SHF_ALLOC == 0 && section.is_in_file()
}

/// The library without its debug information.
fn without_debug(
    mut patch: Patch,
    facts: &ElfFacts,
    mut sections: Sections,
    debug_name: &str,
    crc: u32,
) -> Result<Vec<u8>, EditError> {
    let loaded_end = loaded_end(&facts.segments);
    let goes: Vec<bool> = sections
        .headers
        .iter()
        .map(|section| is_debug(&sections, section) || sections.name(section) == LINK_NAME)
        .collect();
    check_order(&patch, &sections, &goes, loaded_end)?;
    drop_symbols(&mut patch, &mut sections, &goes)?;

    let rest = patch.bytes.split_off(usize::try_from(loaded_end).unwrap_or(usize::MAX));
    let at_rest = |section: &RawSection| {
        let start = usize::try_from(section.offset - loaded_end).ok()?;
        let end = start.checked_add(usize::try_from(section.size_bytes).ok()?)?;
        rest.get(start..end)
    };
    let names_index = sections.names_index;
    let mut order: Vec<usize> = (0..sections.headers.len())
        .filter(|index| !goes[*index] && *index != names_index)
        .filter(|index| {
            let section = &sections.headers[*index];
            section.flags & SHF_ALLOC == 0 && section.is_in_file() && section.offset >= loaded_end
        })
        .collect();
    order.sort_by_key(|index| sections.headers[*index].offset);
    for index in order {
        let section = &mut sections.headers[index];
        let data = at_rest(section).unwrap_or_default();
        section.offset = align_up(patch.image().size_bytes(), copied_align(section.align))?;
        patch.pad_to(section.offset)?;
        patch.bytes.extend(data);
    }
    let at = align_up(patch.image().size_bytes(), 4)?;
    patch.pad_to(at)?;
    patch.bytes.extend(debug_name.as_bytes());
    patch.pad_to((patch.image().size_bytes() + 1).next_multiple_of(4))?;
    let crc = patch.half(crc);
    patch.bytes.extend(crc);
    let link = RawSection {
        name: sections.add_name(LINK_NAME)?,
        kind: SHT_PROGBITS,
        offset: at,
        size_bytes: patch.image().size_bytes() - at,
        align: 4,
        ..RawSection::default()
    };
    sections.remove(&goes);
    // Before the names, which stay the last of all, as linkers have it.
    sections.push(link)?;
    sections.append(&mut patch)?;
    Ok(patch.bytes)
}

/// Checks that nothing loaded moves, and that no dynamic symbol counts sections behind those that
/// go.
fn check_order(
    patch: &Patch,
    sections: &Sections,
    goes: &[bool],
    loaded_end: u64,
) -> Result<(), EditError> {
    let interleaved = |section: &RawSection| {
        let name = String::from_utf8_lossy(sections.name(section)).into_owned();
        Err(EditError::Interleaved { name })
    };
    for (section, _) in sections.headers.iter().zip(goes).filter(|(_, goes)| **goes) {
        if section.offset < loaded_end {
            return interleaved(section);
        }
    }
    let new_index = new_indices(goes);
    let image = patch.image();
    for table in sections.headers.iter().filter(|section| section.kind == SHT_DYNSYM) {
        let (entry_bytes, section_at) = symbol_shape(&image);
        for index in 0..table.size_bytes / entry_bytes {
            let at = table.offset.saturating_add(index * entry_bytes + section_at);
            let section = image.u16(at, "a dynamic symbol")?;
            let stays = new_index.get(usize::from(section)) == Some(&Some(section));
            if section < SHN_LORESERVE && !stays {
                return interleaved(table);
            }
        }
    }
    Ok(())
}

/// Size of a symbol, and where in it the index of its section is.
fn symbol_shape(image: &Image<'_>) -> (u64, u64) {
    (image.symbol_bytes(), if image.is_64() { 6 } else { 14 })
}

/// Drops the symbols of sections that go, and lets the others know the new indices.
fn drop_symbols(
    patch: &mut Patch,
    sections: &mut Sections,
    goes: &[bool],
) -> Result<(), EditError> {
    let is_at_rest = |section: &RawSection| section.flags & SHF_ALLOC == 0;
    for section in sections.headers.iter().zip(goes).filter(|(it, goes)| is_at_rest(it) && !**goes)
    {
        if matches!(section.0.kind, SHT_REL | SHT_RELA | SHT_SYMTAB_SHNDX) {
            // Linked with `--emit-relocs`: they count the symbols.
            let name = String::from_utf8_lossy(sections.name(section.0)).into_owned();
            return Err(EditError::Interleaved { name });
        }
    }
    let new_index = new_indices(goes);
    for table in sections.headers.iter_mut().filter(|it| it.kind == SHT_SYMTAB && is_at_rest(it)) {
        let (entry_bytes, section_at) = symbol_shape(&patch.image());
        let count = table.size_bytes / entry_bytes;
        let (mut kept, mut locals) = (Vec::new(), 0);
        for index in 0..count {
            let at = table.offset.saturating_add(index * entry_bytes);
            let section = patch.image().u16(at.saturating_add(section_at), "a symbol")?;
            if section < SHN_LORESERVE && section > 0 {
                match new_index.get(usize::from(section)) {
                    Some(Some(new)) => patch.put_u16(at + section_at, *new)?,
                    _ => continue,
                }
            }
            locals += u32::from(index < u64::from(table.info));
            kept.extend(patch.image().slice(at, entry_bytes, "a symbol")?);
        }
        patch.put(table.offset, &kept)?;
        table.size_bytes = kept.len() as u64;
        table.info = locals;
    }
    Ok(())
}

/// The index of each section when those that go are gone.
fn new_indices(goes: &[bool]) -> Vec<Option<u16>> {
    let mut next = 0;
    let index = |goes: &bool| {
        let index = (!goes).then_some(next);
        next += u16::from(!goes);
        index
    };
    goes.iter().map(index).collect()
}

impl Sections {
    /// Removes the headers that go, and lets links follow.
    fn remove(&mut self, goes: &[bool]) {
        let new = new_indices(goes);
        let follow = |index: u32| {
            let new = usize::try_from(index).ok().and_then(|index| new.get(index).copied());
            new.flatten().map_or(0, u32::from)
        };
        let mut index = 0;
        self.headers.retain(|_| {
            index += 1;
            !goes[index - 1]
        });
        for section in &mut self.headers {
            section.link = follow(section.link);
            if matches!(section.kind, SHT_REL | SHT_RELA) {
                section.info = follow(section.info);
            }
        }
        self.names_index = new[self.names_index].map_or(0, usize::from);
    }
}

/// What is left of a library when all that is loaded is taken out, but for its notes: they hold the
/// build id, by which debuggers find the file.
fn debug_file(
    library: &Patch,
    facts: &ElfFacts,
    mut sections: Sections,
) -> Result<Vec<u8>, EditError> {
    let image = library.image();
    let mut file =
        Patch::new(image.slice(0, image.header_bytes(), "the ELF header")?, facts.identity);
    let table_at = image.field(28, 32, "e_phoff")?;
    let entry_bytes: u64 = if image.is_64() { 56 } else { 32 };
    let length = facts.segments.len() as u64 * entry_bytes;
    file.bytes.extend(image.slice(table_at, length, "the program header table")?);
    file.put_field(0, 28, 32, image.header_bytes())?;
    let mut moved = Vec::new();
    for section in &mut sections.headers {
        if !section.is_in_file() {
            continue;
        }
        let mut at = align_up(file.image().size_bytes(), sane_align(section.align))?;
        if is_kept(section) {
            at = align_up(file.image().size_bytes(), copied_align(section.align))?;
            let data = image.slice(section.offset, section.size_bytes, "a section")?;
            file.pad_to(at)?;
            file.bytes.extend(data);
            moved.push((section.offset, section.size_bytes, at));
        } else {
            section.kind = SHT_NOBITS;
        }
        section.offset = at;
    }
    for (index, segment) in (0_u64..).zip(&facts.segments) {
        let header = image.header_bytes() + index * entry_bytes;
        let note = moved.iter().find(|(offset, length, _)| {
            segment.kind == SegmentKind::Other(PT_NOTE)
                && (*offset, *length) == (segment.offset, segment.file_size_bytes)
        });
        if let Some((_, _, at)) = note {
            file.put_field(header, 4, 8, *at)?;
        } else {
            // Congruent with the address, as the loader would ask, although nothing is there.
            let offset = segment.address & (sane_align(segment.align) - 1);
            file.put_field(header, 4, 8, offset)?;
            file.put_field(header, 16, 32, 0)?;
        }
    }
    sections.append(&mut file)?;
    Ok(file.bytes)
}

/// Where the last segment ends in the file.
fn loaded_end(segments: &[Segment]) -> u64 {
    in_file(segments).map(|part| part.end).max().unwrap_or(0)
}

/// An alignment that is a power of two and no larger than a page.
fn sane_align(align: u64) -> u64 {
    if align.is_power_of_two() { align.min(4096) } else { 1 }
}

/// The alignment of a section that is copied and not loaded: its header is no shorter than the
/// zeros before it.
fn copied_align(align: u64) -> u64 {
    sane_align(align).min(32)
}

/// Checks that the library says what it said, and the other file is what a debugger looks for.
fn verify(bytes: &[u8], before: &ElfFacts, split: &DebugSplit) -> Result<(), EditError> {
    let doubtful = |what: &str| Err(EditError::Doubtful { what: what.to_owned() });
    let after = ElfFacts::read(&split.library)?;
    let expected = ElfFacts {
        sections: after.sections.clone(),
        used_bytes: after.used_bytes,
        ..before.clone()
    };
    if expected != after {
        return doubtful("its facts");
    }
    if after.sections.table != SectionTable::Whole || after.sections.has_debug_info {
        return doubtful("its section headers");
    }
    let header = usize::from(before.identity.class == crate::Class::Elf64) * 12 + 52;
    let end = usize::try_from(loaded_end(&before.segments)).unwrap_or(usize::MAX);
    if bytes.get(header..end) != split.library.get(header..end) {
        return doubtful("what is loaded");
    }
    match ElfFacts::read(&split.debug) {
        Ok(debug) if debug.kind == FileKind::DebugOnly => Ok(()),
        Ok(_) => doubtful("the debug file is not known as one"),
        Err(_) => doubtful("the debug file cannot be read"),
    }
}
