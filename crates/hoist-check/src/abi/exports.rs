//! Exports of two builds by name and version.

use std::collections::{BTreeMap, BTreeSet};

use hoist_elf::{ElfFacts, Place, Symbol, SymbolKind};

use super::names::is_of_rust;
use crate::exports::LINKER_SYMBOLS;

/// What became of the exports of the previous build.
pub(super) struct Changes<'f> {
    /// There before and now, in the order of the previous build.
    pub(super) kept: Vec<(&'f Symbol, &'f Symbol)>,
    /// No longer there under any version.
    pub(super) removed: Vec<&'f Symbol>,
    /// There, and no longer in that version.
    pub(super) version_removed: Vec<&'f Symbol>,
    /// There now under a name that was not exported.
    pub(super) added: Vec<&'f Symbol>,
}

/// Exports that callers can mean: not what linkers add, and not what Rust names by a hash.
fn by_name(facts: &ElfFacts) -> BTreeMap<&str, Vec<&Symbol>> {
    let mut by_name: BTreeMap<&str, Vec<&Symbol>> = BTreeMap::new();
    for symbol in facts.exports() {
        if !LINKER_SYMBOLS.contains(&&*symbol.name) && !is_of_rust(&symbol.name) {
            by_name.entry(&symbol.name).or_default().push(symbol);
        }
    }
    by_name
}

impl<'f> Changes<'f> {
    pub(super) fn between(old: &'f ElfFacts, new: &'f ElfFacts) -> Self {
        let (before, after) = (by_name(old), by_name(new));
        let mut changes = Self {
            kept: Vec::new(),
            removed: Vec::new(),
            version_removed: Vec::new(),
            added: Vec::new(),
        };
        for (name, symbols) in &before {
            let Some(now) = after.get(name) else {
                changes.removed.extend(symbols.first());
                continue;
            };
            let mut by_version: BTreeMap<Option<&str>, &Symbol> = BTreeMap::new();
            for &symbol in now {
                by_version.entry(symbol.version.as_deref()).or_insert(symbol);
            }
            for &symbol in symbols {
                let same = by_version.get(&symbol.version.as_deref()).copied();
                // The loader gives any version to those that ask for none.
                let any = || now.first().copied().filter(|_| symbol.version.is_none());
                match same.or_else(any) {
                    Some(other) => changes.kept.push((symbol, other)),
                    None => changes.version_removed.push(symbol),
                }
            }
        }
        let names: BTreeSet<&str> = before.keys().copied().collect();
        let added = after.iter().filter(|(name, _)| !names.contains(*name));
        changes.added.extend(added.filter_map(|(_, symbols)| symbols.first().copied()));
        changes
    }
}

/// What an export is to a caller; `None` when that cannot be told.
pub(super) fn kind_of(symbol: &Symbol) -> Option<&'static str> {
    match (symbol.place, symbol.kind) {
        (Place::Data, SymbolKind::ThreadLocal) => Some("a thread-local variable"),
        (Place::Code, _) => Some("a function"),
        (Place::Data, _) => Some("a variable"),
        (Place::Absolute, _) => Some("a number"),
        (Place::Undefined | Place::Nowhere, _) => None,
    }
}
