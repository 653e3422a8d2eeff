//! What becomes of the entries of a RUNPATH.

use hoist_elf::Dynamic;

use crate::contract::Contract;
use crate::dependencies::of_build_machine;
use crate::search::starts_at_origin;

/// The RUNPATH of a library, or its RPATH where it has no RUNPATH: the loader takes no notice of
/// the other one.
pub(crate) fn entries(dynamic: &Dynamic) -> Vec<&str> {
    let text = dynamic.runpath.as_deref().or(dynamic.rpath.as_deref()).unwrap_or_default();
    if text.is_empty() { Vec::new() } else { text.split(':').collect() }
}

/// Whether an entry may stay: it leads from the library itself, or to a folder of the target.
pub(crate) fn may_stay(entry: &str, contract: &Contract) -> bool {
    starts_at_origin(entry) || entry.starts_with('/') && of_build_machine(contract, entry).is_none()
}
