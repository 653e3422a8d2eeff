//! The libraries that come with a library, found as the loader finds them.
//!
//! Source: `ld.so(8)`, "DESCRIPTION"; the order is that of glibc's `_dl_map_object_deps`: what the
//! library needs, then what each of these needs, every library once. Only the artifact's own files,
//! those of the store and the libraries that every target has are looked at, never this machine's:
//! what happens to lie here proves nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hoist_elf::{Dynamic, ElfFacts, Identity, Machine};

use crate::contract::Contract;
use crate::search::{handed_down, leads_out, path_of_needed, searched};
use crate::siblings::{Neighbour, Siblings, folder_of, normalize};
use crate::system::SystemSymbols;

/// Most libraries that are followed: an artifact has a few.
const MOST_LIBRARIES: usize = 256;

/// Most missing libraries that are told of.
const MOST_MISSING: usize = 64;

/// Most files that are looked for in one closure.
const MOST_LOOKS: usize = 1 << 14;

/// What comes with a library.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// The libraries, in the order in which the loader asks them for a symbol; the checked library
    /// comes before them.
    pub(crate) scope: Vec<Member>,
    /// By file name, SONAME and path, their places in `scope`.
    names: BTreeMap<String, usize>,
    /// Needed libraries that are nowhere.
    pub(crate) missing: Vec<Missing>,
    /// Whether every library in it was found and read.
    pub(crate) is_whole: bool,
}

/// A library of the closure.
#[derive(Debug)]
pub(crate) enum Member {
    /// One of the artifact or of the store, with its path.
    Own(String, Arc<Neighbour>),
    /// One that every target has, by SONAME.
    System(String),
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
    /// The folders that were searched.
    pub(crate) searched: Vec<String>,
    /// An entry of the search path of the library that needs it, which leads out of the artifact.
    pub(crate) leads_out: Option<String>,
    /// A file of this name that the loader passes over, and the machine it is for.
    pub(crate) for_another: Option<(String, Identity)>,
}

/// A library whose needs are still to be followed.
enum Open {
    Own(Box<OwnLibrary>),
    /// A library of the table, by SONAME.
    System(String),
}

/// A library of the artifact or of the store.
struct OwnLibrary {
    path: String,
    dynamic: Dynamic,
    /// Folders of `DT_RPATH` that the libraries above it hand down.
    inherited: Vec<String>,
    is_checked_library: bool,
}

/// What the loader finds under a name.
enum Look {
    Library(String, Arc<Neighbour>),
    Nothing(Option<(String, Identity)>),
}

struct Follower<'a> {
    contract: &'a Contract,
    siblings: &'a dyn Siblings,
    system: Option<SystemSymbols>,
    closure: Closure,
    seen: BTreeSet<String>,
    open: VecDeque<Open>,
    looks_left: usize,
}

impl Closure {
    /// The library that a version need means by its name.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.scope.get(*self.names.get(name)?)
    }

    /// The libraries of the artifact and of the store, with their paths.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&str, &Neighbour)> {
        self.scope.iter().filter_map(|member| match member {
            Member::Own(path, neighbour) => Some((path.as_str(), &**neighbour)),
            Member::System(_) => None,
        })
    }

    /// Whether a library of this name is missing.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        self.missing.iter().any(|missing| missing.name == name)
    }
}

/// Follows what the library at `path` needs, directly or not.
pub(crate) fn follow(
    facts: &ElfFacts,
    path: &str,
    contract: &Contract,
    siblings: &dyn Siblings,
) -> Closure {
    let mut follower = Follower {
        contract,
        siblings,
        system: SystemSymbols::of(&contract.target),
        closure: Closure { is_whole: true, ..Closure::default() },
        seen: facts.dynamic.soname.iter().cloned().collect(),
        open: VecDeque::from([Open::Own(Box::new(OwnLibrary {
            path: path.to_owned(),
            dynamic: facts.dynamic.clone(),
            inherited: Vec::new(),
            is_checked_library: true,
        }))]),
        looks_left: MOST_LOOKS,
    };
    while let Some(library) = follower.open.pop_front() {
        match library {
            Open::Own(library) => follower.follow_own(&library),
            Open::System(name) => follower.follow_system(&name),
        }
    }
    follower.closure
}

