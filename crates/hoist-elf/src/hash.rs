//! Hash tables of the dynamic symbols. They alone say how many symbols there are: the dynamic
//! section does not.
//!
//! Source: the System V gABI, "Hash Table"; binutils' description of `DT_GNU_HASH`.

use crate::dynamic::Entries;
use crate::error::ElfError;
use crate::identity::Machine;
use crate::image::Image;
use crate::relocations::each_relocation;
use crate::segments::LoadMap;
use crate::spec::{DT_GNU_HASH, DT_HASH};

/// `DT_GNU_HASH` as it is stored.
pub(crate) struct GnuChains<'a> {
    /// The first symbol it lists.
    pub(crate) first: u64,
    /// The hash values of the symbols from `first` on; the last of a chain has its lowest bit set.
    pub(crate) values: Vec<u32>,
    /// Where in `values` the chain of each of them begins.
    starts: Vec<usize>,
    table: Image<'a>,
    buckets: u64,
    buckets_at: u64,
    bloom_words: u64,
    bloom_shift: u32,
}

/// `DT_HASH` as it is stored.
pub(crate) struct SysvTable {
    /// How many symbols there are.
    pub(crate) count: u64,
    /// How many buckets there are.
    buckets: u64,
    /// In which bucket's walk (from 1) each symbol is first met; 0 for none.
    walked: Vec<u64>,
    /// Whether some walk meets the symbols of another.
    walks_meet: bool,
}

/// Reads `DT_HASH`, which counts the symbols, and proves that every chain ends.
pub(crate) fn sysv_table(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    machine: Machine,
) -> Result<Option<SysvTable>, ElfError> {
    const TABLE: &str = "DT_HASH";
    let Some(address) = entries.get(DT_HASH) else { return Ok(None) };
    // IBM Z with 64 bits is the one port whose hash table has 8-byte entries.
    let wide = machine == Machine::S390 && image.is_64();
    let cell_bytes: u64 = if wide { 8 } else { 4 };
    let table = map.bytes_at(address, 2 * cell_bytes, TABLE)?;
    let cell = |index: u64| {
        let at = index * cell_bytes;
        if wide { table.u64(at, TABLE) } else { table.u32(at, TABLE).map(u64::from) }
    };
    let (buckets, count) = (cell(0)?, cell(1)?);
    let room = table.size_bytes() / cell_bytes - 2;
    if buckets > room || count > room - buckets {
        let length = buckets.saturating_add(count).saturating_mul(cell_bytes);
        return Err(ElfError::Unmapped { what: TABLE, address, length });
    }
    if buckets == 0 && count > 1 && entries.get(DT_GNU_HASH).is_none() {
        let (field, wanted) = ("the number of buckets of DT_HASH", "at least 1 for its symbols");
        return Err(ElfError::Field { field, offset: address, found: 0, wanted });
    }
    // Which bucket's walk (from 1) came by each symbol: meeting an older walk is an end already
    // proved, meeting the current one is a cycle. So all walks together take `count` steps.
    let mut walks_meet = false;
    let mut walked = vec![0_u64; usize::try_from(count).unwrap_or(0)];
    for bucket in 0..buckets {
        let mut symbol = cell(2 + bucket)?;
        while symbol != 0 {
            let mark = usize::try_from(symbol)
                .ok()
                .and_then(|index| walked.get_mut(index))
                .ok_or(ElfError::SymbolOutOfRange { table: TABLE, symbol, count })?;
            if *mark == bucket + 1 {
                return Err(ElfError::HashCycle { bucket, symbol });
            }
            if *mark != 0 {
                walks_meet = true;
                break;
            }
            *mark = bucket + 1;
            symbol = cell(2 + buckets + symbol)?;
        }
    }
    Ok(Some(SysvTable { count, buckets, walked, walks_meet }))
}

