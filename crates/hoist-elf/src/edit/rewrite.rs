//! From edits to the edited file.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::dynamic::Entries;
use crate::edit::dynamic::{Value, Wanted};
use crate::edit::grow::{Request, make_room, program_header};
use crate::edit::patch::Patch;
use crate::edit::strings::{Table, kept_indices, texts};
use crate::edit::verify::verify_edit;
use crate::edit::{Edit, EditError, Layout, Rewritten};
use crate::error::ElfError;
use crate::facts::{ElfFacts, FileKind};
use crate::identity::Machine;
use crate::image::Image;
use crate::segments::{LoadMap, Segment, SegmentKind};
use crate::spec::{DT_CHECKSUM, DT_GNU_PRELINKED, DT_NULL, DT_STRSZ, DT_STRTAB};
use crate::symbols::name_indices;
use crate::versions::version_names;

/// Machines whose dynamic sections hold addresses, sizes and names only.
const MACHINES: [Machine; 5] =
    [Machine::X86_64, Machine::AARCH64, Machine::I386, Machine::ARM, Machine::RISCV];

/// Edits a shared library.
///
/// Edits are made in their order. An edit that asks for what is so already changes nothing. Names
/// that nothing uses any more are wiped, so that a removed RUNPATH is not in the file any longer.
///
/// # Errors
///
/// When the library cannot be read or is of a kind that is not edited, when an edit cannot be
/// made, and, instead of a doubtful result, when [`verify_edit`] does not approve of it.
pub fn rewrite(bytes: &[u8], edits: &[Edit]) -> Result<Rewritten, EditError> {
    let facts = ElfFacts::read(bytes)?;
    if facts.kind != FileKind::SharedLibrary {
        return Err(EditError::NotALibrary { kind: facts.kind });
    }
    let machine = facts.identity.machine;
    if !MACHINES.contains(&machine) {
        return Err(EditError::Machine { machine });
    }
    let rewritten = edit(bytes, &facts, edits)?;
    verify_edit(bytes, &rewritten, edits)?;
    Ok(rewritten)
}

