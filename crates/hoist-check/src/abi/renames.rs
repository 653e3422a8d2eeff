//! New names of exports that are gone.

use hoist_elf::Symbol;

use super::builds::Build;
use super::exports::{Changes, kind_of};
use super::names::{demangle, without_parameters};

/// Least likeness of names, from 0 to 1, at which one is offered as the other's new name.
const LEAST_LIKENESS: f64 = 0.7;

/// The same, for exports with the same signature and size.
const LEAST_LIKENESS_OF_TWINS: f64 = 0.3;

/// Most new exports among which a new name is looked for.
const MOST_LOOKED_AT: usize = 5000;

/// The new export that `symbol` may have become.
pub(super) fn renamed_to<'f>(
    symbol: &Symbol,
    changes: &Changes<'f>,
    old: &Build,
    new: &Build,
) -> Option<&'f Symbol> {
    let plain = demangle(&symbol.name);
    let plain = plain.as_deref().map_or(&*symbol.name, without_parameters);
    let signature_of = |build: &Build, symbol: &Symbol| {
        let info = build.info.as_ref().ok()?;
        info.function(symbol).map(|signature| info.types.spell_function(signature, ""))
    };
    let signature = signature_of(old, symbol);
    let likeness = |other: &Symbol| {
        let other_plain = demangle(&other.name);
        let other_plain = other_plain.as_deref().map_or(&*other.name, without_parameters);
        let is_twin = symbol.size_bytes == other.size_bytes
            && signature.is_some()
            && signature == signature_of(new, other);
        let likeness = strsim::normalized_damerau_levenshtein(plain, other_plain);
        let least = if is_twin { LEAST_LIKENESS_OF_TWINS } else { LEAST_LIKENESS };
        (likeness >= least).then_some(likeness + f64::from(u8::from(is_twin)))
    };
    let likely = changes.added.iter().take(MOST_LOOKED_AT).filter_map(|&other| {
        (kind_of(other) == kind_of(symbol)).then(|| Some((likeness(other)?, other)))?
    });
    likely.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, other)| other)
}
