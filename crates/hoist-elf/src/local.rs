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
    let sections = read_sections(&image)?;
    for table in sections.iter().filter(|section| section.kind == SHT_SYMTAB) {
        let Some(names) = usize::try_from(table.link).ok().and_then(|link| sections.get(link))
        else {
            continue;
        };
        let names = image.slice(names.offset, names.size_bytes, "the section of symbol names")?;
        let symbols = image.part(table.offset, table.size_bytes, ".symtab")?;
        for index in 0..table.size_bytes / image.symbol_bytes() {
            let raw = RawSymbol::read(&symbols, index)?;
            let found = usize::try_from(raw.name_index)
                .ok()
                .and_then(|start| names.get(start..))
                .and_then(|tail| tail.strip_prefix(name));
            if raw.section != SHN_UNDEF && found.is_some_and(|rest| rest.first() == Some(&0)) {
                return Ok(Some(LocalSymbol {
                    binding: Binding::of(raw.info),
                    visibility: Visibility::of(raw.other),
                }));
            }
        }
    }
    Ok(None)
}