fn edit(bytes: &[u8], facts: &ElfFacts, edits: &[Edit]) -> Result<Rewritten, EditError> {
    let image = Image::new(bytes, facts.identity.class, facts.identity.endian);
    let map = LoadMap::new(image, &facts.segments)?;
    let segment = *facts.segment(SegmentKind::Dynamic).ok_or(ElfError::NoDynamicSection)?;
    let entries = Entries::read(&image, &segment)?;
    for (tag, entry) in [(DT_GNU_PRELINKED, "DT_GNU_PRELINKED"), (DT_CHECKSUM, "DT_CHECKSUM")] {
        if entries.get(tag).is_some() {
            return Err(EditError::Sealed { entry });
        }
    }
    let strings = StringTable::find(&map, &entries)?;
    let names = version_names(&map, &entries)?;
    let mut wanted = Wanted::new(&entries, &names, strings.bytes);
    for edit in edits {
        wanted.apply(edit)?;
    }

    let mut dropped: BTreeSet<u64> = kept_indices(&Wanted::new(&entries, &names, strings.bytes));
    let mut kept = kept_indices(&wanted);
    let symbols = (facts.symbols.len() as u64).saturating_add(1);
    let symbols = if facts.symbols.is_empty() { 0 } else { symbols };
    kept.extend(name_indices(&image, &map, &entries, symbols)?);
    dropped.retain(|index| !kept.contains(index));
    let mut table = Table::new(strings.bytes, &kept, &dropped);
    for text in texts(&wanted) {
        let index = table.place(&text)?;
        wanted.settle(&text, index);
    }

    let mut patch = Patch::new(bytes, facts.identity);
    if let Some(at) = strings.at {
        put_differences(&mut patch, at, strings.bytes, table.old_part())?;
    }
    for (before, name) in names.iter().zip(&wanted.names) {
        if let Value::Number(index) = name.value
            && index != before.index
        {
            let index = u32::try_from(index)
                .map_err(|_| EditError::TooLarge { what: "an index in the string table" })?;
            patch.put_u32(offset_of(&map, name.address)?, index)?;
        }
    }
    if edits.contains(&Edit::NonExecutableStack) {
        clear_stack_flag(&mut patch, facts)?;
    }

    let entry_bytes = 2 * image.word_bytes();
    let used = entries.iter().count() as u64 + 1; // with DT_NULL
    let room_for = used + free_entries(&image, &segment, used)?;
    let needed = wanted.entries.len() as u64 + 1;
    let request = Request {
        strings: table.has_grown().then_some((&table, strings.address)),
        dynamic: (needed > room_for).then_some((needed * entry_bytes, segment.address)),
    };
    let mut layout = Layout::InPlace;
    let mut dynamic_at = segment.offset;
    if request.strings.is_some() || request.dynamic.is_some() {
        if strings.at.is_none() {
            let (present, absent) = ("a name to write", "DT_STRTAB");
            return Err(ElfError::MissingEntry { present, absent }.into());
        }
        let room = make_room(&mut patch, &facts.segments, &request)?;
        layout = room.layout;
        dynamic_at = room.dynamic.map_or(dynamic_at, |at| at.offset);
        if let Some(at) = room.strings {
            wanted.set(DT_STRTAB, at.address);
            wanted.set(DT_STRSZ, table.bytes.len() as u64);
        }
    }
    let is_same =
        wanted.entries.len() == entries.iter().count()
            && wanted.entries.iter().zip(entries.iter()).all(|(entry, (tag, value))| {
                entry.tag == tag && entry.value == Value::Number(value)
            });
    if !is_same {
        check_dynamic_segment(&map, &segment)?;
        // Where it moved, there is just the room that is needed.
        let slots = if request.dynamic.is_some() { needed } else { needed.max(used) };
        put_entries(&mut patch, dynamic_at, &wanted, slots)?;
    }
    let within: Vec<Range<u64>> = file_ranges(&facts.segments).collect();
    let changed = patch.changed(&within);
    for range in &changed {
        check_loaded_once(range, &facts.segments)?;
    }
    Ok(Rewritten { changed, bytes: patch.bytes, layout })
}

/// Where in the file the loadable segments lie.
pub(crate) fn file_ranges(segments: &[Segment]) -> impl Iterator<Item = Range<u64>> {
    segments
        .iter()
        .filter(|segment| segment.kind == SegmentKind::Load)
        .map(|load| load.offset..load.offset.saturating_add(load.file_size_bytes))
}

/// The dynamic string table: its place, address and bytes.
struct StringTable<'a> {
    at: Option<u64>,
    address: u64,
    bytes: &'a [u8],
}

impl<'a> StringTable<'a> {
    fn find(map: &LoadMap<'a>, entries: &Entries) -> Result<Self, EditError> {
        let Some(address) = entries.get(DT_STRTAB) else {
            return Ok(Self { at: None, address: 0, bytes: &[] });
        };
        let length = entries.wanted(DT_STRSZ, "DT_STRSZ", "DT_STRTAB")?;
        let bytes = map.bytes_at(address, length, "DT_STRTAB")?.slice(0, length, "DT_STRTAB")?;
        Ok(Self { at: Some(offset_of(map, address)?), address, bytes })
    }
}

fn offset_of(map: &LoadMap<'_>, address: u64) -> Result<u64, EditError> {
    let segment = map.segment_at(address).ok_or(ElfError::Unmapped {
        what: "what is edited",
        address,
        length: 1,
    })?;
    Ok(segment.offset + (address - segment.address))
}

/// Writes the bytes that differ, and no others: the ranges say what was changed.
fn put_differences(
    patch: &mut Patch,
    at: u64,
    before: &[u8],
    after: &[u8],
) -> Result<(), EditError> {
    let mut start = 0;
    while start < after.len() {
        let Some(first) = (start..after.len()).find(|index| before[*index] != after[*index]) else {
            break;
        };
        let end = (first..after.len())
            .find(|index| before[*index] == after[*index])
            .unwrap_or(after.len());
        patch.put(at + first as u64, &after[first..end])?;
        start = end;
    }
    Ok(())
}

