//! Program headers: what the loader maps, and where.

use crate::error::ElfError;
use crate::image::Image;
use crate::spec::{
    PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD,
    PT_NOTE, PT_TLS,
};

/// What a program header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the PT_ constants")]
pub enum SegmentKind {
    Load,
    Dynamic,
    Interpreter,
    Note,
    Tls,
    GnuEhFrame,
    GnuStack,
    GnuRelro,
    GnuProperty,
    Other(u32),
}

/// One program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// What it is for.
    pub kind: SegmentKind,
    /// `p_flags`.
    pub flags: u32,
    /// Where it starts in the file, in bytes.
    pub offset: u64,
    /// Where it starts in the loaded image, in bytes.
    pub address: u64,
    /// How many bytes of the file it holds.
    pub file_size_bytes: u64,
    /// How many bytes of memory it takes; those past the file's are zero.
    pub memory_size_bytes: u64,
    /// Alignment in bytes; 0 and 1 mean none.
    pub align: u64,
}

impl Segment {
    /// Whether its memory may run.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether its memory may be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether `address` lies in its memory.
    #[must_use]
    pub fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|at| at < self.memory_size_bytes)
    }
}

/// Reads the program headers; their contents are judged by [`LoadMap::new`].
pub(crate) fn read_segments(image: &Image<'_>) -> Result<Vec<Segment>, ElfError> {
    let table = image.field(28, 32, "e_phoff")?;
    let (size_at, count_at) = if image.is_64() { (54, 56) } else { (42, 44) };
    let entry_bytes = image.u16(size_at, "e_phentsize")?;
    let count = image.u16(count_at, "e_phnum")?;
    if count == 0 {
        return Ok(Vec::new());
    }
    if count == u16::MAX {
        // PN_XNUM: the true count is in a section, which the loader does not read.
        let (field, wanted) = ("e_phnum", "a count below 65535");
        return Err(ElfError::Field { field, offset: count_at, found: count.into(), wanted });
    }
    let wanted_bytes = if image.is_64() { 56 } else { 32 };
    if entry_bytes != wanted_bytes {
        let (field, wanted) = ("e_phentsize", if image.is_64() { "56" } else { "32" });
        return Err(ElfError::Field { field, offset: size_at, found: entry_bytes.into(), wanted });
    }
    let length = u64::from(count) * u64::from(entry_bytes);
    let headers = image.part(table, length, "the program header table")?;
    (0..count).map(|index| segment(&headers, u64::from(index) * u64::from(entry_bytes))).collect()
}

fn segment(headers: &Image<'_>, at: u64) -> Result<Segment, ElfError> {
    let kind = match headers.u32(at, "p_type")? {
        PT_LOAD => SegmentKind::Load,
        PT_DYNAMIC => SegmentKind::Dynamic,
        PT_INTERP => SegmentKind::Interpreter,
        PT_NOTE => SegmentKind::Note,
        PT_TLS => SegmentKind::Tls,
        PT_GNU_EH_FRAME => SegmentKind::GnuEhFrame,
        PT_GNU_STACK => SegmentKind::GnuStack,
        PT_GNU_RELRO => SegmentKind::GnuRelro,
        PT_GNU_PROPERTY => SegmentKind::GnuProperty,
        other => SegmentKind::Other(other),
    };
    let flags_at = if headers.is_64() { 4 } else { 24 };
    Ok(Segment {
        kind,
        flags: headers.u32(at + flags_at, "p_flags")?,
        offset: headers.field(at + 4, at + 8, "p_offset")?,
        address: headers.field(at + 8, at + 16, "p_vaddr")?,
        file_size_bytes: headers.field(at + 16, at + 32, "p_filesz")?,
        memory_size_bytes: headers.field(at + 20, at + 40, "p_memsz")?,
        align: headers.field(at + 28, at + 48, "p_align")?,
    })
}

/// The loadable segments, proved to be mappable: in order of address, apart, inside the file.
pub(crate) struct LoadMap<'a> {
    image: Image<'a>,
    loads: Vec<Segment>,
}

impl<'a> LoadMap<'a> {
    pub(crate) fn new(image: Image<'a>, segments: &[Segment]) -> Result<Self, ElfError> {
        let mut loads: Vec<Segment> = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            check_extent(&image, index, segment)?;
            if segment.kind != SegmentKind::Load {
                continue;
            }
            if let Some(before) = loads.last() {
                let end = before.address + before.memory_size_bytes; // checked when it was pushed
                if segment.address < end {
                    return Err(ElfError::SegmentsOverlap {
                        index: loads.len(),
                        before: loads.len() - 1,
                        address: segment.address,
                        end,
                    });
                }
            }
            loads.push(*segment);
        }
        Ok(Self { image, loads })
    }

    /// The loadable segment whose memory holds `address`.
    pub(crate) fn segment_at(&self, address: u64) -> Option<&Segment> {
        let after = self.loads.partition_point(|load| load.address <= address);
        self.loads[..after].last().filter(|load| load.holds(address))
    }

    /// The bytes of the file from `address` to the end of its segment, at least `length` of them.
    pub(crate) fn bytes_at(
        &self,
        address: u64,
        length: u64,
        what: &'static str,
    ) -> Result<Image<'a>, ElfError> {
        let unmapped = ElfError::Unmapped { what, address, length };
        let Some(segment) = self.segment_at(address) else { return Err(unmapped) };
        let within = address - segment.address;
        match segment.file_size_bytes.checked_sub(within) {
            Some(available) if available >= length => {
                self.image.part(segment.offset + within, available, what)
            }
            _ => Err(unmapped),
        }
    }
}

/// All the addresses that a process has, on the machines that have the most of them today.
const MOST_MEMORY_BYTES: u64 = 1 << 48;

/// Checks that a segment's bytes are in the file and its memory among the addresses.
fn check_extent(image: &Image<'_>, index: usize, segment: &Segment) -> Result<(), ElfError> {
    let what = || format!("segment {index}");
    if segment.kind == SegmentKind::GnuStack {
        return Ok(()); // only its flags mean something
    }
    if segment.file_size_bytes > 0 {
        image.slice(segment.offset, segment.file_size_bytes, &what())?;
    }
    let (start, length) = (segment.address, segment.memory_size_bytes);
    start.checked_add(length).ok_or_else(|| ElfError::Overflow { what: what(), start, length })?;
    if segment.kind != SegmentKind::Load {
        return Ok(());
    }
    let wrong = |field, found, wanted| {
        Err(ElfError::Field { field, offset: segment.offset, found, wanted })
    };
    if segment.file_size_bytes > segment.memory_size_bytes {
        return wrong("p_filesz of the segment", segment.file_size_bytes, "at most p_memsz");
    }
    if segment.memory_size_bytes > MOST_MEMORY_BYTES {
        return wrong("p_memsz of the segment", segment.memory_size_bytes, "at most 2^48");
    }
    if segment.align > 1 {
        if !segment.align.is_power_of_two() {
            return wrong("p_align of the segment", segment.align, "a power of two");
        }
        if segment.address.wrapping_sub(segment.offset) & (segment.align - 1) != 0 {
            let wanted = "equal to the file offset modulo p_align";
            return wrong("p_vaddr of the segment", segment.address, wanted);
        }
    }
    Ok(())
}
