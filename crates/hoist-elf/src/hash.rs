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

/// Hash values of the symbols from `first` on, as `DT_GNU_HASH` holds them.
pub(crate) struct GnuChains {
    pub(crate) first: u64,
    pub(crate) values: Vec<u32>,
}

/// Counts the symbols by `DT_HASH`, after proving that every chain ends.
pub(crate) fn count_by_sysv_hash(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    machine: Machine,
) -> Result<Option<u64>, ElfError> {
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
                break;
            }
            *mark = bucket + 1;
            symbol = cell(2 + buckets + symbol)?;
        }
    }
    Ok(Some(count))
}

/// Reads the chains of `DT_GNU_HASH`: the symbols it lists are the last of the table.
pub(crate) fn gnu_chains(
    map: &LoadMap<'_>,
    entries: &Entries,
) -> Result<Option<GnuChains>, ElfError> {
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
    if let Some(last_start) = last_start {
        // The chains follow each other, so the last one's end is the end of all.
        loop {
            let value = table
                .u32(chains_at + values.len() as u64 * 4, TABLE)
                .map_err(|_| ElfError::HashUnterminated { first: last_start })?;
            values.push(value);
            if value & 1 == 1 && first + values.len() as u64 > last_start {
                break;
            }
        }
    }
    Ok(Some(GnuChains { first, values }))
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