fn clear_stack_flag(patch: &mut Patch, facts: &ElfFacts) -> Result<(), EditError> {
    let stacks = facts.segments.iter().enumerate();
    let stack = stacks.rev().find(|(_, segment)| segment.kind == SegmentKind::GnuStack);
    let (index, segment) = stack.ok_or(EditError::NoStackHeader)?;
    let flags_at = if patch.image().is_64() { 4 } else { 24 };
    let header = program_header(patch, index)?;
    patch.put_u32(header + flags_at, segment.flags & !1)
}

/// How many entries of zeros follow the first `used`: what else stands there is not ours.
fn free_entries(image: &Image<'_>, segment: &Segment, used: u64) -> Result<u64, EditError> {
    let entry_bytes = 2 * image.word_bytes();
    let section = image.part(segment.offset, segment.file_size_bytes, "the dynamic section")?;
    let mut free = 0;
    while (used + free + 1) * entry_bytes <= section.size_bytes() {
        let entry = section.slice((used + free) * entry_bytes, entry_bytes, "d_tag")?;
        if entry.iter().any(|byte| *byte != 0) {
            break;
        }
        free += 1;
    }
    Ok(free)
}

/// Writes the entries, and `DT_NULL` to the rest of `slots`.
fn put_entries(
    patch: &mut Patch,
    at: u64,
    wanted: &Wanted<'_>,
    slots: u64,
) -> Result<(), EditError> {
    let word_bytes = patch.image().word_bytes();
    let mut bytes = Vec::new();
    for entry in &wanted.entries {
        let Value::Number(value) = entry.value else {
            return Err(EditError::Doubtful { what: "a name without a place".to_owned() });
        };
        bytes.extend(patch.word(entry.tag)?);
        bytes.extend(patch.word(value)?);
    }
    for _ in wanted.entries.len() as u64..slots {
        bytes.extend(patch.word(DT_NULL)?);
        bytes.extend(patch.word(0)?);
    }
    // Entry by entry: those that stay are not counted as changed.
    for (index, entry) in (0_u64..).zip(bytes.chunks(usize::from(word_bytes == 8) * 8 + 8)) {
        patch.put(at + index * 2 * word_bytes, entry)?;
    }
    Ok(())
}

/// Checks that the loader, which goes by the address, finds the bytes that the offset names.
fn check_dynamic_segment(map: &LoadMap<'_>, segment: &Segment) -> Result<(), EditError> {
    let length = segment.file_size_bytes;
    let found = map.bytes_at(segment.address, length, "PT_DYNAMIC");
    let is_there = found.is_ok() && offset_of(map, segment.address) == Ok(segment.offset);
    if is_there { Ok(()) } else { Err(EditError::DynamicElsewhere { offset: segment.offset }) }
}

fn check_loaded_once(range: &Range<u64>, segments: &[Segment]) -> Result<(), EditError> {
    let times = file_ranges(segments)
        .filter(|load| range.start < load.end && load.start < range.end)
        .count();
    if times > 1 {
        let (offset, length) = (range.start, range.end - range.start);
        return Err(EditError::Shared { offset, length, times });
    }
    Ok(())
}

impl Wanted<'_> {
    /// Puts the index of `text` where it is wanted.
    fn settle(&mut self, text: &str, index: u64) {
        let entries = self.entries.iter_mut().map(|entry| &mut entry.value);
        let names = self.names.iter_mut().map(|name| &mut name.value);
        for value in entries.chain(names) {
            if matches!(value, Value::Text(wanted) if wanted == text) {
                *value = Value::Number(index);
            }
        }
    }

    /// Sets the value of every entry with `tag`.
    fn set(&mut self, tag: u64, value: u64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.tag == tag) {
            entry.value = Value::Number(value);
        }
    }
}
