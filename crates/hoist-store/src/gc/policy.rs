//! What a collection is asked for, what it says meanwhile, and what it did.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use hoist_nix::StorePath;

use super::RemovedGeneration;

/// What a collection of garbage may remove.
///
/// With neither `keep` nor `older_than`, no generation is removed. With both, only what neither
/// keeps. The generation that a profile points to, the newest one marked good, and those whose path
/// is pinned or used by a running process are always kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How many generations of each profile to keep, counted back from the current one; newer
    /// ones are kept as well, as `nix-env --delete-generations +N` does.
    pub keep: Option<NonZeroU64>,
    /// How old a generation must be to go; the one that was current at that time is kept, as
    /// `nix-env --delete-generations Nd` does.
    pub older_than: Option<Duration>,
    /// Stop once the NARs of what was removed have this size, in bytes.
    pub max_freed: Option<u64>,
    /// Whether to find out what would be removed, and to change nothing.
    pub dry_run: bool,
    /// The time, in seconds since 1970.
    pub now_unix: u64,
}

impl Policy {
    /// Keeps every generation.
    ///
    /// - `now_unix`: the time, in seconds since 1970.
    #[must_use]
    pub fn at(now_unix: u64) -> Self {
        Self { keep: None, older_than: None, max_freed: None, dry_run: false, now_unix }
    }
}

/// What a collection says while it is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GcEvent {
    /// Others are adding to the store, or collecting garbage in it: it waits for them.
    Waiting,
    /// It looks for what is needed.
    Deciding,
    /// Nothing knows of the garbage any more; its files are being removed.
    Removing {
        /// Trees that are gone.
        done: usize,
        /// All of them.
        total: usize,
    },
}

/// What a collection removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The generations that were removed first.
    pub generations: Vec<RemovedGeneration>,
    /// The store paths, each after those that refer to it.
    pub paths: Vec<CollectedPath>,
    /// What lay in the store directory without being registered, by file name.
    pub leftovers: Vec<String>,
    /// Links and files of roots that led nowhere.
    pub stale_roots: Vec<PathBuf>,
    /// Paths that were kept.
    pub kept: usize,
    /// Roots that were found, processes only where they use a path of this store.
    pub roots: usize,
    /// Processes that this user may not look into: what only they use was not kept.
    pub unreadable_processes: usize,
    /// Links and folders of roots that this user may not look behind: what only they keep was not
    /// kept.
    pub unreadable_links: Vec<PathBuf>,
    /// Bytes that became free on disk: a file counts with the last of its names.
    pub freed: u64,
    /// What is still on disk although nothing knows of it, and why; the next collection tries again.
    pub stuck: Vec<String>,
}

impl Collected {
    /// Size of the NARs of all store paths, in bytes.
    #[must_use]
    pub fn nar_size(&self) -> u64 {
        self.paths.iter().map(|path| path.nar_size).sum()
    }
}

/// A store path that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedPath {
    /// The path.
    pub path: StorePath,
    /// Size of its NAR in bytes; 0 in databases of very old versions of Nix.
    pub nar_size: u64,
}
