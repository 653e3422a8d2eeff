//! What keeps paths from being collected.

mod links;
mod mentions;
mod processes;
mod temporary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;

use super::GcError;
use crate::Store;

/// One reason to keep a path, and with it all that it needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The path. The store need not vouch for it, as while it is being added.
    pub path: StorePath,
    /// What keeps it.
    pub kind: RootKind,
}

/// What keeps a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RootKind {
    /// A link below `nix/var/nix/profiles`: a generation.
    Profile {
        /// The link.
        link: PathBuf,
    },
    /// A pin: see [`Store::pin`].
    Pin {
        /// Its name.
        name: String,
    },
    /// Another link or file below `nix/var/nix/gcroots`.
    Link {
        /// The link.
        link: PathBuf,
    },
    /// A link anywhere that one of those leads to.
    Indirect {
        /// The link that leads to the path.
        link: PathBuf,
        /// The link to that link.
        through: PathBuf,
    },
    /// A running process uses it.
    Process {
        /// Its number.
        pid: u32,
        /// The name of its program, at most 15 bytes.
        name: String,
        /// The file below `/proc/PID` that says so: `exe`, `cwd`, `root`, `fd`, `maps` or `environ`.
        file: &'static str,
    },
    /// A running process asked to keep it for now, mostly as it adds it.
    Temporary {
        /// Its number.
        pid: u32,
    },
}

/// All roots of a store at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// The roots, sorted by path.
    pub roots: Vec<Root>,
    /// Processes that this user may not look into.
    pub unreadable_processes: usize,
    /// Links and folders that this user may not look into or behind.
    pub unreadable_links: Vec<PathBuf>,
    /// Links in `gcroots/auto` that lead nowhere, and files of temporary roots that nobody holds;
    /// a collection removes them.
    pub stale: Vec<PathBuf>,
}

impl Store {
    /// Returns what keeps paths from being collected: generations, pins and other links below
    /// `nix/var/nix/{gcroots,profiles}`, what running processes use or asked to keep.
    ///
    /// A process counts as using a path when a part of a file name that it is about, or of its
    /// environment, reads as one: the store may be mounted elsewhere for it. Only paths that the
    /// store vouches for are listed of processes.
    ///
    /// Source: `findRoots`, `findRuntimeRoots` and `findTempRoots` in `gc.cc` of Nix 2.8 and 2.26.
    ///
    /// # Errors
    ///
    /// [`GcError`] when a folder of the store or `/proc` cannot be read: then nobody knows what may
    /// go.
    pub fn roots(&self) -> Result<Roots, GcError> {
        let mut found = self.find_roots(false)?;
        let valid: BTreeSet<StorePath> = self.database()?.paths()?.into_iter().collect();
        found.roots.retain(|root| {
            !matches!(root.kind, RootKind::Process { .. }) || valid.contains(&root.path)
        });
        Ok(found)
    }

    /// All roots, of processes also those of other stores.
    ///
    /// - `clean`: whether to remove what is stale.
    pub(super) fn find_roots(&self, clean: bool) -> Result<Roots, GcError> {
        let mut found = Roots::default();
        // In this order: who makes a lasting root of what he keeps for now, and ends, has it in one
        // of the two. New temporary roots wait for the end of the collection.
        temporary::find(self, clean, &mut found)?;
        links::find(self, clean, &mut found)?;
        processes::find(&mut found)?;
        found.roots.sort_unstable();
        found.roots.dedup();
        Ok(found)
    }
}

/// The paths that running processes use, also those of other stores.
pub(super) fn paths_in_use() -> Result<BTreeSet<StorePath>, GcError> {
    let mut found = Roots::default();
    processes::find(&mut found)?;
    Ok(found.roots.into_iter().map(|root| root.path).collect())
}

impl RootKind {
    /// Whether one of these links makes it.
    pub(super) fn is_through(&self, links: &BTreeSet<PathBuf>) -> bool {
        match self {
            Self::Profile { link } | Self::Link { link } => links.contains(link.as_path()),
            Self::Indirect { link, through } => {
                [link, through].iter().any(|link| links.contains::<Path>(link))
            }
            Self::Pin { .. } | Self::Process { .. } | Self::Temporary { .. } => false,
        }
    }
}
