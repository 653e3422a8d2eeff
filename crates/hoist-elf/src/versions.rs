//! Symbol versions: which version of which library each symbol belongs to.
//!
//! Source: Ulrich Drepper, "ELF Symbol Versioning"; the LSB's "Symbol Versioning" chapter.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dynamic::{Entries, Strings};
use crate::error::ElfError;
use crate::image::Image;
use crate::segments::LoadMap;
use crate::spec::{
    DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM, VER_FLG_BASE, VER_FLG_WEAK,
    VERSYM_HIDDEN,
};
use crate::symbols::Symbol;

/// A version that another library must define, and the symbols that are wanted in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionNeed {
    /// The library, as in `DT_NEEDED`.
    pub library: Arc<str>,
    /// The version, e.g. `GLIBC_2.34`.
    pub version: Arc<str>,
    /// Whether the loader only warns when the library does not define it.
    pub is_weak: bool,
    /// The symbols wanted in it, in table order; none when only the version itself is wanted.
    pub symbols: Vec<Arc<str>>,
}

/// What a library says about the versions of its symbols.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Versions {
    /// Whether each of its symbols has a place for a version (`DT_VERSYM`).
    pub(crate) has_indices: bool,
    /// Versions that it defines, in table order, without the one that is the file's own name.
    pub(crate) defined: Vec<Arc<str>>,
    /// Versions that other libraries must define, in table order.
    pub(crate) needs: Vec<VersionNeed>,
}

/// One table of linked records: where it starts, how it is called, how many it says it has.
struct Records<'a> {
    table: &'static str,
    bytes: Image<'a>,
    declared: u64,
}

/// Fields of a record that lie at different places in the two tables.
struct RecordShape {
    aux_count: u64,
    aux_link: u64,
    next_link: u64,
    bytes: u64,
    aux_next_link: u64,
    aux_bytes: u64,
}

const NEED: RecordShape = RecordShape {
    aux_count: 2,
    aux_link: 8,
    next_link: 12,
    bytes: 16,
    aux_next_link: 12,
    aux_bytes: 16,
};
const DEFINITION: RecordShape = RecordShape {
    aux_count: 6,
    aux_link: 12,
    next_link: 16,
    bytes: 20,
    aux_next_link: 4,
    aux_bytes: 8,
};

/// Gives every symbol its version and returns those of the library and of others.
pub(crate) fn read_versions(
    map: &LoadMap<'_>,
    entries: &Entries,
    strings: &Strings<'_>,
    symbols: &mut [Symbol],
) -> Result<Versions, ElfError> {
    let mut needs = Vec::new();
    let mut defined = Vec::new();
    let mut need_by_index = BTreeMap::new();
    if let Some(records) = Records::find(map, entries, DT_VERNEED, DT_VERNEEDNUM, "DT_VERNEED")? {
        records.walk(&NEED, |record, auxes| {
            let library = records.text(strings, record + 4)?;
            for &aux in auxes {
                need_by_index.insert(records.u16(aux + 6)?, needs.len());
                needs.push(VersionNeed {
                    library: Arc::clone(&library),
                    version: records.text(strings, aux + 8)?,
                    is_weak: records.u16(aux + 4)? & VER_FLG_WEAK != 0,
                    symbols: Vec::new(),
                });
            }
            Ok(())
        })?;
    }
    let mut definition_by_index = BTreeMap::new();
    if let Some(records) = Records::find(map, entries, DT_VERDEF, DT_VERDEFNUM, "DT_VERDEF")? {
        records.walk(&DEFINITION, |record, auxes| {
            // The first name is the version, the others are those it inherits from.
            if let Some(&aux) = auxes.first() {
                let version = records.text(strings, aux)?;
                if records.u16(record + 2)? & VER_FLG_BASE == 0 {
                    defined.push(Arc::clone(&version));
                }
                definition_by_index.insert(records.u16(record + 4)?, version);
            }
            Ok(())
        })?;
    }
    let Some(address) = entries.get(DT_VERSYM) else {
        return Ok(Versions { has_indices: false, defined, needs });
    };
    let indices = map.bytes_at(address, symbols.len() as u64 * 2, "DT_VERSYM")?;
    for (at, symbol) in (0..).step_by(2).zip(symbols.iter_mut()) {
        let index = indices.u16(at, "DT_VERSYM")?;
        symbol.is_version_hidden = index & VERSYM_HIDDEN != 0;
        let index = index & !VERSYM_HIDDEN;
        if index < 2 {
            continue; // 0 is local, 1 is global without a version
        }
        if symbol.is_defined() {
            symbol.version = definition_by_index.get(&index).cloned();
        } else if let Some(&need) = need_by_index.get(&index) {
            symbol.version = Some(Arc::clone(&needs[need].version));
            needs[need].symbols.push(Arc::clone(&symbol.name));
        }
    }
    Ok(Versions { has_indices: true, defined, needs })
}

