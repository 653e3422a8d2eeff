//! Room for what does not fit where it was, without moving anything that is loaded.
//!
//! The last segment grows where it can: the zeros behind its bytes (`.bss`) come to the file, the
//! new parts follow them, and what no segment holds (debug information, section headers) moves on.
//! The program headers stay as many as they were, so every tool still reads the file, `strip`
//! included. Where that cannot be — many zeros, a last segment that may not be written, a file in
//! another order — a new segment goes to the end of the file, and the program header table with
//! it: what follows the table in its old place is never written over.

use std::ops::Range;

use crate::edit::patch::{Patch, align_up};
use crate::edit::section::Sections;
use crate::edit::strings::Table;
use crate::edit::{EditError, Layout};
use crate::segments::{Segment, SegmentKind};
use crate::spec::{PT_DYNAMIC, PT_LOAD, PT_NULL, PT_PHDR, SHF_ALLOC};

/// Most zeros that are written to the file for a segment to grow.
const MOST_ZEROS: u64 = 1 << 20;
/// Least alignment of a new segment: the smallest page.
const LEAST_PAGE_BYTES: u64 = 4096;
/// Highest end of a segment behind which something is put, so that no sum wraps around.
const HIGHEST_END: u64 = 1 << 62;
/// What the offset of everything that moves on stays congruent by.
const TAIL_ALIGN: u64 = 64;
/// Alignment of what is appended; enough for any entry of the dynamic section.
const PART_ALIGN: u64 = 16;

/// `p_flags` of a new segment.
const READ_ONLY: u32 = 4;
const READ_WRITE: u32 = 6;

/// What does not fit.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The string table, when it grew, and its old address.
    pub(crate) strings: Option<(&'a Table, u64)>,
    /// How many bytes of dynamic section there shall be, when there is no room for its entries,
    /// and its old address.
    pub(crate) dynamic: Option<(u64, u64)>,
}

/// Where there is room for it.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) layout: Layout,
    /// Where the string table starts.
    pub(crate) strings: Option<At>,
    /// Where the dynamic section starts.
    pub(crate) dynamic: Option<At>,
}

/// A place in the file and in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) offset: u64,
    pub(crate) address: u64,
}

/// Makes room in the file and in its headers, and writes the string table; the dynamic section is
/// zeros still.
pub(crate) fn make_room(
    patch: &mut Patch,
    segments: &[Segment],
    request: &Request<'_>,
) -> Result<Room, EditError> {
    // Damaged section headers stay as they are: the loader does not read them.
    let sections = Sections::read(&patch.image());
    let is_damaged = sections.is_err();
    let sections = sections.ok().flatten();
    let last = segments
        .iter()
        .enumerate()
        .filter(|(_, segment)| segment.kind == SegmentKind::Load)
        .max_by_key(|(_, segment)| segment.address);
    let Some((index, last)) = last else {
        return Err(EditError::TooLarge { what: "anything in a file without a segment" });
    };
    if last.address + last.memory_size_bytes > HIGHEST_END {
        return Err(EditError::TooLarge { what: "a new part at the end of all addresses" });
    }
    if !is_damaged && can_grow(last, segments, request) {
        grow_segment(patch, (index, last), request, sections)
    } else {
        add_segment(patch, last, segments, request, sections)
    }
}

/// Where in the file the segments lie, loadable or not.
pub(crate) fn in_file(segments: &[Segment]) -> impl Iterator<Item = Range<u64>> {
    segments
        .iter()
        // Only the flags of PT_GNU_STACK mean something; the others were found inside the file.
        .filter(|segment| segment.kind != SegmentKind::GnuStack && segment.file_size_bytes > 0)
        .map(|segment| segment.offset..segment.offset.saturating_add(segment.file_size_bytes))
}

fn can_grow(last: &Segment, segments: &[Segment], request: &Request<'_>) -> bool {
    let end = last.offset + last.file_size_bytes; // LoadMap found it inside the file
    let zeros = last.memory_size_bytes - last.file_size_bytes;
    let is_behind_all = in_file(segments).all(|part| part.end <= end);
    let may_hold = last.is_writable() || request.dynamic.is_none();
    may_hold && !last.is_executable() && zeros <= MOST_ZEROS && is_behind_all
}

