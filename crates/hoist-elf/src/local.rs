//! Symbols that a library has but keeps to itself.

use crate::error::ElfError;
use crate::identity::Identity;
use crate::image::Image;
use crate::sections::read_sections;
use crate::spec::{SHN_UNDEF, SHT_SYMTAB};
use crate::symbols::{Binding, RawSymbol, Visibility};

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

fn find(bytes: &[u8], name: &[u8]) -> Result<Option<LocalSymbol>, ElfError> {
    let identity = Identity::read(bytes)?;
    let image = Image::new(bytes, identity.class, identity.endian);
    let mut found = None;
    each_symtab_symbol(&image, |raw, names| {
        let rest = names.strip_prefix(name);
        if found.is_none() && rest.is_some_and(|rest| rest.first() == Some(&0)) {
            found = Some(LocalSymbol {
                binding: Binding::of(raw.info),
                visibility: Visibility::of(raw.other),
            });
        }
    })?;
    Ok(found)
}

/// Calls `visit` with every definition of `.symtab` and the names from its own on.
pub(crate) fn each_symtab_symbol<'a>(
    image: &Image<'a>,
    mut visit: impl FnMut(&RawSymbol, &'a [u8]),
) -> Result<(), ElfError> {
    let sections = read_sections(image)?;
    // More than one would let a small file be read over and over.
    let table = sections.iter().find(|section| section.kind == SHT_SYMTAB);
    let Some(table) = table else { return Ok(()) };
    let names = usize::try_from(table.link).ok().and_then(|link| sections.get(link));
    let Some(names) = names else { return Ok(()) };
    let names = image.slice(names.offset, names.size_bytes, "the section of symbol names")?;
    let symbols = image.part(table.offset, table.size_bytes, ".symtab")?;
    for index in 0..table.size_bytes / image.symbol_bytes() {
        let raw = RawSymbol::read(&symbols, index)?;
        let from_own = usize::try_from(raw.name_index).ok().and_then(|start| names.get(start..));
        if let Some(from_own) = from_own.filter(|_| raw.section != SHN_UNDEF) {
            visit(&raw, from_own);
        }
    }
    Ok(())
}
