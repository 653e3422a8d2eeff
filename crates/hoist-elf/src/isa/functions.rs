//! Where functions start and end, and how they are called.

use std::sync::Arc;

use super::code::Code;
use crate::ElfFacts;
use crate::local::each_definition;
use crate::symbols::{Place, Symbol, SymbolKind};
use crate::unwind::CodeRange;

/// Longest name that is given, in bytes: without a NUL, one goes on to the end of all names.
const MOST_NAME_BYTES: usize = 4096;

/// One function: no other starts inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) start: u64,
    /// Where it ends at the latest.
    pub(super) end: u64,
    /// Whether a table says where it ends. Behind the last instruction of one whose end is not
    /// known may lie anything.
    pub(super) is_bounded: bool,
    /// Whether exceptions may enter it in its middle.
    pub(super) has_landing_pads: bool,
}

/// All functions, in order of address; those that are found later, by a call, come behind them.
pub(super) struct Functions<'a> {
    list: Vec<Function>,
    /// How many are in order of address.
    sorted: usize,
    /// Indices of those found later, by their start.
    later: std::collections::BTreeMap<u64, u32>,
    dynamic_names: Vec<(u64, Arc<str>)>,
    local_names: Vec<(u64, &'a [u8])>,
}

impl<'a> Functions<'a> {
    /// - `ranges`: what the unwinding tables list.
    pub(super) fn find(
        code: &Code<'a>,
        bytes: &'a [u8],
        facts: &ElfFacts,
        ranges: &[CodeRange],
    ) -> Self {
        let mut dynamic_names = Vec::new();
        let mut local_names = Vec::new();
        // Start, end if known, landing pads.
        let mut found: Vec<(u64, Option<u64>, bool)> = Vec::new();
        let end = |start: u64, size: u64| start.checked_add(size).filter(|_| size > 0);
        for range in ranges {
            found.push((range.start, Some(range.end), range.has_landing_pads));
        }
        for symbol in facts.symbols.iter().filter(|symbol| may_run(symbol)) {
            dynamic_names.push((symbol.value, Arc::clone(&symbol.name)));
            found.push((symbol.value, end(symbol.value, symbol.size_bytes), false));
        }
        // Damage of this table takes away names and the functions that only it knows.
        let _ = each_definition(bytes, |raw, names| {
            if matches!(
                SymbolKind::of(raw.info),
                SymbolKind::Function | SymbolKind::IndirectFunction
            ) {
                local_names.push((raw.value, names));
                found.push((raw.value, end(raw.value, raw.size_bytes), false));
            }
            false
        });
        let calls = &facts.loader_calls;
        for &start in calls.constructors.iter().chain(&calls.destructors).chain(&calls.resolvers) {
            found.push((start, None, false));
        }
        dynamic_names.sort();
        local_names.sort_unstable_by_key(|name| name.0);
        let list = partition(code, found);
        let later = std::collections::BTreeMap::new();
        Self { sorted: list.len(), list, later, dynamic_names, local_names }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, index: usize) -> Function {
        self.list[index]
    }

    /// The function that starts at `address`, or whose known bounds hold it.
    pub(super) fn at(&self, address: u64) -> Option<u32> {
        if let Some(&index) = self.later.get(&address) {
            return Some(index);
        }
        let after = self.list[..self.sorted].partition_point(|function| function.start <= address);
        let index = after.checked_sub(1)?;
        let function = self.list[index];
        let holds = function.start == address || function.is_bounded && address < function.end;
        holds.then(|| u32::try_from(index).ok()).flatten()
    }

    /// Adds the function at `start`, which a call leads to and [`Self::at`] does not know.
    pub(super) fn add(&mut self, code: &Code<'_>, start: u64) -> Option<u32> {
        let (_, part) = code.executable_at(start)?;
        let after = self.list[..self.sorted].partition_point(|function| function.start <= start);
        let next = self.list[..self.sorted].get(after).map(|function| function.start);
        let later = self.later.range(start..).next().map(|(next, _)| *next);
        let end = next.into_iter().chain(later).fold(part.end(), u64::min);
        let index = u32::try_from(self.list.len()).ok()?;
        self.list.push(Function { start, end, is_bounded: false, has_landing_pads: false });
        self.later.insert(start, index);
        Some(index)
    }

    /// How the function is called, up to [`MOST_NAME_BYTES`]; by its address when it has no name.
    pub(super) fn name(&self, index: usize) -> String {
        let start = self.list[index].start;
        let at = self.dynamic_names.partition_point(|name| name.0 < start);
        if let Some((_, name)) = self.dynamic_names.get(at).filter(|name| name.0 == start) {
            return name[..name.floor_char_boundary(MOST_NAME_BYTES)].to_owned();
        }
        let at = self.local_names.partition_point(|name| name.0 < start);
        let local = self.local_names.get(at).filter(|name| name.0 == start);
        let local = local.and_then(|(_, from)| {
            from[..from.len().min(MOST_NAME_BYTES)].split(|&byte| byte == 0).next()
        });
        match local {
            Some(name) if !name.is_empty() => String::from_utf8_lossy(name).into_owned(),
            _ => format!("{start:#x}"),
        }
    }
}

/// Whether `symbol` may name a function: constants, too, may lie in memory that may run.
fn may_run(symbol: &Symbol) -> bool {
    use SymbolKind::{Function, IndirectFunction, NoType};
    symbol.place == Place::Code && matches!(symbol.kind, Function | IndirectFunction | NoType)
}

/// Cuts the code into functions by their starts.
fn partition(code: &Code<'_>, mut found: Vec<(u64, Option<u64>, bool)>) -> Vec<Function> {
    // Of those with one start the first wins: one with an end, and with landing pads.
    found.sort_unstable_by_key(|&(start, end, pads)| (start, end.is_none(), !pads));
    found.dedup_by_key(|found| found.0);
    let mut list: Vec<Function> = Vec::with_capacity(found.len());
    for (index, &(start, end, has_landing_pads)) in found.iter().enumerate() {
        let Some((_, part)) = code.executable_at(start) else { continue };
        let next = found.get(index + 1).map_or(u64::MAX, |next| next.0);
        list.push(Function {
            start,
            end: end.unwrap_or(u64::MAX).min(next).min(part.end()),
            is_bounded: end.is_some(),
            has_landing_pads,
        });
    }
    list
}
