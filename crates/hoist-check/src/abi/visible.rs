//! Which types a promised header lets callers look into.

use std::collections::BTreeSet;

use hoist_elf::Symbol;
use hoist_elf::debug::{HeaderTypes, Type};

use super::builds::Known;
use super::layout::compare;
use super::relate::{Pair, Sides};

/// Most pairs of types that are followed.
const MOST_PAIRS: usize = 1 << 16;

/// The structs of `build`, by the names it gives them, whose fields `header` tells to callers of
/// `exports`. All others are behind declarations without fields or `void *`, or in functions that
/// are not promised, and may change.
pub(super) fn visible_structs<'s>(
    header: &HeaderTypes,
    build: Known<'_>,
    exports: impl Iterator<Item = &'s Symbol>,
) -> BTreeSet<String> {
    let sides = Sides { left: &header.types, right: build.types(), is_header: true };
    let mut waiting: Vec<Pair> = Vec::new();
    for symbol in exports {
        if let (Some(left), Some(right)) =
            (header.functions.get(&*symbol.name), build.function(symbol))
        {
            sides.relate_signatures(left, right, &mut waiting);
        }
    }
    let mut names = BTreeSet::new();
    let mut seen: BTreeSet<Pair> = BTreeSet::new();
    while let Some(pair) = waiting.pop() {
        if seen.len() >= MOST_PAIRS || !seen.insert(pair) {
            continue;
        }
        if let (Type::Composite(left), Type::Composite(right)) =
            (sides.left.get(pair.0), sides.right.get(pair.1))
            && !left.is_opaque()
        {
            names.extend(right.name.clone());
            compare(&sides, pair, &|_| true, &mut waiting);
        }
    }
    names
}
