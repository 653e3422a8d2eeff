//! Checked reads at file offsets, in the class and byte order of the file.

use crate::error::ElfError;
use crate::identity::{Class, Endian};

/// A file, or a part of it, with the class and byte order its header states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image<'a> {
    bytes: &'a [u8],
    class: Class,
    endian: Endian,
    /// Where a part starts in the file; `None` for the whole file.
    part_at: Option<u64>,
}

impl<'a> Image<'a> {
    /// A whole file.
    pub(crate) fn new(bytes: &'a [u8], class: Class, endian: Endian) -> Self {
        Self { bytes, class, endian, part_at: None }
    }

    /// Its size in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn is_64(&self) -> bool {
        self.class == Class::Elf64
    }

    /// Size of the ELF header.
    pub(crate) fn header_bytes(&self) -> u64 {
        if self.is_64() { 64 } else { 52 }
    }

    /// Size of an address, an offset or a dynamic tag.
    pub(crate) fn word_bytes(&self) -> u64 {
        if self.is_64() { 8 } else { 4 }
    }

    /// Size of an entry of the symbol table.
    pub(crate) fn symbol_bytes(&self) -> u64 {
        if self.is_64() { 24 } else { 16 }
    }

    /// The `length` bytes at `offset`; `what` they are is for the error.
    pub(crate) fn slice(&self, offset: u64, length: u64, what: &str) -> Result<&'a [u8], ElfError> {
        let truncated = || match self.part_at {
            None => ElfError::Truncated {
                what: what.to_owned(),
                offset,
                length,
                size_bytes: self.size_bytes(),
            },
            Some(start) => ElfError::OutsideSegment {
                what: what.to_owned(),
                offset: start.saturating_add(offset),
                length,
                end: start.saturating_add(self.size_bytes()),
            },
        };
        let end = offset.checked_add(length).ok_or_else(|| ElfError::Overflow {
            what: what.to_owned(),
            start: offset,
            length,
        })?;
        let start = usize::try_from(offset).map_err(|_| truncated())?;
        let end = usize::try_from(end).map_err(|_| truncated())?;
        self.bytes.get(start..end).ok_or_else(truncated)
    }

    /// A reader over the `length` bytes at `offset` alone.
    pub(crate) fn part(&self, offset: u64, length: u64, what: &str) -> Result<Self, ElfError> {
        let bytes = self.slice(offset, length, what)?;
        let part_at = Some(self.part_at.unwrap_or(0).saturating_add(offset));
        Ok(Self { bytes, part_at, ..*self })
    }

    pub(crate) fn u16(&self, offset: u64, what: &str) -> Result<u16, ElfError> {
        let bytes = self.array(offset, what)?;
        Ok(match self.endian {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u32(&self, offset: u64, what: &str) -> Result<u32, ElfError> {
        let bytes = self.array(offset, what)?;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u64(&self, offset: u64, what: &str) -> Result<u64, ElfError> {
        let bytes = self.array(offset, what)?;
        Ok(match self.endian {
            Endian::Little => u64::from_le_bytes(bytes),
            Endian::Big => u64::from_be_bytes(bytes),
        })
    }

    /// An address, an offset or a dynamic tag.
    pub(crate) fn word(&self, offset: u64, what: &str) -> Result<u64, ElfError> {
        if self.is_64() { self.u64(offset, what) } else { self.u32(offset, what).map(u64::from) }
    }

    /// A word that lies at `offset_32` or at `offset_64`, by the file's class.
    pub(crate) fn field(
        &self,
        offset_32: u64,
        offset_64: u64,
        what: &str,
    ) -> Result<u64, ElfError> {
        self.word(if self.is_64() { offset_64 } else { offset_32 }, what)
    }

    fn array<const N: usize>(&self, offset: u64, what: &str) -> Result<[u8; N], ElfError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(offset, N as u64, what)?);
        Ok(array)
    }
}
