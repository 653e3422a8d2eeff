//! Symbols that a library has but keeps to itself.

use crate::error::ElfError;
use crate::facts::ElfFacts;
use crate::identity::Identity;
use crate::image::Image;
use crate::sections::read_sections;
use crate::spec::{SHN_UNDEF, SHT_SYMTAB};
use crate::symbols::{Binding, Place, RawSymbol, Symbol, SymbolKind, Visibility};

/// A definition in `.symtab`, which the loader does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSymbol {
    /// How it takes part in linking.
    pub binding: Binding,
    /// Who may see it.
    pub visibility: Visibility,
}

/// Finds the definition of `name` in `.symtab`, to explain why it is not among the exports.
///
/// `None` when there is none, and when the table is gone (as after `strip`) or damaged.
#[must_use]
pub fn find_local_symbol(bytes: &[u8], name: &str) -> Option<LocalSymbol> {
    find(bytes, name.as_bytes()).ok().flatten()
}

/// The name of the function around `address` of the loaded image, by `.symtab`; where that is
/// gone, by what the library exports.
///
/// `None` where no symbol says so. Of several names of one function, the first is given.
#[must_use]
pub fn function_at(bytes: &[u8], facts: &ElfFacts, address: u64) -> Option<String> {
    let holds =
        |value: u64, size_bytes: u64| address.checked_sub(value).is_some_and(|at| at < size_bytes);
    let mut found = None;
    // A damaged table ends the search where the damage is.
    let _ = each_definition(bytes, |raw, name| {
        let is_code = SymbolKind::of(raw.info) == SymbolKind::Function;
        if is_code && holds(raw.value, raw.size_bytes) {
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
            found = Some(String::from_utf8_lossy(&name[..end]).into_owned());
        }
        found.is_some()
    });
    found.or_else(|| {
        let is_around = |symbol: &&Symbol| {
            symbol.place == Place::Code && holds(symbol.value, symbol.size_bytes)
        };
        facts.symbols.iter().find(is_around).map(|symbol| symbol.name.to_string())
    })
}

fn find(bytes: &[u8], name: &[u8]) -> Result<Option<LocalSymbol>, ElfError> {
    let mut found = None;
    each_definition(bytes, |raw, tail| {
        if tail.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0)) {
            let (binding, visibility) = (Binding::of(raw.info), Visibility::of(raw.other));
            found = Some(LocalSymbol { binding, visibility });
        }
        found.is_some()
    })?;
    Ok(found)
}

/// Calls `is_enough` for each definition in `.symtab`, with the names from its own on, until that
/// says so.
pub(crate) fn each_definition<'a>(
    bytes: &'a [u8],
    mut is_enough: impl FnMut(&RawSymbol, &'a [u8]) -> bool,
) -> Result<(), ElfError> {
    let identity = Identity::read(bytes)?;
    let image = Image::new(bytes, identity.class, identity.endian);
    let sections = read_sections(&image)?;
    // More than one would let a small file be read over and over.
    let table = sections.iter().find(|section| section.kind == SHT_SYMTAB);
    let Some(table) = table else { return Ok(()) };
    let names = usize::try_from(table.link).ok().and_then(|link| sections.get(link));
    let Some(names) = names else { return Ok(()) };
    let names = image.slice(names.offset, names.size_bytes, "the section of symbol names")?;
    let symbols = image.part(table.offset, table.size_bytes, ".symtab")?;
    for index in 0..table.size_bytes / image.symbol_bytes() {
        let raw = RawSymbol::read(&symbols, index)?;
        let tail = usize::try_from(raw.name_index).ok().and_then(|start| names.get(start..));
        if raw.section != SHN_UNDEF && tail.is_some_and(|tail| is_enough(&raw, tail)) {
            return Ok(());
        }
    }
    Ok(())
}
