//! Units of debug information, and how their entries are found.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAddrBase, DebugLocListsBase, DebugRngListsBase,
    DebugStrOffsetsBase, DebuggingInformationEntry, Dwarf, EndianSlice, RunTimeEndian, Unit,
    UnitHeader, UnitOffset, UnitType, constants,
};

use super::error::DebugError;
use super::sections::DebugSections;

pub(super) type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;
pub(super) type Entry<'a> = DebuggingInformationEntry<Bytes<'a>>;
pub(super) type Value<'a> = AttributeValue<Bytes<'a>>;

/// Longest name that is read, in bytes; longer ones are cut.
const MOST_NAME_BYTES: usize = 16 << 10;

/// How often every byte of the information may be looked at; real files need two or three.
const REPEATS: u64 = 16;

/// How many bytes of a text are looked at in the time of reading one attribute.
const BYTES_LOOKED_AT: usize = 16;

/// Work that is done however small the information is.
const LEAST_WORK: u64 = 1 << 20;

/// An entry of one of the units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryAt {
    pub(super) unit: usize,
    pub(super) offset: usize,
}

/// All units, those of types in front of none: where an entry is, its unit's number tells.
pub(super) struct Units<'a> {
    pub(super) dwarf: Dwarf<Bytes<'a>>,
    pub(super) all: Vec<Unit<Bytes<'a>>>,
    /// Where each unit of `.debug_info` starts there, in order, and its number.
    starts: Vec<(usize, usize)>,
    /// The entry that each signature of a type stands for.
    signatures: BTreeMap<u64, EntryAt>,
    /// Whether some code has its information in other files (`.dwo`).
    pub(super) is_split: bool,
    limit: u64,
    left: Cell<u64>,
}

impl<'a> Units<'a> {
    /// Reads all unit headers. The first damage ends the reading of its section, and is returned
    /// beside what was read before it.
    pub(super) fn read(
        sections: &'a DebugSections<'_>,
        endian: RunTimeEndian,
    ) -> (Self, Option<DebugError>) {
        let dwarf = Dwarf::load(|id| -> Result<_, gimli::Error> {
            Ok(EndianSlice::new(sections.get(id.name()), endian))
        })
        .unwrap_or_default();
        let size = sections.get(".debug_info").len() + sections.get(".debug_types").len();
        let limit = (size as u64).saturating_mul(REPEATS).saturating_add(LEAST_WORK);
        let mut units = Self {
            dwarf,
            all: Vec::new(),
            starts: Vec::new(),
            signatures: BTreeMap::new(),
            is_split: false,
            limit,
            left: Cell::new(limit),
        };
        let mut tables = Tables { known: BTreeMap::new(), section: sections.get(".debug_abbrev") };
        let damage = units.read_headers(&mut tables).err();
        (units, damage)
    }

    fn read_headers(&mut self, tables: &mut Tables<'_>) -> Result<(), DebugError> {
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next().map_err(|error| self.unit_error(&error))? {
            self.add(header, tables)?;
        }
        let mut headers = self.dwarf.type_units();
        while let Some(header) = headers.next().map_err(|error| self.unit_error(&error))? {
            self.add(header, tables)?;
        }
        Ok(())
    }

    fn unit_error(&self, error: &gimli::Error) -> DebugError {
        DebugError::Unit { unit: self.all.len(), problem: error.to_string() }
    }

    pub(super) fn entry_error(unit: usize, error: gimli::Error) -> DebugError {
        DebugError::Entry { unit, problem: error.to_string() }
    }

    fn add(
        &mut self,
        header: UnitHeader<Bytes<'a>>,
        tables: &mut Tables<'_>,
    ) -> Result<(), DebugError> {
        self.work(1)?;
        let number = self.all.len();
        let abbreviations = tables.get(self, &header)?;
        match header.type_() {
            UnitType::Skeleton(_) => self.is_split = true,
            UnitType::Type { type_signature, type_offset }
            | UnitType::SplitType { type_signature, type_offset } => {
                let entry = EntryAt { unit: number, offset: type_offset.0 };
                self.signatures.insert(type_signature.0, entry);
            }
            _ => {}
        }
        if let Some(start) = header.debug_info_offset() {
            self.starts.push((start.0, number));
        }
        let unit = self.unit(header, abbreviations)?;
        self.is_split |= unit.dwo_id.is_some();
        self.all.push(unit);
        Ok(())
    }