/// A name in the version tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VersionName {
    /// Where its index is stored.
    pub(crate) address: u64,
    /// Its index in the string table.
    pub(crate) index: u64,
    /// Whether it is that of a library in `DT_VERNEED`, which must be needed by that name.
    pub(crate) is_needed_library: bool,
}

/// Finds every name in the version tables and where its index is stored.
pub(crate) fn version_names(
    map: &LoadMap<'_>,
    entries: &Entries,
) -> Result<Vec<VersionName>, ElfError> {
    let mut names = Vec::new();
    for (tag, count_tag, table, shape) in [
        (DT_VERNEED, DT_VERNEEDNUM, "DT_VERNEED", &NEED),
        (DT_VERDEF, DT_VERDEFNUM, "DT_VERDEF", &DEFINITION),
    ] {
        let Some(records) = Records::find(map, entries, tag, count_tag, table)? else { continue };
        let is_need = tag == DT_VERNEED;
        let start = entries.get(tag).unwrap_or(0);
        let name = |at: u64, is_needed_library| {
            let index = records.bytes.u32(at, table)?.into();
            Ok::<_, ElfError>(VersionName { address: start + at, index, is_needed_library })
        };
        records.walk(shape, |record, auxes| {
            if is_need {
                names.push(name(record + 4, true)?);
            }
            for aux in auxes {
                names.push(name(if is_need { aux + 8 } else { *aux }, false)?);
            }
            Ok(())
        })?;
    }
    Ok(names)
}

impl<'a> Records<'a> {
    fn find(
        map: &LoadMap<'a>,
        entries: &Entries,
        tag: u64,
        count_tag: u64,
        table: &'static str,
    ) -> Result<Option<Self>, ElfError> {
        let Some(address) = entries.get(tag) else { return Ok(None) };
        let declared = entries.get(count_tag).unwrap_or(0);
        Ok(Some(Self { table, bytes: map.bytes_at(address, 1, table)?, declared }))
    }

    fn u16(&self, at: u64) -> Result<u16, ElfError> {
        self.bytes.u16(at, self.table)
    }

    fn text(&self, strings: &Strings<'_>, at: u64) -> Result<Arc<str>, ElfError> {
        let index = self.bytes.u32(at, self.table)?.into();
        strings.text(index, || format!("a name in {}", self.table))
    }

    /// Calls `visit` with the place of every record and of its auxiliary records.
    ///
    /// Links only go forward, and all auxiliary records together are no more than fit, so the
    /// walk takes time in proportion to the table.
    fn walk(
        &self,
        shape: &RecordShape,
        mut visit: impl FnMut(u64, &[u64]) -> Result<(), ElfError>,
    ) -> Result<(), ElfError> {
        let mut aux_left = self.bytes.size_bytes() / shape.aux_bytes;
        let (mut record, mut found) = (0, 0);
        while found < self.declared {
            found += 1;
            let aux_count = u64::from(self.u16(record + shape.aux_count)?);
            let mut auxes = Vec::new();
            let mut aux = self.follow(found, record, shape.aux_link, 1)?;
            while (auxes.len() as u64) < aux_count {
                let Some(at) = aux else {
                    return Err(self.record_count(aux_count, auxes.len() as u64));
                };
                aux_left = aux_left
                    .checked_sub(1)
                    .ok_or_else(|| self.record_count(aux_count, auxes.len() as u64))?;
                auxes.push(at);
                aux = self.follow(found, at, shape.aux_next_link, shape.aux_bytes)?;
            }
            visit(record, &auxes)?;
            match self.follow(found, record, shape.next_link, shape.bytes)? {
                Some(next) => record = next,
                None => break,
            }
        }
        if found < self.declared {
            return Err(self.record_count(self.declared, found));
        }
        Ok(())
    }

    fn record_count(&self, declared: u64, found: u64) -> ElfError {
        ElfError::RecordCount { table: self.table, declared, found }
    }

    /// The place that the link at `from + link` leads to; `None` when it is 0, the end.
    fn follow(
        &self,
        record: u64,
        from: u64,
        link: u64,
        least: u64,
    ) -> Result<Option<u64>, ElfError> {
        let distance = u64::from(self.bytes.u32(from + link, self.table)?);
        if distance == 0 {
            return Ok(None);
        }
        if distance < least || from + distance >= self.bytes.size_bytes() {
            return Err(ElfError::BadLink { table: self.table, record, distance });
        }
        Ok(Some(from + distance))
    }
}
