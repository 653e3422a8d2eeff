//! Where functions start and end, by the tables that unwinding reads: they stay when symbols are
//! stripped, and the compilers write them for every function.
//!
//! Source: the LSB, "Exception Frames"; the DWARF 5 standard, section 6.4.1.

use crate::image::Image;
use crate::sections::sections_called;
use crate::segments::{LoadMap, Segment, SegmentKind};

/// A piece of code that belongs to one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeRange {
    /// Address of its first byte.
    pub(crate) start: u64,
    /// Address behind its last byte, above `start`.
    pub(crate) end: u64,
    /// Whether exceptions may enter it in its middle.
    pub(crate) has_landing_pads: bool,
}

/// How a record encodes a pointer, `DW_EH_PE_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Encoding(u8);

impl Encoding {
    const OMIT: Self = Self(0xff);
    const ABSOLUTE: Self = Self(0);
}

/// What one common record says about those that name it.
#[derive(Debug, Clone, Copy)]
struct Common {
    pointers: Encoding,
    landing_pads: Encoding,
    has_data: bool,
}

/// Longest augmentation string that is read; compilers write five letters at most.
const MOST_LETTERS: u64 = 8;

/// The ranges that `.eh_frame` lists, in its order; none where there is no such table.
///
/// What follows damage is left out. Takes time in proportion to the table.
pub(crate) fn code_ranges(
    image: &Image<'_>,
    segments: &[Segment],
    map: &LoadMap<'_>,
) -> Vec<CodeRange> {
    let Some((address, table)) = find_table(image, segments, map) else { return Vec::new() };
    let mut reader = Reader { table, address, at: 0 };
    let mut ranges = Vec::new();
    let mut common: Option<(u64, Common)> = None;
    while let Some(length) = reader.u32().filter(|&length| length != 0) {
        let start = reader.at;
        let end = start + u64::from(length);
        if length == u32::MAX || end > table.size_bytes() {
            break; // a table of 4 GiB, or damage
        }
        let Some(id) = reader.u32() else { break };
        if id != 0 {
            let Some(of) = start.checked_sub(id.into()) else { break };
            if common.is_none_or(|(at, _)| at != of) {
                let mut reader = Reader { at: of, ..reader };
                common = reader.common().map(|common| (of, common));
            }
            ranges.extend(common.and_then(|(_, common)| reader.range(common)));
        }
        reader.at = end;
    }
    ranges
}

/// The address of `.eh_frame` and its bytes up to the end of its segment or section.
fn find_table<'a>(
    image: &Image<'a>,
    segments: &[Segment],
    map: &LoadMap<'a>,
) -> Option<(u64, Image<'a>)> {
    const WHAT: &str = "the unwinding tables";
    let by_segment = || {
        let index = segments.iter().find(|segment| segment.kind == SegmentKind::GnuEhFrame)?;
        let header = map.bytes_at(index.address, 8, WHAT).ok()?;
        let mut reader = Reader { table: header, address: index.address, at: 1 };
        let encoding = Encoding(reader.u8()?);
        reader.at = 4;
        let address = reader.pointer(encoding)?;
        Some((address, map.bytes_at(address, 4, WHAT).ok()?))
    };
    let by_section = || {
        let section = *sections_called(image, b".eh_frame").first()?;
        let table = image.part(section.offset, section.size_bytes, WHAT).ok()?;
        Some((section.address, table))
    };
    by_segment().or_else(by_section)
}

#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    table: Image<'a>,
    /// Where the table lies in the loaded image.
    address: u64,
    at: u64,
}

impl Reader<'_> {
    const WHAT: &'static str = "an unwinding record";

    fn u8(&mut self) -> Option<u8> {
        let byte = self.table.slice(self.at, 1, Self::WHAT).ok()?[0];
        self.at += 1;
        Some(byte)
    }

    fn u32(&mut self) -> Option<u32> {
        let value = self.table.u32(self.at, Self::WHAT).ok()?;
        self.at += 4;
        Some(value)
    }

    /// Skips or reads a number in LEB128, of at most 10 bytes.
    fn leb128(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn pointer(&mut self, encoding: Encoding) -> Option<u64> {
        let from = match encoding.0 & 0x70 {
            0 => 0,
            0x10 => self.address.wrapping_add(self.at),
            _ => return None,
        };
        self.number(encoding).map(|value| from.wrapping_add(value))
    }

    fn number(&mut self, encoding: Encoding) -> Option<u64> {
        let (at, what) = (self.at, Self::WHAT);
        let (value, bytes) = match encoding.0 & 0xf {
            0 => (self.table.word(at, what).ok()?, self.table.word_bytes()),
            2 => (self.table.u16(at, what).ok()?.into(), 2),
            3 => (self.table.u32(at, what).ok()?.into(), 4),
            0xa => (i64::from(self.table.u16(at, what).ok()?.cast_signed()).cast_unsigned(), 2),
            0xb => (i64::from(self.table.u32(at, what).ok()?.cast_signed()).cast_unsigned(), 4),
            4 | 0xc => (self.table.u64(at, what).ok()?, 8),
            _ => return None,
        };
        self.at += bytes;
        Some(value)
    }

    /// Reads the common record at `at`.
    fn common(&mut self) -> Option<Common> {
        let _length = self.u32()?;
        if self.u32()? != 0 {
            return None;
        }
        let version = self.u8()?;
        let start = self.at;
        while self.u8()? != 0 {
            if self.at - start > MOST_LETTERS {
                return None;
            }
        }
        let letters = self.table.slice(start, self.at - 1 - start, Self::WHAT).ok()?;
        self.leb128()?; // alignment of code and of data
        self.leb128()?;
        if version == 1 {
            self.u8()?;
        } else {
            self.leb128()?;
        }
        let mut common = Common {
            pointers: Encoding::ABSOLUTE,
            landing_pads: Encoding::OMIT,
            has_data: letters.first() == Some(&b'z'),
        };
        if common.has_data {
            self.leb128()?;
        }
        for letter in letters {
            match letter {
                b'L' => common.landing_pads = Encoding(self.u8()?),
                b'R' => common.pointers = Encoding(self.u8()?),
                b'P' => {
                    let encoding = Encoding(self.u8()?);
                    self.number(encoding)?;
                }
                b'z' | b'S' | b'B' => {}
                _ => return None,
            }
        }
        Some(common)
    }

    /// Reads what follows the name of the common record.
    fn range(&mut self, common: Common) -> Option<CodeRange> {
        let start = self.pointer(common.pointers)?;
        let end = start.checked_add(self.number(common.pointers)?).filter(|&end| end > start)?;
        let has_landing_pads = common.has_data && common.landing_pads != Encoding::OMIT && {
            self.leb128()?;
            self.number(common.landing_pads)? != 0
        };
        Some(CodeRange { start, end, has_landing_pads })
    }
}
