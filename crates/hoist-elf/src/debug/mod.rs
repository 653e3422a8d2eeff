//! C signatures and types of a library's exports, from DWARF 2 to 5.
//!
//! [`read_debug_info`] finds the entry of each export, by its address first and by its name where
//! there is none, and reads the types that its parameters and result lead to. Types keep the names
//! of the source for messages; [`Types::resolve`] looks behind them.
//!
//! What is in another file is not followed: split DWARF (`.dwo`), what `strip` took out
//! (`.gnu_debuglink`) and what is shared between libraries (`.gnu_debugaltlink`);
//! [`debug_summary`] and [`DebugInfo::is_split`] tell.
//!
//! The work is in proportion to the size of the information, however its entries refer to each
//! other: every type is read once, and all looks at entries together are counted.

mod error;
mod exports;
mod promise;
mod reader;
mod sections;
mod spelling;
mod types;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;

use gimli::RunTimeEndian;

pub use error::DebugError;
pub use promise::HeaderTypes;
pub use sections::{DebugSummary, compressed_sections, debug_summary};
pub use types::{
    BaseType, Composite, CompositeKind, Encoding, EnumType, Field, Parameter, PointerKind,
    Qualifier, Signature, Type, TypeId, Types,
};

use crate::facts::ElfFacts;
use crate::identity::{Class, Endian, Machine};
use crate::symbols::Symbol;
use exports::find_exports;
use reader::{Described, Reader};
use sections::DebugSections;
use units::Units;

/// What debug information says about exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugInfo {
    /// What the signatures refer to.
    pub types: Types,
    functions: BTreeMap<SymbolKey, Signature>,
    variables: BTreeMap<SymbolKey, TypeId>,
    /// Whether some code has its information in other files (`.dwo`).
    pub is_split: bool,
    /// The first part that could not be read; what it says is missing then.
    pub damage: Option<DebugError>,
}

/// Name and version: a library may export several functions of one name.
type SymbolKey = (Arc<str>, Option<Arc<str>>);

fn key(symbol: &Symbol) -> SymbolKey {
    (Arc::clone(&symbol.name), symbol.version.clone())
}

impl DebugInfo {
    /// The signature of an exported function; `None` when nothing is known of it.
    #[must_use]
    pub fn function(&self, symbol: &Symbol) -> Option<&Signature> {
        self.functions.get(&key(symbol))
    }

    /// The type of an exported variable; `None` when nothing is known of it.
    #[must_use]
    pub fn variable(&self, symbol: &Symbol) -> Option<TypeId> {
        self.variables.get(&key(symbol)).copied()
    }
}

/// Reads what the debug information of a file says about its exports.
///
/// - `facts`: those of the same `bytes`.
/// - `is_wanted`: which exports; when none is, only the units' headers are read.
///
/// # Errors
///
/// When there is none, or its sections cannot be read. Damage inside them is
/// [`DebugInfo::damage`], beside what could be read.
pub fn read_debug_info(
    bytes: &[u8],
    facts: &ElfFacts,
    is_wanted: impl Fn(&Symbol) -> bool,
) -> Result<DebugInfo, DebugError> {
    let sections = DebugSections::read(bytes)?;
    if sections.get(".debug_info").is_empty() {
        return Err(DebugError::Absent);
    }
    let identity = facts.identity;
    let endian = match identity.endian {
        Endian::Little => RunTimeEndian::Little,
        Endian::Big => RunTimeEndian::Big,
    };
    let address_bytes = if identity.class == Class::Elf64 { 8 } else { 4 };
    let (units, damage) = Units::read(&sections, endian);
    let mut info = DebugInfo {
        types: Types::new(address_bytes),
        functions: BTreeMap::new(),
        variables: BTreeMap::new(),
        is_split: units.is_split,
        damage,
    };
    let wanted: Vec<&Symbol> = facts.exports().filter(|symbol| is_wanted(symbol)).collect();
    if wanted.is_empty() {
        return Ok(info);
    }
    let address_mask = if identity.machine == Machine::ARM { !1 } else { !0 };
    let (index, damage) = find_exports(&units, &wanted, address_mask);
    info.damage = info.damage.or(damage);
    let mut reader = Reader::new(&units, &index, address_bytes);
    for (&export, &at) in &index.entries {
        let Some(symbol) = wanted.get(export) else { continue };
        match reader.described(at) {
            Ok(Some(Described::Function(signature))) => {
                info.functions.insert(key(symbol), signature);
            }
            Ok(Some(Described::Variable(kind))) => {
                info.variables.insert(key(symbol), kind);
            }
            Ok(None) => {}
            Err(error) => {
                info.damage.get_or_insert(error);
            }
        }
    }
    reader.name_by_typedefs();
    info.damage = info.damage.or(reader.damage);
    info.types = reader.types;
    Ok(info)
}

#[cfg(test)]
mod tests;
