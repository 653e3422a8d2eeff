//! The libraries that come with a library, found as the loader finds them.
//!
//! Source: `ld.so(8)`, "DESCRIPTION". Only the artifact's own files and the libraries that every
//! target has are looked at, never this machine's: what happens to lie here proves nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hoist_elf::{Dynamic, ElfFacts};

use crate::contract::Contract;
use crate::siblings::{Siblings, folder_of, normalize};

/// Most libraries that are followed: an artifact has a few.
const MOST_LIBRARIES: usize = 256;

/// What comes with a library.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// Symbols that the artifact's own libraries in it export.
    pub(crate) provided: BTreeSet<Arc<str>>,
    /// Needed libraries that are nowhere.
    pub(crate) missing: Vec<Missing>,
    /// Whether every library in it was found and read.
    pub(crate) is_whole: bool,
}

/// A needed library that is nowhere.
#[derive(Debug)]
pub(crate) struct Missing {
    /// As in `DT_NEEDED`.
    pub(crate) name: String,
    /// Path of the library that needs it; empty for the checked library itself.
    pub(crate) needed_by: String,
    /// Whether it lies beside the library that needs it, where the loader is not told to look.
    pub(crate) lies_beside: bool,
}

/// A library whose needs are still to be followed.
struct Open {
    path: String,
    dynamic: Dynamic,
    /// Folders of `DT_RPATH` that the libraries above it hand down.
    inherited: Vec<String>,
    is_checked_library: bool,
}

/// Follows what the library at `path` needs, directly or not.
pub(crate) fn follow(
    facts: &ElfFacts,
    path: &str,
    contract: &Contract,
    siblings: &dyn Siblings,
) -> Closure {
    let mut closure = Closure { is_whole: true, ..Closure::default() };
    let mut seen: BTreeSet<String> = facts.dynamic.soname.iter().cloned().collect();
    let mut open = VecDeque::from([Open {
        path: path.to_owned(),
        dynamic: facts.dynamic.clone(),
        inherited: Vec::new(),
        is_checked_library: true,
    }]);
    while let Some(library) = open.pop_front() {
        let handed_down = rpath_folders(&library);
        let folders = search_folders(&library, contract);
        for name in &library.dynamic.needed {
            // The loader takes a library that is there already by its SONAME.
            let is_known = contract.system_libraries.contains(name) || !seen.insert(name.clone());
            if is_known || name.contains('/') {
                closure.is_whole &= is_known;
                continue;
            }
            let found = folders.iter().find_map(|folder| {
                let path = format!("{folder}/{name}").trim_start_matches('/').to_owned();
                siblings.read(&path).map(|bytes| (path, bytes))
            });
            let Some((path, bytes)) = found else {
                let beside = normalize(&format!("{}/{name}", folder_of(&library.path)));
                closure.is_whole = false;
                closure.missing.push(Missing {
                    name: name.clone(),
                    needed_by: if library.is_checked_library {
                        String::new()
                    } else {
                        library.path.clone()
                    },
                    lies_beside: beside.is_some_and(|path| siblings.read(&path).is_some()),
                });
                continue;
            };
            // A damaged one is reported when it is checked itself.
            let Ok(facts) = ElfFacts::read(&bytes) else {
                closure.is_whole = false;
                continue;
            };
            closure.provided.extend(facts.exports().map(|symbol| Arc::clone(&symbol.name)));
            if seen.len() > MOST_LIBRARIES {
                closure.is_whole = false;
                continue;
            }
            open.push_back(Open {
                path,
                dynamic: facts.dynamic,
                inherited: handed_down.clone(),
                is_checked_library: false,
            });
        }
    }
    closure
}

/// The folders of the artifact in which the loader looks for what `library` needs, in order.
fn search_folders(library: &Open, contract: &Contract) -> Vec<String> {
    let mut folders = match &library.dynamic.runpath {
        Some(runpath) => expand(runpath, &library.path),
        None => rpath_folders(library),
    };
    folders.extend(contract.search.iter().filter_map(|folder| normalize(folder)));
    folders
}

/// The folders of `DT_RPATH`, its own and those above it; `DT_RUNPATH` switches it off.
fn rpath_folders(library: &Open) -> Vec<String> {
    if library.dynamic.runpath.is_some() {
        return Vec::new();
    }
    let own = library.dynamic.rpath.as_deref().map(|rpath| expand(rpath, &library.path));
    own.into_iter().flatten().chain(library.inherited.iter().cloned()).collect()
}

/// The folders of the artifact that a RUNPATH names through `$ORIGIN`.
fn expand(runpath: &str, library: &str) -> Vec<String> {
    let in_artifact = |entry: &str| {
        let below = entry.strip_prefix("$ORIGIN").or_else(|| entry.strip_prefix("${ORIGIN}"))?;
        let is_whole_name = below.is_empty() || below.starts_with('/');
        is_whole_name.then(|| normalize(&format!("{}/{below}", folder_of(library)))).flatten()
    };
    runpath.split(':').filter_map(in_artifact).collect()
}
