//! The dynamic section: what a library tells the loader about itself.

use std::cell::Cell;
use std::sync::Arc;

use crate::error::ElfError;
use crate::image::Image;
use crate::segments::{LoadMap, Segment};
use crate::spec::{
    DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_STATIC_TLS, DF_TEXTREL, DT_AUXILIARY, DT_BIND_NOW,
    DT_DEBUG, DT_FILTER, DT_FLAGS, DT_FLAGS_1, DT_INIT_ARRAYSZ, DT_JMPREL, DT_NEEDED, DT_NULL,
    DT_RELR, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_TEXTREL,
};

/// What the dynamic section says, apart from the symbols.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dynamic {
    /// `DT_SONAME`, the name that dependents record.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_FILTER`, libraries that are loaded as needed ones are, and asked first.
    pub filters: Vec<String>,
    /// `DT_AUXILIARY`, the same but for libraries that may be absent.
    pub auxiliaries: Vec<String>,
    /// `DT_RUNPATH`, directories separated by `:`.
    pub runpath: Option<String>,
    /// `DT_RPATH`, its obsolete form.
    pub rpath: Option<String>,
    /// `DT_FLAGS`, with the bits of the older tags `DT_TEXTREL` and `DT_BIND_NOW` added.
    pub flags: u64,
    /// `DT_FLAGS_1`.
    pub flags_1: u64,
    /// Number of functions that run when it is loaded (`DT_INIT_ARRAY`).
    pub constructors: u64,
    /// Whether it has calls that could be bound lazily (`DT_JMPREL`).
    pub has_plt: bool,
    /// Whether it has relocations that only a loader with `DT_RELR` applies.
    pub has_packed_relocations: bool,
    /// Whether it has `DT_DEBUG`, which linkers give to executables only.
    pub has_debug_entry: bool,
}

impl Dynamic {
    /// Whether the loader must write into code (`DF_TEXTREL`).
    #[must_use]
    pub fn has_text_relocations(&self) -> bool {
        self.flags & DF_TEXTREL != 0
    }

    /// Whether every symbol is bound when it is loaded (`DF_BIND_NOW` or `DF_1_NOW`).
    #[must_use]
    pub fn binds_now(&self) -> bool {
        self.flags & DF_BIND_NOW != 0 || self.flags_1 & DF_1_NOW != 0
    }

    /// Whether it uses the static thread-local block (`DF_STATIC_TLS`).
    #[must_use]
    pub fn uses_static_tls(&self) -> bool {
        self.flags & DF_STATIC_TLS != 0
    }

    /// Whether it is a position-independent executable (`DF_1_PIE`).
    #[must_use]
    pub fn is_pie(&self) -> bool {
        self.flags_1 & DF_1_PIE != 0
    }
}

/// The entries of a dynamic section, in order, without the ending `DT_NULL`.
pub(crate) struct Entries(Vec<(u64, u64)>);

impl Entries {
    pub(crate) fn read(image: &Image<'_>, segment: &Segment) -> Result<Self, ElfError> {
        let section = image.part(segment.offset, segment.file_size_bytes, "the dynamic section")?;
        let entry_bytes = 2 * image.word_bytes();
        let mut entries = Vec::new();
        for index in 0..section.size_bytes() / entry_bytes {
            let tag = section.word(index * entry_bytes, "d_tag")?;
            if tag == DT_NULL {
                return Ok(Self(entries));
            }
            entries.push((tag, section.word(index * entry_bytes + image.word_bytes(), "d_val")?));
        }
        Err(ElfError::UnterminatedDynamic { offset: segment.offset })
    }

    /// The value of the last entry with `tag`, which is the one the loader uses.
    pub(crate) fn get(&self, tag: u64) -> Option<u64> {
        self.all(tag).last()
    }

    /// Tag and value of each, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    pub(crate) fn all(&self, tag: u64) -> impl Iterator<Item = u64> {
        self.0.iter().filter(move |entry| entry.0 == tag).map(|entry| entry.1)
    }

    /// The value of `tag`, which must be there because `present` is.
    pub(crate) fn wanted(
        &self,
        tag: u64,
        absent: &'static str,
        present: &'static str,
    ) -> Result<u64, ElfError> {
        self.get(tag).ok_or(ElfError::MissingEntry { present, absent })
    }
}