/// Reads the chains of `DT_GNU_HASH`: the symbols it lists are the last of the table.
pub(crate) fn gnu_chains<'a>(
    map: &LoadMap<'a>,
    entries: &Entries,
) -> Result<Option<GnuChains<'a>>, ElfError> {
    const TABLE: &str = "DT_GNU_HASH";
    let Some(address) = entries.get(DT_GNU_HASH) else { return Ok(None) };
    let table = map.bytes_at(address, 16, TABLE)?;
    let buckets = u64::from(table.u32(0, TABLE)?);
    let first = u64::from(table.u32(4, TABLE)?);
    let bloom_words = u64::from(table.u32(8, TABLE)?);
    if !bloom_words.is_power_of_two() {
        // glibc takes the word of a hash by a mask, and asserts that it can.
        let field = "the number of filter words of DT_GNU_HASH";
        let (found, wanted) = (bloom_words, "a power of two");
        return Err(ElfError::Field { field, offset: address + 8, found, wanted });
    }
    if buckets == 0 {
        // The loader takes such a table for empty, and linkers write one bucket into those.
        let (field, wanted) = ("the number of buckets of DT_GNU_HASH", "at least 1");
        return Err(ElfError::Field { field, offset: address, found: 0, wanted });
    }
    let bloom_shift = table.u32(12, TABLE)?;
    let buckets_at = 16 + bloom_words * table.word_bytes();
    let chains_at = buckets_at + buckets * 4;
    if chains_at > table.size_bytes() {
        return Err(ElfError::Unmapped { what: TABLE, address, length: chains_at });
    }
    let mut last_start = None;
    for bucket in 0..buckets {
        let start = u64::from(table.u32(buckets_at + bucket * 4, TABLE)?);
        if start == 0 {
            continue;
        }
        if start < first {
            return Err(ElfError::SymbolOutOfRange { table: TABLE, symbol: start, count: first });
        }
        last_start = last_start.max(Some(start));
    }
    let mut values = Vec::new();
    let mut starts = Vec::new();
    if let Some(last_start) = last_start {
        // The chains follow each other, so the last one's end is the end of all.
        let mut start = 0;
        loop {
            let value = table
                .u32(chains_at + values.len() as u64 * 4, TABLE)
                .map_err(|_| ElfError::HashUnterminated { first: last_start })?;
            values.push(value);
            starts.push(start);
            if value & 1 == 1 {
                start = values.len();
                if first + values.len() as u64 > last_start {
                    break;
                }
            }
        }
    }
    Ok(Some(GnuChains {
        first,
        values,
        starts,
        table,
        buckets,
        buckets_at,
        bloom_words,
        bloom_shift,
    }))
}

impl GnuChains<'_> {
    /// One past the last symbol the table lists.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    /// Checks that symbol `index`, if it is listed, stands there with the hash of its `name`.
    pub(crate) fn check_value(&self, index: u64, name: &[u8]) -> Result<(), ElfError> {
        let Some(at) = self.place(index) else { return Ok(()) };
        let (found, wanted) = (self.values[at], gnu_hash(name));
        if found | 1 == wanted | 1 {
            return Ok(());
        }
        Err(ElfError::HashMismatch { symbol: index, found, wanted })
    }

    /// Checks that the loader comes to symbol `index` when it looks for `name`.
    pub(crate) fn check_way(&self, index: u64, name: &[u8]) -> Result<(), ElfError> {
        const TABLE: &str = "DT_GNU_HASH";
        let miss = |why| Err(miss(TABLE, index, name, why));
        let Some(at) = self.place(index) else { return miss("it is not listed") };
        let hash = gnu_hash(name);
        let bits = u32::try_from(self.table.word_bytes() * 8).unwrap_or(u32::BITS);
        let word = u64::from(hash / bits) & (self.bloom_words - 1);
        let filter = self.table.word(16 + word * self.table.word_bytes(), TABLE)?;
        let passes = |hash: u32| filter >> (hash % bits) & 1 == 1;
        if !passes(hash) || !passes(hash >> (self.bloom_shift & 31)) {
            return miss("the filter has no bits for its name");
        }
        let bucket = u64::from(hash) % self.buckets;
        let start = self.table.u32(self.buckets_at + bucket * 4, TABLE)?.into();
        // From an empty bucket (0) nothing is reached, from others what follows in the same chain.
        let reached =
            self.place(start).is_some_and(|start| (self.starts[at]..=at).contains(&start));
        if reached { Ok(()) } else { miss("the bucket of its name leads elsewhere") }
    }

    /// Where in `values` a symbol is.
    fn place(&self, index: u64) -> Option<usize> {
        let at = index.checked_sub(self.first)?;
        usize::try_from(at).ok().filter(|at| *at < self.values.len())
    }
}