impl Follower<'_> {
    /// Adds what a system library needs, which the system has as well.
    fn follow_system(&mut self, name: &str) {
        let needed = self.system.map_or(&[][..], |system| system.needed_by(name));
        for &name in needed {
            if self.seen.insert(name.to_owned()) {
                self.add_system(name);
            }
        }
    }

    fn follow_own(&mut self, library: &OwnLibrary) {
        let Dynamic { needed, filters, auxiliaries, .. } = &library.dynamic;
        if needed.is_empty() && filters.is_empty() && auxiliaries.is_empty() {
            return;
        }
        let machine = self.contract.target.machine;
        let handed = handed_down(&library.dynamic, &library.path, &library.inherited, machine);
        let folders = searched(&library.dynamic, &library.path, &handed, self.contract);
        for (name, is_optional) in needed
            .iter()
            .chain(filters)
            .map(|name| (name, false))
            .chain(auxiliaries.iter().map(|name| (name, true)))
        {
            // The loader takes a library that is there already by its SONAME.
            if !self.seen.insert(name.clone()) {
                continue;
            }
            if self.closure.scope.len() >= MOST_LIBRARIES {
                self.closure.is_whole = false;
                return;
            }
            if self.is_always_there(name) {
                self.add_system(name);
                continue;
            }
            match self.look_for(name, &library.path, &folders) {
                Look::Library(path, neighbour) => self.add(name, path, neighbour, &handed),
                Look::Nothing(_) if self.contract.system_libraries.contains(name) => {
                    self.add_system(name);
                }
                // That it is named by its path is a finding of its own.
                Look::Nothing(_) if name.contains('/') => self.closure.is_whole = false,
                Look::Nothing(_) if is_optional => {}
                Look::Nothing(for_another) => self.miss(name, library, &folders, for_another),
            }
        }
    }

    /// Whether a process has this library before it loads any other, so that its name means no
    /// file of the artifact.
    fn is_always_there(&self, name: &str) -> bool {
        let is_systems = self.contract.system_libraries.iter().any(|system| system == name);
        is_systems && (name == "libc.so.6" || name == self.contract.target.loader)
    }

    fn look_for(&mut self, name: &str, library: &str, folders: &[String]) -> Look {
        let paths = candidates(name, library, folders, self.contract.target.machine);
        let mut for_another = None;
        for path in paths {
            let Some(left) = self.looks_left.checked_sub(1) else {
                self.closure.is_whole = false;
                break;
            };
            self.looks_left = left;
            let Some(neighbour) = self.siblings.library(&path) else { continue };
            let target = self.contract.target;
            match neighbour.identity {
                Some(identity)
                    if identity.machine != target.machine || identity.class != target.class =>
                {
                    for_another.get_or_insert((path, identity));
                }
                _ => return Look::Library(path, neighbour),
            }
        }
        Look::Nothing(for_another)
    }

    fn add(&mut self, name: &str, path: String, neighbour: Arc<Neighbour>, handed: &[String]) {
        // A damaged one is reported when it is checked itself.
        let Ok(facts) = &neighbour.facts else {
            self.closure.is_whole = false;
            return;
        };
        if let Some(&at) = self.closure.names.get(&path) {
            self.closure.names.insert(name.to_owned(), at); // another name of the same file
            return;
        }
        let at = self.closure.scope.len();
        self.closure.names.insert(name.to_owned(), at);
        self.closure.names.insert(path.clone(), at);
        if let Some(soname) = &facts.dynamic.soname {
            self.seen.insert(soname.clone());
            self.closure.names.entry(soname.clone()).or_insert(at);
        }
        self.open.push_back(Open::Own(Box::new(OwnLibrary {
            path: path.clone(),
            dynamic: facts.dynamic.clone(),
            inherited: handed.to_vec(),
            is_checked_library: false,
        })));
        self.closure.scope.push(Member::Own(path, neighbour));
    }

    fn add_system(&mut self, name: &str) {
        self.closure.names.insert(name.to_owned(), self.closure.scope.len());
        self.closure.scope.push(Member::System(name.to_owned()));
        self.open.push_back(Open::System(name.to_owned()));
    }

    fn miss(
        &mut self,
        name: &str,
        library: &OwnLibrary,
        folders: &[String],
        for_another: Option<(String, Identity)>,
    ) {
        self.closure.is_whole = false;
        if self.closure.missing.len() >= MOST_MISSING {
            return;
        }
        let root = if library.path.starts_with('/') { "/" } else { "" };
        let beside = normalize(&below(folder_of(&library.path), name));
        let beside = beside.map(|path| format!("{root}{path}"));
        self.closure.missing.push(Missing {
            name: name.to_owned(),
            needed_by: if library.is_checked_library {
                String::new()
            } else {
                library.path.clone()
            },
            lies_beside: for_another.is_none()
                && beside.is_some_and(|path| self.siblings.holds(&path)),
            searched: folders.to_vec(),
            leads_out: leads_out(&library.dynamic, &library.path),
            for_another,
        });
    }
}

/// The paths at which the loader looks for what the library at `library` needs by `name`.
pub(crate) fn candidates(
    name: &str,
    library: &str,
    folders: &[String],
    machine: Machine,
) -> Vec<String> {
    if name.contains('/') {
        path_of_needed(name, library, machine).into_iter().collect()
    } else {
        folders.iter().map(|folder| below(folder, name)).collect()
    }
}

/// The path of a file in a folder, which may be the root.
pub(crate) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