fn grow_segment(
    patch: &mut Patch,
    (index, last): (usize, &Segment),
    request: &Request<'_>,
    sections: Option<Sections>,
) -> Result<Room, EditError> {
    let old_end = last.offset + last.file_size_bytes;
    let memory_end = last.address + last.memory_size_bytes;
    let offset_of = |address: u64| last.offset + (address - last.address);
    // A table that ends the segment, as after an earlier edit, just becomes longer.
    let longer = request.strings.filter(|(table, address)| {
        request.dynamic.is_none()
            && last.file_size_bytes == last.memory_size_bytes
            && address + table.old_part().len() as u64 == memory_end
    });
    let (mut parts, mut room) = (Vec::new(), Room::new(Layout::GrownSegment));
    let start = if let Some((table, address)) = longer {
        parts.extend(table.appended());
        room.strings = Some(At { offset: offset_of(address), address });
        memory_end
    } else {
        let start = align_up(memory_end, PART_ALIGN)?;
        room.put_parts(&mut parts, At { offset: offset_of(start), address: start }, request)?;
        start
    };
    let part_end = offset_of(start) + parts.len() as u64;
    let kept = sections.as_ref().map_or(patch.image().size_bytes(), |sections| {
        sections.end_without_table(patch.image().size_bytes()).max(old_end)
    });
    let shift = align_up(part_end - old_end, TAIL_ALIGN)?;

    let cut = |at: u64| usize::try_from(at).expect("it is inside the file");
    let tail = patch.bytes[cut(old_end)..cut(kept)].to_owned();
    patch.bytes.truncate(cut(old_end));
    patch.pad_to(offset_of(start))?;
    patch.bytes.extend(parts);
    if sections.is_some() || !tail.is_empty() {
        patch.pad_to(old_end + shift)?;
        patch.bytes.extend(tail);
    }

    let header = program_header(patch, index)?;
    let size_bytes = part_end - last.offset;
    patch.put_field(header, 16, 32, size_bytes)?;
    patch.put_field(header, 20, 40, size_bytes)?;
    if let Some(mut sections) = sections {
        for section in &mut sections.headers {
            if section.flags & SHF_ALLOC == 0 && section.offset >= old_end {
                // Sections without bytes may say anything.
                section.offset = section.offset.saturating_add(shift);
            }
        }
        sections.fill_zeros(last)?;
        sections.follow(patch, &room, request, longer.is_some())?;
        sections.append(patch)?;
    }
    room.point_program_header(patch, request)?;
    Ok(room)
}

fn add_segment(
    patch: &mut Patch,
    last: &Segment,
    segments: &[Segment],
    request: &Request<'_>,
    sections: Option<Sections>,
) -> Result<Room, EditError> {
    let loaded_end = in_file(segments).map(|part| part.end).max().unwrap_or(0);
    let size_bytes = patch.image().size_bytes();
    let kept = sections
        .as_ref()
        .map_or(size_bytes, |sections| sections.end_without_table(size_bytes).max(loaded_end));
    patch.bytes.truncate(usize::try_from(kept).expect("it is inside the file"));

    let align = segments
        .iter()
        .filter(|segment| segment.kind == SegmentKind::Load)
        .map(|segment| segment.align)
        .fold(LEAST_PAGE_BYTES, u64::max);
    let offset = align_up(kept, PART_ALIGN)?;
    let page = align_up(last.address + last.memory_size_bytes, align)?;
    let start = At { offset, address: page + offset % align };

    let mut table = ProgramTable::read(patch)?;
    let moves = !table.remove_spare(patch);
    let mut room = Room::new(Layout::NewSegment);
    let mut parts = Vec::new();
    if moves {
        parts.resize((table.entries.len() + 1) * table.entry_bytes, 0);
        parts.resize(parts.len().next_multiple_of(16), 0);
    }
    room.put_parts(&mut parts, start, request)?;
    patch.pad_to(offset)?;
    patch.bytes.extend(&parts);

    let at = if moves { offset } else { table.at };
    // glibc before 2.35 writes into the dynamic section.
    let flags = if request.dynamic.is_some() { READ_WRITE } else { READ_ONLY };
    table.entries.push(load_header(patch, flags, start, parts.len() as u64, align)?);
    let bytes = table.entries.concat();
    let count = u16::try_from(table.entries.len())
        .ok()
        .filter(|count| *count < u16::MAX)
        .ok_or(EditError::TooLarge { what: "one more program header" })?;
    patch.put(at, &bytes)?;
    patch.put_field(0, 28, 32, at)?;
    patch.put_u16(if patch.image().is_64() { 56 } else { 44 }, count)?;
    if moves && let Some(header) = find_program_header(patch, PT_PHDR)? {
        put_extent(patch, header, start, bytes.len() as u64)?;
    }
    if let Some(mut sections) = sections {
        sections.follow(patch, &room, request, false)?;
        sections.append(patch)?;
    }
    room.point_program_header(patch, request)?;
    Ok(room)
}

