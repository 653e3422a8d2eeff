//! Which entries describe the exports.

use std::collections::{BTreeMap, HashMap};

use gimli::{AttributeValue, Operation, UnitOffset, constants};

use super::error::DebugError;
use super::units::{Bytes, Entry, EntryAt, Units, Value};
use crate::symbols::{Place, Symbol, SymbolKind};

/// How many namespaces around an entry are looked at, from the inside; deeper nesting is made to
/// waste time.
const MOST_SCOPES: usize = 64;

/// How surely an entry is about an export, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// It has its name, and no address.
    Name,
    /// It has its address; of functions that were merged, the name may be another's.
    Address,
    /// It has both.
    Both,
}

/// A namespace: its entries lie between two places of its unit.
#[derive(Debug)]
struct Scope {
    start: EntryAt,
    end: usize,
    name: String,
    /// The namespace around it, by its number.
    outer: Option<usize>,
}

/// What a walk over all units finds.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The entry of each export that was looked for, by its number.
    pub(super) entries: BTreeMap<usize, EntryAt>,
    scopes: Vec<Scope>,
}

impl Index {
    /// The names of the namespaces around an entry, each followed by `::`; empty in C.
    ///
    /// - `units`: where the length of the text is counted as work.
    pub(super) fn scope_of(&self, units: &Units<'_>, at: EntryAt) -> Result<String, DebugError> {
        let after = self.scopes.partition_point(|scope| scope.start <= at);
        let mut number = after.checked_sub(1);
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..MOST_SCOPES {
            let Some(scope) = number.and_then(|number| self.scopes.get(number)) else { break };
            units.work(1 + scope.name.len() as u64)?;
            let is_inside = scope.start.unit == at.unit && at.offset < scope.end;
            if is_inside {
                names.push(&scope.name);
            }
            number = scope.outer;
        }
        Ok(names.iter().rev().fold(String::new(), |text, name| text + name + "::"))
    }
}

/// The exports that are looked for.
struct Wanted<'s> {
    by_address: HashMap<u64, Vec<usize>>,
    by_name: HashMap<&'s [u8], Vec<usize>>,
}

impl<'s> Wanted<'s> {
    fn new(exports: &[&'s Symbol], address_mask: u64) -> Self {
        let mut wanted = Self { by_address: HashMap::new(), by_name: HashMap::new() };
        for (number, symbol) in exports.iter().enumerate() {
            // At an indirect function's address lies the function that chooses one.
            let has_address = matches!(symbol.place, Place::Code | Place::Data)
                && !matches!(symbol.kind, SymbolKind::IndirectFunction | SymbolKind::ThreadLocal);
            if has_address && symbol.value != 0 {
                let address = symbol.value & address_mask;
                wanted.by_address.entry(address).or_default().push(number);
            }
            wanted.by_name.entry(symbol.name.as_bytes()).or_default().push(number);
        }
        wanted
    }
}

/// Looks at every function and variable outside functions for the `exports`.
///
/// - `address_mask`: the bits of a symbol's value that are its address; 32-bit Arm keeps another
///   thing in the lowest.
///
/// Damage of one unit leaves the others; the first is returned beside what was found.
pub(super) fn find_exports(
    units: &Units<'_>,
    exports: &[&Symbol],
    address_mask: u64,
) -> (Index, Option<DebugError>) {
    let mut walk = Walk {
        units,
        wanted: Wanted::new(exports, address_mask),
        found: BTreeMap::new(),
        index: Index::default(),
        open: Vec::new(),
    };
    let mut damage = None;
    for unit in 0..units.all.len() {
        if let Err(error) = walk.unit(unit) {
            let is_end = matches!(error, DebugError::TooMuchWork { .. });
            damage.get_or_insert(error);
            if is_end {
                break;
            }
        }
        walk.close_scopes(isize::MIN, usize::MAX);
    }
    walk.index.entries = walk.found.into_iter().map(|(export, (_, at))| (export, at)).collect();
    (walk.index, damage)
}

struct Walk<'u, 'a, 's> {
    units: &'u Units<'a>,
    wanted: Wanted<'s>,
    found: BTreeMap<usize, (Match, EntryAt)>,
    index: Index,
    /// The namespaces around the current entry: depth and number.
    open: Vec<(isize, usize)>,
}

