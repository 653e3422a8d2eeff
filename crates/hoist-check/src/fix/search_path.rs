//! What becomes of the entries of a RUNPATH.

use std::path::{Path, PathBuf};

use hoist_elf::Dynamic;

use crate::contract::Contract;
use crate::dependencies::forbidden_prefix;
use crate::siblings::{folder_of, normalize};

/// The RUNPATH of a library, or its RPATH where it has no RUNPATH: the loader takes no notice of
/// the other one.
pub(crate) fn entries(dynamic: &Dynamic) -> Vec<&str> {
    let text = dynamic.runpath.as_deref().or(dynamic.rpath.as_deref()).unwrap_or_default();
    if text.is_empty() { Vec::new() } else { text.split(':').collect() }
}

/// Whether an entry may stay: it leads from the library itself, or to a folder of the target.
pub(crate) fn may_stay(entry: &str, contract: &Contract) -> bool {
    let is_absolute = entry.starts_with('/');
    entry.starts_with('$')
        || is_absolute && forbidden_prefix(&contract.forbidden_paths, entry).is_none()
}

/// What follows `$ORIGIN` in an entry.
fn below_origin(entry: &str) -> Option<&str> {
    let below = entry.strip_prefix("$ORIGIN").or_else(|| entry.strip_prefix("${ORIGIN}"))?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// The folder of the artifact that an entry of the library at `path` leads to.
pub(crate) fn in_artifact(entry: &str, path: &str) -> Option<String> {
    let below = below_origin(entry)?;
    normalize(&format!("{}/{below}", folder_of(path)))
}

/// The folder of this machine that an entry leads to, for a library that lies in `origin`.
pub(crate) fn on_this_machine(entry: &str, origin: &Path) -> Option<PathBuf> {
    match below_origin(entry) {
        Some(below) => Some(origin.join(below.trim_start_matches('/'))),
        None => entry.starts_with('/').then(|| PathBuf::from(entry)),
    }
}