impl Room {
    fn new(layout: Layout) -> Self {
        Self { layout, strings: None, dynamic: None }
    }

    /// Adds what was asked for to `parts`, which start at `start`; the strings come last, so that
    /// they can become longer.
    fn put_parts(
        &mut self,
        parts: &mut Vec<u8>,
        start: At,
        request: &Request<'_>,
    ) -> Result<(), EditError> {
        let next = |parts: &Vec<u8>| {
            let at = parts.len() as u64;
            At { offset: start.offset + at, address: start.address + at }
        };
        if let Some((length, _)) = request.dynamic {
            self.dynamic = Some(next(parts));
            let length = usize::try_from(length)
                .map_err(|_| EditError::TooLarge { what: "a dynamic section" })?;
            parts.resize(parts.len() + length, 0);
        }
        if let Some((table, _)) = request.strings {
            self.strings = Some(next(parts));
            parts.extend(&table.bytes);
        }
        Ok(())
    }

    /// Lets `PT_DYNAMIC` say where the dynamic section lies now.
    fn point_program_header(
        &self,
        patch: &mut Patch,
        request: &Request<'_>,
    ) -> Result<(), EditError> {
        let (Some(at), Some((length, _))) = (self.dynamic, request.dynamic) else {
            return Ok(());
        };
        if let Some(header) = find_program_header(patch, PT_DYNAMIC)? {
            put_extent(patch, header, at, length)?;
        }
        Ok(())
    }
}

/// The program headers as they are stored.
struct ProgramTable {
    at: u64,
    entry_bytes: usize,
    entries: Vec<Vec<u8>>,
}

impl ProgramTable {
    fn read(patch: &Patch) -> Result<Self, EditError> {
        let image = patch.image();
        let (at, entry_bytes, count) = table_shape(patch)?;
        let table = image.slice(at, entry_bytes * count, "the program header table")?;
        let entry_bytes = usize::try_from(entry_bytes).expect("it is 32 or 56");
        Ok(Self {
            at,
            entry_bytes,
            entries: table.chunks(entry_bytes).map(<[u8]>::to_owned).collect(),
        })
    }

    /// Removes a header that says nothing, whose room another can have.
    fn remove_spare(&mut self, patch: &Patch) -> bool {
        let spare = self.entries.iter().position(|entry| entry[..4] == patch.half(PT_NULL));
        spare.map(|index| self.entries.remove(index)).is_some()
    }
}

/// Offset, size of an entry and number of the program headers.
fn table_shape(patch: &Patch) -> Result<(u64, u64, u64), EditError> {
    let image = patch.image();
    let (size_at, count_at) = if image.is_64() { (54, 56) } else { (42, 44) };
    Ok((
        image.field(28, 32, "e_phoff")?,
        image.u16(size_at, "e_phentsize")?.into(),
        image.u16(count_at, "e_phnum")?.into(),
    ))
}

/// Where the program header `index` lies.
pub(crate) fn program_header(patch: &Patch, index: usize) -> Result<u64, EditError> {
    let (at, entry_bytes, _) = table_shape(patch)?;
    Ok(at + index as u64 * entry_bytes)
}

fn find_program_header(patch: &Patch, kind: u32) -> Result<Option<u64>, EditError> {
    let (at, entry_bytes, count) = table_shape(patch)?;
    for header in (0..count).map(|index| at + index * entry_bytes) {
        if patch.image().u32(header, "p_type")? == kind {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// Sets where the segment of a program header lies.
fn put_extent(patch: &mut Patch, header: u64, at: At, length: u64) -> Result<(), EditError> {
    patch.put_field(header, 4, 8, at.offset)?;
    patch.put_field(header, 8, 16, at.address)?;
    patch.put_field(header, 12, 24, at.address)?;
    patch.put_field(header, 16, 32, length)?;
    patch.put_field(header, 20, 40, length)
}

fn load_header(
    patch: &Patch,
    flags: u32,
    at: At,
    length: u64,
    align: u64,
) -> Result<Vec<u8>, EditError> {
    let (kind, flags) = (patch.half(PT_LOAD), patch.half(flags));
    let words = [at.offset, at.address, at.address, length, length]
        .iter()
        .map(|word| patch.word(*word))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let align = patch.word(align)?;
    Ok(if patch.image().is_64() {
        [&kind[..], &flags, &words, &align].concat()
    } else {
        [&kind[..], &words, &flags, &align].concat()
    })
}