    /// A unit with what its first entry says about the others. Its line table stays unread.
    fn unit(
        &self,
        header: UnitHeader<Bytes<'a>>,
        abbreviations: Arc<Abbreviations>,
    ) -> Result<Unit<Bytes<'a>>, DebugError> {
        let file_type = self.dwarf.file_type;
        let encoding = header.encoding();
        let mut unit = Unit {
            abbreviations,
            name: None,
            comp_dir: None,
            low_pc: 0,
            str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(
                encoding, file_type,
            ),
            addr_base: DebugAddrBase(0),
            loclists_base: DebugLocListsBase(0),
            rnglists_base: DebugRngListsBase(0),
            line_program: None,
            dwo_id: None,
            header,
        };
        let root =
            unit.entry(unit.header.root_offset()).map_err(|error| self.unit_error(&error))?;
        self.work_on(root.attrs().len())?;
        for attribute in root.attrs() {
            match attribute.value() {
                AttributeValue::DebugStrOffsetsBase(base) => unit.str_offsets_base = base,
                AttributeValue::DebugAddrBase(base) => unit.addr_base = base,
                AttributeValue::DwoId(id) => unit.dwo_id = Some(id),
                _ => {}
            }
        }
        Ok(unit)
    }

    /// Notes that `amount` entries, attributes or bytes of names are read.
    pub(super) fn work(&self, amount: u64) -> Result<(), DebugError> {
        let left = self.left.get().checked_sub(amount);
        self.left.set(left.ok_or(DebugError::TooMuchWork { limit: self.limit })?);
        Ok(())
    }

    /// Notes that an entry is read; its attributes may take no space in it.
    pub(super) fn work_on(&self, attributes: usize) -> Result<(), DebugError> {
        self.work(1 + attributes as u64)
    }

    pub(super) fn entry(&self, at: EntryAt) -> Result<Entry<'a>, DebugError> {
        self.work(1)?;
        let error = |error| Self::entry_error(at.unit, error);
        let unit =
            self.all.get(at.unit).ok_or_else(|| error(gimli::Error::OffsetOutOfBounds(0)))?;
        let entry = unit.entry(UnitOffset(at.offset)).map_err(error)?;
        self.work(entry.attrs().len() as u64)?;
        Ok(entry)
    }

    /// The entry that `value`, an attribute of an entry of `unit`, refers to.
    pub(super) fn target(&self, unit: usize, value: &Value<'_>) -> Option<EntryAt> {
        match *value {
            AttributeValue::UnitRef(UnitOffset(offset)) => Some(EntryAt { unit, offset }),
            AttributeValue::DebugInfoRef(offset) => {
                let after = self.starts.partition_point(|(start, _)| *start <= offset.0);
                let &(start, unit) = self.starts.get(after.checked_sub(1)?)?;
                Some(EntryAt { unit, offset: offset.0 - start })
            }
            AttributeValue::DebugTypesRef(signature) => self.signatures.get(&signature.0).copied(),
            _ => None,
        }
    }

    /// The entry that the attribute `name` of `entry` refers to.
    pub(super) fn follow(
        &self,
        unit: usize,
        entry: &Entry<'_>,
        name: constants::DwAt,
    ) -> Option<EntryAt> {
        self.target(unit, &entry.attr_value(name)?)
    }

    /// The bytes of a text; `None` where there is none.
    pub(super) fn text(
        &self,
        unit: usize,
        value: Value<'a>,
    ) -> Result<Option<&'a [u8]>, DebugError> {
        let Some(unit) = self.all.get(unit) else { return Ok(None) };
        let Ok(bytes) = self.dwarf.attr_string(unit, value) else { return Ok(None) };
        let bytes = bytes.slice();
        // Its end was looked for, however far away it is.
        self.work(1 + (bytes.len() / BYTES_LOOKED_AT) as u64)?;
        Ok(Some(&bytes[..bytes.len().min(MOST_NAME_BYTES)]))
    }

    /// The name of an entry, with bytes that are not UTF-8 replaced.
    pub(super) fn name(
        &self,
        unit: usize,
        entry: &Entry<'a>,
    ) -> Result<Option<String>, DebugError> {
        let value = entry.attr_value(constants::DW_AT_name);
        let Some(value) = value else { return Ok(None) };
        let Some(bytes) = self.text(unit, value)? else { return Ok(None) };
        self.work(bytes.len() as u64)?;
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()).filter(|name| !name.is_empty()))
    }

    /// Calls `visit` with each entry right below the one at `at`, and with each entry further
    /// below that `wanted` asks for by its depth and tag.
    pub(super) fn children(
        &self,
        at: EntryAt,
        wanted: impl Fn(isize, constants::DwTag) -> bool,
        mut visit: impl FnMut(&Entry<'a>) -> Result<(), DebugError>,
    ) -> Result<(), DebugError> {
        let error = |error| Self::entry_error(at.unit, error);
        let Some(unit) = self.all.get(at.unit) else { return Ok(()) };
        let mut raw = unit.entries_raw(Some(UnitOffset(at.offset))).map_err(error)?;
        let mut entry = Entry::null();
        let is_there = raw.read_entry(&mut entry).map_err(error)?;
        self.work_on(entry.attrs().len())?;
        if !is_there || !entry.has_children() {
            return Ok(());
        }
        while raw.next_depth() > 0 && !raw.is_empty() {
            let depth = raw.next_depth();
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().map_err(error)? else {
                self.work(1)?;
                raw = ahead;
                continue;
            };
            self.work_on(abbreviation.attributes().len())?;
            if depth == 1 || wanted(depth, abbreviation.tag()) {
                raw.read_entry(&mut entry).map_err(error)?;
                visit(&entry)?;
            } else {
                ahead.skip_attributes(abbreviation.attributes()).map_err(error)?;
                raw = ahead;
            }
        }
        Ok(())
    }
}

