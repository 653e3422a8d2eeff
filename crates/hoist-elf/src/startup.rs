//! Functions that the loader itself calls.

use std::collections::BTreeMap;

use crate::dynamic::Entries;
use crate::error::ElfError;
use crate::identity::Machine;
use crate::image::Image;
use crate::relocations::{Kind, RelocationCounts, each_relocation, word_at};
use crate::segments::LoadMap;
use crate::spec::{
    DT_FINI, DT_FINI_ARRAY, DT_FINI_ARRAYSZ, DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ,
};
use crate::symbols::Symbol;

/// Most functions of each kind that are kept.
const MOST_FUNCTIONS: usize = 1 << 16;

/// Addresses of functions that the loader calls, up to 65536 of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoaderCalls {
    /// Constructors in the order they run: `DT_INIT`, then those of `DT_INIT_ARRAY`.
    pub constructors: Vec<u64>,
    /// Destructors: those of `DT_FINI_ARRAY`, then `DT_FINI`.
    pub destructors: Vec<u64>,
    /// Resolvers of relocations (`IRELATIVE`); they run before any constructor.
    pub resolvers: Vec<u64>,
}

/// One array of functions.
struct Array {
    address: u64,
    words: u64,
}

impl Array {
    fn find(image: &Image<'_>, entries: &Entries, tag: u64, size_tag: u64) -> Option<Self> {
        let (address, length) = (entries.get(tag)?, entries.get(size_tag)?);
        let words = (length / image.word_bytes()).min(MOST_FUNCTIONS as u64);
        Some(Self { address, words })
    }

    fn holds(&self, address: u64, word_bytes: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|at| at < self.words * word_bytes)
    }
}

/// Counts the relocations and finds the functions that the loader calls.
///
/// - `symbols`: all dynamic symbols, the null symbol first.
pub(crate) fn read_loader_calls(
    image: &Image<'_>,
    map: &LoadMap<'_>,
    entries: &Entries,
    machine: Machine,
    symbols: &[Symbol],
) -> Result<(LoaderCalls, RelocationCounts), ElfError> {
    let word = image.word_bytes();
    let start = Array::find(image, entries, DT_INIT_ARRAY, DT_INIT_ARRAYSZ);
    let end = Array::find(image, entries, DT_FINI_ARRAY, DT_FINI_ARRAYSZ);
    let mut calls = LoaderCalls::default();
    let mut counts = RelocationCounts::default();
    let mut written = BTreeMap::new();
    each_relocation(image, map, entries, machine, |relocation| {
        counts.add(relocation.kind);
        let addend = || relocation.addend(map, word);
        let in_array = |array: &Option<Array>| {
            array.as_ref().is_some_and(|array| array.holds(relocation.address, word))
        };
        match relocation.kind {
            Kind::Resolver if calls.resolvers.len() < MOST_FUNCTIONS => {
                calls.resolvers.push(addend());
            }
            Kind::Relative if in_array(&start) || in_array(&end) => {
                written.insert(relocation.address, addend());
            }
            Kind::SymbolAddress if in_array(&start) || in_array(&end) => {
                let symbol = usize::try_from(relocation.symbol).ok();
                let symbol = symbol.and_then(|index| symbols.get(index));
                if let Some(symbol) = symbol.filter(|symbol| symbol.is_defined()) {
                    let value = symbol.value.wrapping_add(addend());
                    written.insert(relocation.address, value);
                }
            }
            _ => {}
        }
    })?;
    // What a relocation does not write is in the file, as in an executable for fixed addresses.
    let functions = |array: Option<Array>| {
        let words = array.into_iter().flat_map(move |Array { address, words }| {
            (0..words).map_while(move |index| address.checked_add(index * word))
        });
        words
            .filter_map(|at| written.get(&at).copied().or_else(|| word_at(map, at, word)))
            .filter(|&function| function != 0)
            .collect::<Vec<u64>>()
    };
    calls.constructors = entries.get(DT_INIT).into_iter().chain(functions(start)).collect();
    calls.destructors = functions(end).into_iter().chain(entries.get(DT_FINI)).collect();
    Ok((calls, counts))
}