impl<'a> Walk<'_, 'a, '_> {
    fn unit(&mut self, number: usize) -> Result<(), DebugError> {
        let error = |error| Units::entry_error(number, error);
        let Some(unit) = self.units.all.get(number) else { return Ok(()) };
        let mut raw = unit.entries_raw(None).map_err(error)?;
        let mut entry = Entry::null();
        // A jump to a sibling begins to count its depth anew.
        let mut base = 0;
        // Entries deeper than this are inside something that is passed over.
        let mut deepest = isize::MAX;
        while !raw.is_empty() {
            let offset = raw.next_offset();
            let depth = base + raw.next_depth();
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().map_err(error)? else {
                self.units.work(1)?;
                raw = ahead;
                continue;
            };
            self.units.work_on(abbreviation.attributes().len())?;
            if depth > deepest {
                ahead.skip_attributes(abbreviation.attributes()).map_err(error)?;
                raw = ahead;
                continue;
            }
            deepest = isize::MAX;
            self.close_scopes(depth, offset.0);
            let at = EntryAt { unit: number, offset: offset.0 };
            match abbreviation.tag() {
                constants::DW_TAG_compile_unit
                | constants::DW_TAG_partial_unit
                | constants::DW_TAG_type_unit
                | constants::DW_TAG_skeleton_unit => {
                    ahead.skip_attributes(abbreviation.attributes()).map_err(error)?;
                    raw = ahead;
                }
                constants::DW_TAG_namespace | constants::DW_TAG_module => {
                    raw.read_entry(&mut entry).map_err(error)?;
                    self.open_scope(at, depth, &entry)?;
                }
                tag => {
                    let is_named =
                        matches!(tag, constants::DW_TAG_subprogram | constants::DW_TAG_variable);
                    if !is_named && !abbreviation.has_children() {
                        ahead.skip_attributes(abbreviation.attributes()).map_err(error)?;
                        raw = ahead;
                        continue;
                    }
                    raw.read_entry(&mut entry).map_err(error)?;
                    if is_named {
                        self.consider(at, &entry)?;
                    }
                    if !entry.has_children() {
                        continue;
                    }
                    match entry.attr_value(constants::DW_AT_sibling) {
                        Some(AttributeValue::UnitRef(sibling))
                            if sibling.0 >= raw.next_offset().0 =>
                        {
                            raw = unit.entries_raw(Some(UnitOffset(sibling.0))).map_err(error)?;
                            base = depth;
                        }
                        _ => deepest = depth,
                    }
                }
            }
        }
        Ok(())
    }

    fn open_scope(
        &mut self,
        start: EntryAt,
        depth: isize,
        entry: &Entry<'a>,
    ) -> Result<(), DebugError> {
        let name = self.units.name(start.unit, entry)?;
        let name = name.unwrap_or_else(|| "(anonymous namespace)".to_owned());
        let outer = self.open.last().map(|(_, number)| *number);
        self.open.push((depth, self.index.scopes.len()));
        self.index.scopes.push(Scope { start, end: usize::MAX, name, outer });
        Ok(())
    }

    /// Ends every namespace that an entry at `depth` is not inside.
    fn close_scopes(&mut self, depth: isize, end: usize) {
        while let Some((_, number)) = self.open.pop_if(|(opened, _)| *opened >= depth) {
            self.index.scopes[number].end = end;
        }
    }

