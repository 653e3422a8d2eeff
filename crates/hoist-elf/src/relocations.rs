//! Relocations: what the loader writes into the image before any of its code runs.
//!
//! Source: the System V psABIs of x86-64, i386 and `AArch64`, "Relocation Types"; the gABI's
//! "Relative Relocation Table" for `DT_RELR`.

use crate::dynamic::Entries;
use crate::error::ElfError;
use crate::identity::Machine;
use crate::image::Image;
use crate::segments::LoadMap;
use crate::spec::{
    DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ, DT_RELSZ,
};

/// How many relocations of each kind the loader applies.
///
/// Those of machines other than x86-64, i386 and `AArch64` count as `other`, but for `DT_RELR`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelocationCounts {
    /// Adjusted by where the library was loaded (`RELATIVE`, and all of `DT_RELR`).
    pub relative: u64,
    /// The address of a symbol, in a table or in data (`GLOB_DAT`, `64`, `ABS64`).
    pub symbol_address: u64,
    /// The address of a function, for calls through the PLT (`JUMP_SLOT`).
    pub jump_slot: u64,
    /// An offset into the static thread-local block (`TPOFF`).
    pub static_tls: u64,
    /// What a resolver returns (`IRELATIVE`).
    pub resolver: u64,
    /// A copy of another library's variable (`COPY`).
    pub copy: u64,
    /// All others, e.g. those of the general thread-local models.
    pub other: u64,
}

/// What one relocation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Relative,
    SymbolAddress,
    JumpSlot,
    StaticTls,
    Resolver,
    Copy,
    Other,
}

/// One relocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relocation {
    /// The address that is written.
    pub(crate) address: u64,
    pub(crate) kind: Kind,
    /// Index of its symbol; 0 for none.
    pub(crate) symbol: u64,
    /// What is added; where the table has no addends it is what `address` holds.
    addend: Option<u64>,
}

impl Relocation {
    /// What is added to the symbol, or to where the library was loaded.
    pub(crate) fn addend(&self, map: &LoadMap<'_>, word_bytes: u64) -> u64 {
        self.addend.or_else(|| word_at(map, self.address, word_bytes)).unwrap_or(0)
    }
}

impl Kind {
    fn of(machine: Machine, number: u64) -> Self {
        match (machine, number) {
            (Machine::X86_64 | Machine::I386, 8) | (Machine::AARCH64, 1027) => Self::Relative,
            (Machine::X86_64 | Machine::I386, 1 | 6) | (Machine::AARCH64, 257 | 1025) => {
                Self::SymbolAddress
            }
            (Machine::X86_64 | Machine::I386, 7) | (Machine::AARCH64, 1026) => Self::JumpSlot,
            (Machine::X86_64, 18 | 23) | (Machine::I386, 14 | 37) | (Machine::AARCH64, 1030) => {
                Self::StaticTls
            }
            (Machine::X86_64, 37) | (Machine::I386, 42) | (Machine::AARCH64, 1032) => {
                Self::Resolver
            }
            (Machine::X86_64 | Machine::I386, 5) | (Machine::AARCH64, 1024) => Self::Copy,
            _ => Self::Other,
        }
    }
}

impl RelocationCounts {
    pub(crate) fn add(&mut self, kind: Kind) {
        *match kind {
            Kind::Relative => &mut self.relative,
            Kind::SymbolAddress => &mut self.symbol_address,
            Kind::JumpSlot => &mut self.jump_slot,
            Kind::StaticTls => &mut self.static_tls,
            Kind::Resolver => &mut self.resolver,
            Kind::Copy => &mut self.copy,
            Kind::Other => &mut self.other,
        } += 1;
    }
}

/// Calls `visit` with every relocation, in table order.
///
/// The walk takes time in proportion to the tables, which lie inside their segments.
pub(crate) fn each_relocation(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    machine: Machine,
    mut visit: impl FnMut(Relocation),
) -> Result<(), ElfError> {
    let word = image.word_bytes();
    let plt_has_addends = entries.get(DT_PLTREL) != Some(DT_REL);
    for (tag, size_tag, what, has_addends) in [
        (DT_RELA, DT_RELASZ, "DT_RELA", true),
        (DT_REL, DT_RELSZ, "DT_REL", false),
        (DT_JMPREL, DT_PLTRELSZ, "DT_JMPREL", plt_has_addends),
    ] {
        let (Some(address), Some(length)) = (entries.get(tag), entries.get(size_tag)) else {
            continue;
        };
        let table = map.bytes_at(address, length, what)?;
        let entry_bytes = if has_addends { 3 * word } else { 2 * word };
        for entry in 0..length / entry_bytes {
            let at = entry * entry_bytes;
            let address = table.word(at, what)?;
            let info = table.word(at + word, what)?;
            let (symbol, number) = if image.is_64() {
                (info >> 32, info & 0xffff_ffff)
            } else {
                (info >> 8, info & 0xff)
            };
            let addend = has_addends.then(|| table.word(at + 2 * word, what)).transpose()?;
            visit(Relocation { address, kind: Kind::of(machine, number), symbol, addend });
        }
    }
    each_packed(image, map, entries, |address| {
        visit(Relocation { address, kind: Kind::Relative, symbol: 0, addend: None });
    })
}

/// Calls `visit` with every address that `DT_RELR` packs: an even word is an address, an odd one
/// a bitmap of the words behind the last.
fn each_packed(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    mut visit: impl FnMut(u64),
) -> Result<(), ElfError> {
    const WHAT: &str = "DT_RELR";
    let (Some(address), Some(length)) = (entries.get(DT_RELR), entries.get(DT_RELRSZ)) else {
        return Ok(());
    };
    let table = map.bytes_at(address, length, WHAT)?;
    let word = image.word_bytes();
    let mut next = 0_u64;
    for entry in 0..length / word {
        let value = table.word(entry * word, WHAT)?;
        if value & 1 == 0 {
            visit(value);
            next = value.wrapping_add(word);
            continue;
        }
        let mut bits = value >> 1;
        let mut at = next;
        while bits != 0 {
            if bits & 1 == 1 {
                visit(at);
            }
            bits >>= 1;
            at = at.wrapping_add(word);
        }
        next = next.wrapping_add(word * (word * 8 - 1));
    }
    Ok(())
}

/// The word that the file holds for `address`; `None` when it holds none.
pub(crate) fn word_at(map: &LoadMap<'_>, address: u64, word_bytes: u64) -> Option<u64> {
    map.bytes_at(address, word_bytes, "a relocated word").ok()?.word(0, "a relocated word").ok()
}