/// The dynamic string table, with a limit on the text it gives out.
pub(crate) struct Strings<'a> {
    table: &'a [u8],
    limit: u64,
    left: Cell<u64>,
}

impl<'a> Strings<'a> {
    /// Text a table may give out at least, however small it is.
    const LEAST_BYTES: u64 = 1 << 20;
    /// Times that every byte of a larger table may be given out; versioned and tail-shared
    /// names repeat a few times in real libraries.
    const REPEATS: u64 = 8;

    pub(crate) fn read(map: &LoadMap<'a>, entries: &Entries) -> Result<Self, ElfError> {
        let Some(address) = entries.get(DT_STRTAB) else { return Ok(Self::over(&[])) };
        let length = entries.wanted(DT_STRSZ, "DT_STRSZ", "DT_STRTAB")?;
        let table = map.bytes_at(address, length, "DT_STRTAB")?;
        Ok(Self::over(table.slice(0, length, "DT_STRTAB")?))
    }

    pub(crate) fn over(table: &'a [u8]) -> Self {
        let limit = Self::LEAST_BYTES.max((table.len() as u64).saturating_mul(Self::REPEATS));
        Self { table, limit, left: Cell::new(limit) }
    }

    /// The bytes of the string at `index`; `what` it names is for the error.
    pub(crate) fn bytes(
        &self,
        index: u64,
        what: impl Fn() -> String,
    ) -> Result<&'a [u8], ElfError> {
        let length = self.table.len() as u64;
        let tail = usize::try_from(index)
            .ok()
            .and_then(|index| self.table.get(index..))
            .filter(|tail| !tail.is_empty())
            .ok_or_else(|| ElfError::StringOutOfRange { what: what(), index, length })?;
        let end = tail
            .iter()
            .position(|&byte| byte == 0)
            .ok_or_else(|| ElfError::UnterminatedString { what: what(), index })?;
        let left = self.left.get().checked_sub(end as u64);
        self.left.set(left.ok_or(ElfError::NamesTooLong { limit: self.limit })?);
        Ok(&tail[..end])
    }

    /// The string at `index`, with bytes that are not UTF-8 replaced.
    pub(crate) fn text(&self, index: u64, what: impl Fn() -> String) -> Result<Arc<str>, ElfError> {
        self.bytes(index, what).map(|bytes| String::from_utf8_lossy(bytes).into())
    }
}

pub(crate) fn read_dynamic(
    image: &Image<'_>,
    entries: &Entries,
    strings: &Strings<'_>,
) -> Result<Dynamic, ElfError> {
    let text = |index: u64, what: &'static str| {
        strings.text(index, || what.to_owned()).map(|text| text.as_ref().to_owned())
    };
    let each = |tag, what| -> Result<Vec<String>, ElfError> {
        entries.all(tag).map(|index| text(index, what)).collect()
    };
    let one = |tag, what| entries.get(tag).map(|index| text(index, what)).transpose();
    let older = |tag, flag| if entries.get(tag).is_some() { flag } else { 0 };
    Ok(Dynamic {
        soname: one(DT_SONAME, "DT_SONAME")?,
        needed: each(DT_NEEDED, "DT_NEEDED")?,
        filters: each(DT_FILTER, "DT_FILTER")?,
        auxiliaries: each(DT_AUXILIARY, "DT_AUXILIARY")?,
        runpath: one(DT_RUNPATH, "DT_RUNPATH")?,
        rpath: one(DT_RPATH, "DT_RPATH")?,
        flags: entries.get(DT_FLAGS).unwrap_or(0)
            | older(DT_TEXTREL, DF_TEXTREL)
            | older(DT_BIND_NOW, DF_BIND_NOW),
        flags_1: entries.get(DT_FLAGS_1).unwrap_or(0),
        constructors: entries.get(DT_INIT_ARRAYSZ).unwrap_or(0) / image.word_bytes(),
        has_plt: entries.get(DT_JMPREL).is_some(),
        has_packed_relocations: entries.get(DT_RELR).is_some(),
        has_debug_entry: entries.get(DT_DEBUG).is_some(),
    })
}
