//! Checked writes at file offsets, in the class and byte order of the file.

use std::ops::Range;

use crate::edit::EditError;
use crate::error::ElfError;
use crate::identity::{Class, Endian, Identity};
use crate::image::Image;

/// Most zeros that are put between two parts of a file.
const MOST_PADDING: usize = 2 << 20;

/// A file that is being edited, and where.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) bytes: Vec<u8>,
    class: Class,
    endian: Endian,
    changed: Vec<Range<u64>>,
}

impl Patch {
    pub(crate) fn new(bytes: &[u8], identity: Identity) -> Self {
        Self {
            bytes: bytes.to_owned(),
            class: identity.class,
            endian: identity.endian,
            changed: Vec::new(),
        }
    }

    /// The file as it is now.
    pub(crate) fn image(&self) -> Image<'_> {
        Image::new(&self.bytes, self.class, self.endian)
    }

    /// Writes `data` over what is at `offset`.
    pub(crate) fn put(&mut self, offset: u64, data: &[u8]) -> Result<(), EditError> {
        let length = data.len() as u64;
        let old = self.image().slice(offset, length, "what is edited")?;
        if old == data {
            return Ok(());
        }
        let start = usize::try_from(offset).expect("the slice above is in memory");
        self.bytes[start..start + data.len()].copy_from_slice(data);
        self.changed.push(offset..offset + length);
        Ok(())
    }

    pub(crate) fn put_u16(&mut self, offset: u64, value: u16) -> Result<(), EditError> {
        let data = encode(self.endian, value.to_le_bytes());
        self.put(offset, &data)
    }

    pub(crate) fn put_u32(&mut self, offset: u64, value: u32) -> Result<(), EditError> {
        let data = encode(self.endian, value.to_le_bytes());
        self.put(offset, &data)
    }

    /// Writes an address, an offset or a dynamic tag.
    pub(crate) fn put_word(&mut self, offset: u64, value: u64) -> Result<(), EditError> {
        let data = self.word(value)?;
        self.put(offset, &data)
    }

    /// Writes a word at `offset_32` or at `offset_64` past `start`, by the file's class.
    pub(crate) fn put_field(
        &mut self,
        start: u64,
        offset_32: u64,
        offset_64: u64,
        value: u64,
    ) -> Result<(), EditError> {
        let is_64 = self.class == Class::Elf64;
        self.put_word(start + if is_64 { offset_64 } else { offset_32 }, value)
    }

    /// An address, an offset or a dynamic tag as bytes.
    pub(crate) fn word(&self, value: u64) -> Result<Vec<u8>, EditError> {
        if self.class == Class::Elf64 {
            return Ok(encode(self.endian, value.to_le_bytes()).to_vec());
        }
        let value = u32::try_from(value)
            .map_err(|_| EditError::TooLarge { what: "an address of more than 32 bits" })?;
        Ok(encode(self.endian, value.to_le_bytes()).to_vec())
    }

    /// A number of 32 bits as bytes.
    pub(crate) fn half(&self, value: u32) -> [u8; 4] {
        encode(self.endian, value.to_le_bytes())
    }

    /// Fills the file with zeros up to `offset`, which is never far.
    pub(crate) fn pad_to(&mut self, offset: u64) -> Result<(), EditError> {
        let missing = offset.saturating_sub(self.bytes.len() as u64);
        let missing = usize::try_from(missing)
            .ok()
            .filter(|missing| *missing <= MOST_PADDING)
            .ok_or(EditError::TooLarge { what: "so many zeros" })?;
        self.bytes.resize(self.bytes.len() + missing, 0);
        Ok(())
    }

    /// The ranges that were written so far, in order and merged, without what lies in none of
    /// `within`.
    pub(crate) fn changed(&self, within: &[Range<u64>]) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = self
            .changed
            .iter()
            .flat_map(|range| {
                within.iter().map(|part| range.start.max(part.start)..range.end.min(part.end))
            })
            .filter(|range| range.start < range.end)
            .collect();
        ranges.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// Bytes in the order of the file, from little-endian ones.
fn encode<const N: usize>(endian: Endian, mut bytes: [u8; N]) -> [u8; N] {
    if endian == Endian::Big {
        bytes.reverse();
    }
    bytes
}

/// `value` rounded up to a multiple of `align`, a power of two.
pub(crate) fn align_up(value: u64, align: u64) -> Result<u64, EditError> {
    let mask = align.max(1) - 1;
    let sum = value.checked_add(mask).ok_or_else(|| ElfError::Overflow {
        what: "what is appended".to_owned(),
        start: value,
        length: mask,
    })?;
    Ok(sum & !mask)
}