/// Tables of abbreviations, each parsed once.
struct Tables<'a> {
    known: BTreeMap<usize, Arc<Abbreviations>>,
    section: &'a [u8],
}

impl Tables<'_> {
    fn get<'u>(
        &mut self,
        units: &Units<'u>,
        header: &UnitHeader<Bytes<'u>>,
    ) -> Result<Arc<Abbreviations>, DebugError> {
        let offset = header.debug_abbrev_offset().0;
        if let Some(known) = self.known.get(&offset) {
            return Ok(Arc::clone(known));
        }
        // Tables may begin inside each other; without this, a file full of such would be read as
        // often as it has bytes.
        units.work(table_bytes(self.section.get(offset..).unwrap_or_default()))?;
        let table = header
            .abbreviations(&units.dwarf.debug_abbrev)
            .map_err(|error| units.unit_error(&error))?;
        let table = Arc::new(table);
        self.known.insert(offset, Arc::clone(&table));
        Ok(table)
    }
}

/// How long a table of abbreviations is: up to the code 0.
///
/// Source: DWARF 5, section 7.5.3.
fn table_bytes(section: &[u8]) -> u64 {
    let mut numbers = Numbers { rest: section };
    let mut read = || -> Option<()> {
        while numbers.next()? != 0 {
            numbers.next()?; // tag
            numbers.byte()?; // whether it has children
            loop {
                let (name, form) = (numbers.next()?, numbers.next()?);
                if u64::from(constants::DW_FORM_implicit_const.0) == form {
                    numbers.next()?;
                }
                if name == 0 && form == 0 {
                    break;
                }
            }
        }
        Some(())
    };
    let _ = read();
    (section.len() - numbers.rest.len()) as u64
}

struct Numbers<'a> {
    rest: &'a [u8],
}

impl Numbers<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// A LEB128 number, without the bits that do not fit.
    fn next(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            if shift < u64::BITS {
                number |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
    }
}
