//! New names of exports that are gone.

use hoist_elf::Symbol;

use super::builds::Build;
use super::exports::{Changes, kind_of};
use super::names::{demangle, without_parameters};
use crate::likeness::Likeness;

/// Least likeness of names, from 0 to 1, at which one is offered as the other's new name.
const LEAST_LIKENESS: f64 = 0.7;

/// The same, for exports with the same signature and size.
const LEAST_LIKENESS_OF_TWINS: f64 = 0.3;

/// Most new exports among which a new name is looked for, and most exports for which it is.
const MOST_NEW: usize = 1000;
const MOST_GONE: usize = 100;

/// The new exports, each as a possible new name.
pub(super) struct NewNames<'f> {
    candidates: Vec<Name<'f>>,
    likeness: Likeness,
    left: usize,
}

struct Name<'f> {
    symbol: &'f Symbol,
    /// As people write it, without parameters.
    plain: String,
    signature: Option<String>,
}

impl<'f> Name<'f> {
    fn new(symbol: &'f Symbol, build: &Build) -> Self {
        let plain = demangle(&symbol.name);
        let plain = plain.as_deref().map_or(&*symbol.name, without_parameters).to_owned();
        let info = build.info.as_ref().ok();
        let signature =
            info.and_then(|info| Some(info.types.spell_function(info.function(symbol)?, "")));
        Self { symbol, plain, signature }
    }

    /// How likely `other` is its new name; `None` when it is not likely.
    fn likeness(&self, other: &Name<'_>, likeness: &mut Likeness) -> Option<f64> {
        if kind_of(self.symbol) != kind_of(other.symbol) {
            return None;
        }
        let is_twin = self.symbol.size_bytes == other.symbol.size_bytes
            && self.signature.is_some()
            && self.signature == other.signature;
        let least = if is_twin { LEAST_LIKENESS_OF_TWINS } else { LEAST_LIKENESS };
        let likeness = likeness.of(&self.plain, &other.plain, least);
        (likeness >= least).then_some(likeness + f64::from(u8::from(is_twin)))
    }
}

impl<'f> NewNames<'f> {
    pub(super) fn new(changes: &Changes<'f>, new: &Build) -> Self {
        let is_wanted = !changes.removed.is_empty();
        let added = changes.added.iter().take(if is_wanted { MOST_NEW } else { 0 });
        let candidates = added.map(|symbol| Name::new(symbol, new)).collect();
        Self { candidates, likeness: Likeness::new(), left: MOST_GONE }
    }

    /// The new export that `symbol`, of the build `old`, may have become.
    pub(super) fn of(&mut self, symbol: &Symbol, old: &Build) -> Option<&'f Symbol> {
        self.left = self.left.checked_sub(1)?;
        let gone = Name::new(symbol, old);
        let likely = self.candidates.iter();
        let likely =
            likely.filter_map(|name| Some((gone.likeness(name, &mut self.likeness)?, name.symbol)));
        likely.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, symbol)| symbol)
    }
}
