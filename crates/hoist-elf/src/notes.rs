//! Notes: what the linker and the compilers wrote about the library, read through program headers.
//!
//! Source: the gABI, "Note Section"; the Linux extensions to it for `NT_GNU_PROPERTY_TYPE_0`; the
//! x86-64 psABI, "Program Property".

use crate::image::Image;
use crate::segments::{Segment, SegmentKind};

const NT_GNU_BUILD_ID: u32 = 3;
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const PROPERTY_X86_FEATURES: u32 = 0xc000_0002;
const PROPERTY_X86_ISA_NEEDED: u32 = 0xc000_8002;
const PROPERTY_X86_ISA_USED: u32 = 0xc001_0002;

/// Longest build id that is kept, in bytes; linkers write 20 at most.
const MOST_BUILD_ID_BYTES: usize = 64;

/// What the notes say. Nothing in them is needed to load the library, so what is damaged is left
/// out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// `NT_GNU_BUILD_ID`, by which debug information is found; its first 64 bytes.
    pub build_id: Option<Vec<u8>>,
    /// `GNU_PROPERTY_X86_ISA_1_NEEDED`, a bit for each level of the x86-64 psABI, the lowest for
    /// the baseline: the loader refuses a processor without one of them.
    pub isa_needed: Option<u32>,
    /// `GNU_PROPERTY_X86_ISA_1_USED`, levels that some code uses, in the same bits.
    pub isa_used: Option<u32>,
    /// `GNU_PROPERTY_X86_FEATURE_1_AND`: bit 0 is indirect branch tracking, bit 1 a shadow stack.
    pub x86_features: Option<u32>,
}

pub(crate) fn read_notes(image: &Image<'_>, segments: &[Segment]) -> Notes {
    let mut notes = Notes::default();
    // Segments may lie over the same bytes, and a small file must stay little work.
    let mut bytes_left = image.size_bytes();
    let of_notes =
        |segment: &&Segment| matches!(segment.kind, SegmentKind::Note | SegmentKind::GnuProperty);
    for segment in segments.iter().filter(of_notes) {
        // Most segments are aligned to 4 bytes; those with properties of 64-bit files to 8.
        let align = if segment.align == 8 { 8 } else { 4 };
        let Some(left) = bytes_left.checked_sub(segment.file_size_bytes) else { continue };
        bytes_left = left;
        let part = image.part(segment.offset, segment.file_size_bytes, "a segment of notes");
        part.ok().and_then(|part| read_segment(&part, align, &mut notes));
    }
    notes
}

/// Returns `None` where the segment is damaged.
fn read_segment(part: &Image<'_>, align: u64, notes: &mut Notes) -> Option<()> {
    const WHAT: &str = "a note";
    let mut at = 0;
    while at + 12 <= part.size_bytes() {
        let name_bytes = u64::from(part.u32(at, WHAT).ok()?);
        let value_bytes = u64::from(part.u32(at + 4, WHAT).ok()?);
        let kind = part.u32(at + 8, WHAT).ok()?;
        let value_at = (at + 12 + name_bytes).next_multiple_of(align);
        if part.slice(at + 12, name_bytes, WHAT).ok()? == b"GNU\0" {
            let value = part.part(value_at, value_bytes, WHAT).ok()?;
            match kind {
                NT_GNU_BUILD_ID => {
                    let shown = value.size_bytes().min(MOST_BUILD_ID_BYTES as u64);
                    notes.build_id = value.slice(0, shown, WHAT).ok().map(<[u8]>::to_vec);
                }
                NT_GNU_PROPERTY_TYPE_0 => {
                    let _ = read_properties(&value, notes);
                }
                _ => {}
            }
        }
        at = (value_at + value_bytes).next_multiple_of(align);
    }
    Some(())
}

fn read_properties(value: &Image<'_>, notes: &mut Notes) -> Option<()> {
    const WHAT: &str = "a property";
    let mut at = 0;
    while at + 8 <= value.size_bytes() {
        let kind = value.u32(at, WHAT).ok()?;
        let length = u64::from(value.u32(at + 4, WHAT).ok()?);
        let field = match kind {
            PROPERTY_X86_FEATURES => Some(&mut notes.x86_features),
            PROPERTY_X86_ISA_NEEDED => Some(&mut notes.isa_needed),
            PROPERTY_X86_ISA_USED => Some(&mut notes.isa_used),
            _ => None,
        };
        if let (Some(field), 4) = (field, length) {
            *field = Some(value.u32(at + 8, WHAT).ok()?);
        }
        at = (at + 8 + length).next_multiple_of(value.word_bytes());
    }
    Some(())
}
