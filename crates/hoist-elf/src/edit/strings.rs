//! The dynamic string table: who uses which part of it, and where new names go.
//!
//! Linkers let names share their ends: `foo` may be the end of `libfoo`. So a name is overwritten
//! only when nothing else points anywhere into it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::edit::EditError;
use crate::edit::dynamic::{Value, Wanted};
use crate::spec::{
    DT_AUDIT, DT_AUXILIARY, DT_CONFIG, DT_DEPAUDIT, DT_FILTER, DT_GNU_HASH, DT_NEEDED, DT_RPATH,
    DT_RUNPATH, DT_SONAME, DT_VERNEEDNUM, DT_VERSYM,
};

/// Entries whose values are indices in the string table.
const OF_NAMES: [u64; 9] = [
    DT_NEEDED,
    DT_SONAME,
    DT_RPATH,
    DT_RUNPATH,
    DT_AUXILIARY,
    DT_FILTER,
    DT_CONFIG,
    DT_DEPAUDIT,
    DT_AUDIT,
];

/// From here on, tags mean what an operating system or processor wants.
const FIRST_FOREIGN_TAG: u64 = 0x6000_000d;

/// Whether an entry may hold an index in the string table. Of tags that are not known it may, so
/// what such a value would name is left as it is.
fn may_name(tag: u64) -> bool {
    let is_known =
        (DT_GNU_HASH..=DT_VERNEEDNUM).contains(&tag) && (tag == DT_GNU_HASH || tag >= DT_VERSYM);
    OF_NAMES.contains(&tag) || tag >= FIRST_FOREIGN_TAG && !is_known
}

/// The indices that entries and version tables point to and keep pointing to.
pub(crate) fn kept_indices(wanted: &Wanted<'_>) -> BTreeSet<u64> {
    let entries =
        wanted.entries.iter().filter(|entry| may_name(entry.tag)).map(|entry| &entry.value);
    let names = wanted.names.iter().map(|name| &name.value);
    entries.chain(names).filter_map(index_of).collect()
}

/// The texts that have no place yet, each once, longest first.
pub(crate) fn texts(wanted: &Wanted<'_>) -> Vec<String> {
    let values = wanted
        .entries
        .iter()
        .map(|entry| &entry.value)
        .chain(wanted.names.iter().map(|name| &name.value));
    let texts: BTreeSet<&String> = values
        .filter_map(|value| match value {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        })
        .collect();
    let mut texts: Vec<String> = texts.into_iter().cloned().collect();
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts
}

fn index_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(index) => Some(*index),
        Value::Text(_) => None,
    }
}

/// A string table that is being changed.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its bytes, with what was appended.
    pub(crate) bytes: Vec<u8>,
    /// How many of them were there before.
    old_length: usize,
    /// Where names were that nobody uses any more, without the zero behind each.
    free: Vec<Range<usize>>,
}

impl Table {
    /// The table with the names at `dropped` wiped, unless one of `kept` points into them.
    pub(crate) fn new(bytes: &[u8], kept: &BTreeSet<u64>, dropped: &BTreeSet<u64>) -> Self {
        let mut table = Self { bytes: bytes.to_owned(), old_length: bytes.len(), free: Vec::new() };
        for &index in dropped {
            let Some(start) = usize::try_from(index).ok().filter(|start| *start < bytes.len())
            else {
                continue;
            };
            let Some(length) = bytes[start..].iter().position(|byte| *byte == 0) else { continue };
            let before = bytes[..start].iter().rposition(|byte| *byte == 0);
            let whole_from = before.map_or(0, |zero| zero + 1) as u64;
            let end = start + length;
            let is_used = kept.range(whole_from..end as u64).next().is_some();
            let is_wiped = table.free.iter().any(|free| free.end == end);
            if length > 0 && !is_used && !is_wiped {
                table.bytes[start..end].fill(0);
                table.free.push(start..end);
            }
        }
        table
    }

    /// The index of `text`, which is put where there is room.
    pub(crate) fn place(&mut self, text: &str) -> Result<u64, EditError> {
        let with_zero = [text.as_bytes(), b"\0"].concat();
        if let Some(found) = find(&self.bytes, &with_zero) {
            return Ok(found as u64);
        }
        if let Some(free) = self.free.iter_mut().find(|free| free.len() >= text.len()) {
            let start = free.start;
            self.bytes[start..start + text.len()].copy_from_slice(text.as_bytes());
            free.start = (start + with_zero.len()).min(free.end);
            return Ok(start as u64);
        }
        if self.bytes.last().is_some_and(|last| *last != 0) {
            self.bytes.push(0);
        }
        let start = self.bytes.len() as u64;
        self.bytes.extend(with_zero);
        if self.bytes.len() as u64 > u64::from(u32::MAX) {
            return Err(EditError::TooLarge { what: "a string table of more than 4 GiB" });
        }
        Ok(start)
    }

    /// Whether it is longer than it was.
    pub(crate) fn has_grown(&self) -> bool {
        self.bytes.len() > self.old_length
    }

    /// The part that was there before.
    pub(crate) fn old_part(&self) -> &[u8] {
        &self.bytes[..self.old_length]
    }

    /// What was appended.
    pub(crate) fn appended(&self) -> &[u8] {
        &self.bytes[self.old_length..]
    }
}

fn find(table: &[u8], name: &[u8]) -> Option<usize> {
    let first = *name.first()?;
    let starts = table.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
    starts.into_iter().find(|at| table[*at..].starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: &[u8], kept: &[u64], dropped: &[u64]) -> Table {
        Table::new(bytes, &kept.iter().copied().collect(), &dropped.iter().copied().collect())
    }

    #[test]
    fn a_name_that_nobody_shares_is_wiped_and_used_again() {
        let mut table = table(b"\0abc\0/home/x\0", &[1], &[5]);
        assert_eq!(table.bytes, b"\0abc\0\0\0\0\0\0\0\0\0");
        assert_eq!(table.place("lib").unwrap(), 5);
        assert_eq!(table.place("bc").unwrap(), 2, "the end of a name is a name");
        assert_eq!(table.place("xyz").unwrap(), 9);
        assert!(!table.has_grown());
        assert_eq!(table.place("long name").unwrap(), 13);
        assert_eq!(table.bytes, b"\0abc\0lib\0xyz\0long name\0");
        assert_eq!(table.appended(), b"long name\0");
    }

    #[test]
    fn a_name_whose_end_or_middle_is_shared_stays() {
        for kept in [5, 8, 11] {
            assert_eq!(table(b"\0abc\0/home/x\0", &[kept], &[5]).bytes, b"\0abc\0/home/x\0");
        }
        // The dropped name is the end of one that is kept.
        assert_eq!(table(b"\0libabc\0", &[1], &[4]).bytes, b"\0libabc\0");
    }

    #[test]
    fn two_dropped_names_that_share_their_end_are_wiped_once() {
        let table = table(b"\0libabc\0", &[], &[1, 4]);
        assert_eq!(table.bytes, [0; 8]);
        assert!(matches!(&table.free[..], [free] if *free == (1..7)), "{:?}", table.free);
    }

    #[test]
    fn an_index_outside_the_table_is_left_alone() {
        assert_eq!(table(b"\0a", &[], &[1, 2, u64::MAX]).bytes, b"\0a");
    }
}
