//! What kind of machine a file is for: the first fields of the ELF header.

use std::fmt;

use crate::error::ElfError;
use crate::image::Image;
use crate::looks_like::LooksLike;

/// Width of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Class {
    Elf32,
    Elf64,
}

/// Order of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Endian {
    Little,
    Big,
}

/// Instruction set architecture, `e_machine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Machine(pub u16);

impl Machine {
    /// 32-bit x86.
    pub const I386: Self = Self(3);
    /// 32-bit Arm.
    pub const ARM: Self = Self(40);
    /// IBM Z.
    pub const S390: Self = Self(22);
    /// 64-bit `PowerPC`.
    pub const PPC64: Self = Self(21);
    /// 64-bit x86.
    pub const X86_64: Self = Self(62);
    /// 64-bit Arm.
    pub const AARCH64: Self = Self(183);
    /// RISC-V, 32 or 64 bits.
    pub const RISCV: Self = Self(243);
    /// `LoongArch`, 32 or 64 bits.
    pub const LOONGARCH: Self = Self(258);
}

/// The first fields of the ELF header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Width of addresses.
    pub class: Class,
    /// Order of bytes.
    pub endian: Endian,
    /// Instruction set architecture.
    pub machine: Machine,
    /// `EI_OSABI`: 0 is System V, 3 is GNU, 9 is `FreeBSD`.
    pub os_abi: u8,
    /// `e_type`: 1 object, 2 executable, 3 shared object or position-independent executable, 4 core.
    pub file_type: u16,
}

impl Identity {
    /// Reads the identity alone, also of a file whose other parts are damaged.
    ///
    /// # Errors
    ///
    /// When `bytes` are empty, are not ELF, end inside the ELF header, or name a class, byte
    /// order or version that does not exist.
    pub fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        if bytes.is_empty() {
            return Err(ElfError::Empty);
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf { looks_like: LooksLike::of(bytes) });
        }
        let byte = |field, at: usize| {
            bytes.get(at).copied().ok_or_else(|| ElfError::Truncated {
                what: format!("the ELF header's {field}"),
                offset: at as u64,
                length: 1,
                size_bytes: bytes.len() as u64,
            })
        };
        let wrong = |field, offset, found: u8, wanted| {
            Err(ElfError::Field { field, offset, found: found.into(), wanted })
        };
        let class = match byte("EI_CLASS", 4)? {
            1 => Class::Elf32,
            2 => Class::Elf64,
            found => return wrong("EI_CLASS", 4, found, "1 (32-bit) or 2 (64-bit)"),
        };
        let endian = match byte("EI_DATA", 5)? {
            1 => Endian::Little,
            2 => Endian::Big,
            found => return wrong("EI_DATA", 5, found, "1 (little-endian) or 2 (big-endian)"),
        };
        match byte("EI_VERSION", 6)? {
            1 => {}
            found => return wrong("EI_VERSION", 6, found, "1"),
        }
        let os_abi = byte("EI_OSABI", 7)?;
        let image = Image::new(bytes, class, endian);
        image.slice(0, image.header_bytes(), "the ELF header")?;
        Ok(Self {
            class,
            endian,
            machine: Machine(image.u16(18, "e_machine")?),
            os_abi,
            file_type: image.u16(16, "e_type")?,
        })
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf32 => "32-bit",
            Self::Elf64 => "64-bit",
        })
    }
}

impl fmt::Display for Endian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::I386 => "i386",
            Self::ARM => "arm",
            Self::S390 => "s390x",
            Self::PPC64 => "ppc64",
            Self::X86_64 => "x86-64",
            Self::AARCH64 => "aarch64",
            Self::RISCV => "riscv",
            Self::LOONGARCH => "loongarch",
            Self(number) => return write!(f, "machine {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_bytes_of_header_are_truncated_not_foreign() {
        let mut bytes = vec![0; 40];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let refusal = Identity::read(&bytes).unwrap_err();
        assert!(refusal.is_truncation());
        assert_eq!(
            refusal.to_string(),
            "the ELF header at offset 0x0 takes 64 bytes, but the file ends at 0x28"
        );
    }

    #[test]
    fn says_what_a_class_must_be() {
        let refusal = Identity::read(b"\x7fELF\x07\x01\x01").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "EI_CLASS at offset 0x4 is 7, wanted 1 (32-bit) or 2 (64-bit)"
        );
    }
}
