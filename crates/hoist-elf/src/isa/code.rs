//! The code of a library, the memory it may write, and the words that the loader fills in.

use crate::ElfFacts;
use crate::dynamic::Entries;
use crate::error::ElfError;
use crate::image::Image;
use crate::relocations::{Kind, Relocation, each_relocation, word_at};
use crate::segments::{LoadMap, SegmentKind};
use crate::symbols::SymbolKind;

/// A part of the image that may run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executable<'a> {
    pub(super) address: u64,
    pub(super) bytes: &'a [u8],
}

impl Executable<'_> {
    pub(super) fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

/// What the loader puts into a word of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// An address in this library.
    Address(u64),
    /// What the resolver at this address returns.
    Resolved(u64),
    /// The address of another library's symbol, by its index without the null symbol.
    Import(usize),
}

/// What the survey reads.
pub(super) struct Code<'a> {
    pub(super) executables: Vec<Executable<'a>>,
    /// Writable memory, in order of address.
    writable: Vec<(u64, u64)>,
    /// Words that the loader fills in, in order of address.
    slots: Vec<(u64, Slot)>,
    /// Whether some of the code was left out.
    pub(super) is_cut: bool,
}

impl<'a> Code<'a> {
    pub(super) fn read(
        image: &Image<'a>,
        map: &LoadMap<'a>,
        facts: &ElfFacts,
    ) -> Result<Self, ElfError> {
        let mut executables = Vec::new();
        // Segments may map the same bytes of the file, and a small file must stay little work.
        let mut bytes_left = image.size_bytes().saturating_mul(2);
        let mut is_cut = false;
        for load in facts.loads().filter(|load| load.is_executable()) {
            let length = load.file_size_bytes.min(bytes_left);
            bytes_left -= length;
            is_cut |= length < load.file_size_bytes;
            let bytes = image.slice(load.offset, length, "a segment of code")?;
            if !bytes.is_empty() {
                executables.push(Executable { address: load.address, bytes });
            }
        }
        let writable = facts.loads().filter(|load| load.is_writable());
        let writable = writable.map(|load| (load.address, load.address + load.memory_size_bytes));
        let slots = slots(image, map, facts)?;
        Ok(Self { executables, writable: writable.collect(), slots, is_cut })
    }

    /// The executable part that holds `address`, and its index.
    pub(super) fn executable_at(&self, address: u64) -> Option<(usize, &Executable<'a>)> {
        let after = self.executables.partition_point(|part| part.address <= address);
        let index = after.checked_sub(1)?;
        let part = &self.executables[index];
        (address < part.end()).then_some((index, part))
    }

    /// The code from `address` to the end of its segment.
    pub(super) fn bytes_from(&self, address: u64) -> Option<&'a [u8]> {
        let (_, part) = self.executable_at(address)?;
        part.bytes.get(usize::try_from(address - part.address).ok()?..)
    }

    pub(super) fn is_writable(&self, address: u64) -> bool {
        let after = self.writable.partition_point(|&(start, _)| start <= address);
        self.writable[..after].last().is_some_and(|&(_, end)| address < end)
    }

    /// What the loader puts into the word at `address`.
    pub(super) fn slot(&self, address: u64) -> Option<Slot> {
        let index = self.slots.binary_search_by_key(&address, |slot| slot.0).ok()?;
        Some(self.slots[index].1)
    }

    /// The word through which the stub at `target` jumps, where the code there is no more than
    /// that: an entry of the procedure linkage table.
    pub(super) fn stub_slot(&self, target: u64) -> Option<u64> {
        const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        let bytes = self.bytes_from(target)?;
        let rest = bytes.strip_prefix(ENDBR64).unwrap_or(bytes);
        let rest = rest.strip_prefix(&[0xf2]).unwrap_or(rest); // `bnd`
        let rest = rest.strip_prefix(&[0xff, 0x25])?;
        let (distance, behind) = rest.split_first_chunk()?;
        let next = target + (bytes.len() - behind.len()) as u64;
        Some(next.wrapping_add_signed(i32::from_le_bytes(*distance).into()))
    }
}

fn slots(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    facts: &ElfFacts,
) -> Result<Vec<(u64, Slot)>, ElfError> {
    let Some(segment) = facts.segment(SegmentKind::Dynamic) else { return Ok(Vec::new()) };
    let entries = Entries::read(image, segment)?;
    let mut slots = Vec::new();
    // One bit of `DT_RELR` gives a slot, so there may be more than the file has words.
    let most = usize::try_from(image.size_bytes() / image.word_bytes()).unwrap_or(usize::MAX);
    each_relocation(image, map, &entries, facts.identity.machine, |relocation| {
        let word = || word_at(map, relocation.address, image.word_bytes());
        if slots.len() >= most || word().is_none() {
            return;
        }
        slots.extend(slot(&relocation, map, image, facts).map(|slot| (relocation.address, slot)));
    })?;
    slots.sort_unstable_by_key(|slot| slot.0);
    Ok(slots)
}

fn slot(
    relocation: &Relocation,
    map: &LoadMap<'_>,
    image: &Image<'_>,
    facts: &ElfFacts,
) -> Option<Slot> {
    let addend = || relocation.addend(map, image.word_bytes());
    match relocation.kind {
        Kind::Relative => Some(Slot::Address(addend())),
        Kind::Resolver => Some(Slot::Resolved(addend())),
        Kind::SymbolAddress | Kind::JumpSlot => {
            let index = usize::try_from(relocation.symbol).ok()?.checked_sub(1)?;
            let symbol = facts.symbols.get(index)?;
            Some(match symbol.kind {
                _ if !symbol.is_defined() => Slot::Import(index),
                SymbolKind::IndirectFunction => Slot::Resolved(symbol.value),
                _ => Slot::Address(symbol.value),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Code;
    use crate::ElfFacts;
    use crate::image::Image;
    use crate::segments::LoadMap;
    use crate::spec::{DT_RELR, DT_RELRSZ};
    use crate::testing::Library;

    #[test]
    fn one_bit_for_a_slot_gives_no_more_slots_than_words() {
        let words = |at: u64| Library {
            dynamic: vec![(DT_RELR, at), (DT_RELRSZ, 1 << 19)],
            data: [vec![at & !7], vec![u64::MAX; (1 << 16) - 1]]
                .concat()
                .into_iter()
                .flat_map(u64::to_le_bytes)
                .collect(),
            ..Library::new()
        };
        let length = words(0).build().len() as u64;
        let bytes = words(length - (1 << 19)).build();
        let facts = ElfFacts::read(&bytes).unwrap();
        assert!(facts.relocations.relative > 63 * ((1 << 16) - 1));
        let image = Image::new(&bytes, facts.identity.class, facts.identity.endian);
        let map = LoadMap::new(image, &facts.segments).unwrap();
        let code = Code::read(&image, &map, &facts).unwrap();
        assert!(code.slots.len() <= bytes.len() / 8, "{}", code.slots.len());
        assert!(code.slots.len() > 1000, "{}", code.slots.len());
    }
}