    fn consider(&mut self, at: EntryAt, entry: &Entry<'a>) -> Result<(), DebugError> {
        let mut is_declaration = false;
        let mut is_external = false;
        let (mut name, mut linkage_name, mut address) = (None, None, None);
        for attribute in entry.attrs() {
            match attribute.name() {
                constants::DW_AT_declaration => is_declaration = is_set(&attribute.value()),
                constants::DW_AT_external => is_external = is_set(&attribute.value()),
                constants::DW_AT_name => name = Some(attribute.value()),
                constants::DW_AT_linkage_name | constants::DW_AT_MIPS_linkage_name => {
                    linkage_name = Some(attribute.value());
                }
                constants::DW_AT_low_pc => address = self.address(at.unit, attribute.value()),
                constants::DW_AT_location => {
                    address = self.location(at.unit, attribute.value());
                }
                _ => {}
            }
        }
        if is_declaration {
            return Ok(());
        }
        let exports = address.and_then(|address| self.wanted.by_address.get(&address));
        if let Some(exports) = exports {
            self.units.work(exports.len() as u64)?;
            let text = self.linker_name(at, entry)?;
            let named = text.and_then(|text| self.wanted.by_name.get(text));
            for &export in exports {
                // Numbers were given in order.
                let has_name = named.is_some_and(|named| named.binary_search(&export).is_ok());
                let how = if has_name { Match::Both } else { Match::Address };
                note(&mut self.found, export, how, at);
            }
            return Ok(());
        }
        let name = linkage_name.or(name.filter(|_| is_external));
        let text = name.map(|name| self.units.text(at.unit, name)).transpose()?.flatten();
        if let Some(named) = text.and_then(|text| self.wanted.by_name.get(text)) {
            self.units.work(named.len() as u64)?;
            for &export in named {
                note(&mut self.found, export, Match::Name, at);
            }
        }
        Ok(())
    }

    /// The name the linker sees, of the entry or of what it completes.
    fn linker_name(&self, at: EntryAt, entry: &Entry<'a>) -> Result<Option<&'a [u8]>, DebugError> {
        let mut at = at;
        let mut entry = entry.clone();
        let mut plain = None;
        for _ in 0..MOST_COMPLETIONS {
            let text = |name| match entry.attr_value(name) {
                Some(value) => self.units.text(at.unit, value),
                None => Ok(None),
            };
            for name in [constants::DW_AT_linkage_name, constants::DW_AT_MIPS_linkage_name] {
                if let Some(linkage_name) = text(name)? {
                    return Ok(Some(linkage_name));
                }
            }
            if plain.is_none() {
                plain = text(constants::DW_AT_name)?;
            }
            let Some(next) = completed_by(self.units, at.unit, &entry) else { break };
            at = next;
            entry = self.units.entry(at)?;
        }
        Ok(plain)
    }

    fn address(&self, unit: usize, value: Value<'a>) -> Option<u64> {
        self.units.dwarf.attr_address(self.units.all.get(unit)?, value).ok().flatten()
    }

    /// The address of a variable that has the same place all the time.
    fn location(&self, unit: usize, value: Value<'a>) -> Option<u64> {
        let AttributeValue::Exprloc(expression) = value else { return None };
        let of = self.units.all.get(unit)?;
        let mut operations = expression.operations(of.encoding());
        let first: Operation<Bytes<'a>> = operations.next().ok()??;
        match first {
            Operation::Address { address } => Some(address),
            Operation::AddressIndex { index } => {
                self.address(unit, AttributeValue::DebugAddrIndex(index))
            }
            _ => None,
        }
    }
}

/// Keeps the first of the surest entries of an export.
fn note(found: &mut BTreeMap<usize, (Match, EntryAt)>, export: usize, how: Match, at: EntryAt) {
    let known = found.entry(export).or_insert((how, at));
    if how > known.0 {
        *known = (how, at);
    }
}

/// Longest chain of entries that complete each other.
pub(super) const MOST_COMPLETIONS: usize = 8;

/// The entry that `entry` is an instance or the definition of.
pub(super) fn completed_by(units: &Units<'_>, unit: usize, entry: &Entry<'_>) -> Option<EntryAt> {
    [constants::DW_AT_abstract_origin, constants::DW_AT_specification]
        .into_iter()
        .find_map(|name| units.target(unit, &entry.attr_value(name)?))
}

fn is_set(value: &Value<'_>) -> bool {
    matches!(value, AttributeValue::Flag(true))
}