impl SysvTable {
    /// Checks that the loader comes to symbol `index` when it looks for `name`.
    pub(crate) fn check_way(&self, index: u64, name: &[u8]) -> Result<(), ElfError> {
        let walk = usize::try_from(index).ok().and_then(|index| self.walked.get(index).copied());
        let bucket = u64::from(sysv_hash(name)).checked_rem(self.buckets);
        // Where walks meet, several buckets lead to a symbol, and one of them is known.
        let is_reached = match walk {
            None | Some(0) => false,
            Some(walk) => self.walks_meet || bucket == Some(walk - 1),
        };
        let why = "the bucket of its name leads elsewhere";
        if is_reached { Ok(()) } else { Err(miss("DT_HASH", index, name, why)) }
    }
}

fn miss(table: &'static str, symbol: u64, name: &[u8], why: &'static str) -> ElfError {
    let name = String::from_utf8_lossy(&name[..name.len().min(SHOWN_NAME_BYTES)]).into_owned();
    ElfError::HashMiss { table, symbol, name, why }
}

/// How much of a name a message shows.
const SHOWN_NAME_BYTES: usize = 120;

/// The hash of a symbol's name in `DT_HASH`.
fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// The GNU hash of a symbol's name.
pub(crate) fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

/// Counts the symbols that relocations name: those that `DT_GNU_HASH` leaves out because they
/// are undefined.
pub(crate) fn count_by_relocations(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    machine: Machine,
) -> Result<u64, ElfError> {
    let mut count = 0;
    each_relocation(image, map, entries, machine, |relocation| {
        count = count.max(relocation.symbol + 1);
    })?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Definition, Library};
    use crate::{ElfFacts, SegmentKind};

    /// Why a library with `value` at `at` of a hash table is refused.
    fn refusal(library: &Library, tag: u64, at: usize, value: u32) -> String {
        let mut bytes = library.build();
        let dynamic = *ElfFacts::read(&bytes).unwrap().segment(SegmentKind::Dynamic).unwrap();
        let start = usize::try_from(dynamic.offset).unwrap();
        let entry = bytes[start..].chunks(16).find(|entry| entry[..8] == tag.to_le_bytes());
        let table = usize::from(u16::from_le_bytes(entry.unwrap()[8..10].try_into().unwrap()));
        bytes[table + at..table + at + 4].copy_from_slice(&value.to_le_bytes());
        ElfFacts::read(&bytes).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_filter_must_let_every_export_through() {
        let gnu = Library { has_sysv_hash: false, ..Library::new() };
        for library in [Library::new(), gnu] {
            // The two bits of `add` are in different halves of the one word.
            for half in [16, 20] {
                assert_eq!(
                    refusal(&library, DT_GNU_HASH, half, 0),
                    "DT_GNU_HASH does not lead to symbol 1, `add`: the filter has no bits for its \
                     name"
                );
            }
        }
    }

    #[test]
    fn a_bucket_must_lead_to_its_exports() {
        let two = Library {
            exports: vec![Definition::function("add"), Definition::function("sub")],
            ..Library::new()
        };
        let elsewhere = "the bucket of its name leads elsewhere";
        assert_eq!(
            refusal(&two, DT_GNU_HASH, 24, 2),
            format!("DT_GNU_HASH does not lead to symbol 1, `add`: {elsewhere}")
        );
        assert_eq!(
            refusal(&Library::new(), DT_GNU_HASH, 24, 0),
            "DT_GNU_HASH does not lead to symbol 1, `add`: it is not listed"
        );
        let sysv = Library { has_gnu_hash: false, ..two };
        assert_eq!(
            refusal(&sysv, DT_HASH, 8, 1),
            format!("DT_HASH does not lead to symbol 2, `sub`: {elsewhere}")
        );
        // The loader does not read it where there is a newer table.
        assert_eq!(refusal(&Library { has_gnu_hash: true, ..sysv }, DT_HASH, 8, 1), "");
    }

    #[test]
    fn a_table_has_buckets() {
        let refusal = refusal(&Library::new(), DT_GNU_HASH, 0, 0);
        assert!(refusal.ends_with(" is 0, wanted at least 1"), "{refusal}");
    }

    #[test]
    fn the_old_hash_is_that_of_the_specification() {
        assert_eq!(sysv_hash(b"a"), 0x61);
        assert_eq!(sysv_hash(b"printf"), 0x0779_05a6);
    }
}
