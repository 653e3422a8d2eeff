//! Records of collecting garbage, and of what keeps paths from it.

use serde::Serialize;

/// One thing that `hoist store gc` removed, or would remove; the last record is [`Self::Total`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "collected", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the fields are named as the JSON keys that scripts read")]
pub enum CollectedRecord {
    /// A generation of a profile; its store path stays if something else needs it.
    Generation { profile: String, generation: u64, store_path: String },
    /// A store path, each after those that refer to it.
    Path { store_path: String, nar_size_bytes: u64 },
    /// Something in the store directory that was not registered.
    Leftover { name: String },
    /// A link or file of a root that led nowhere.
    Root { link: String },
    /// All of it.
    Total {
        ms: f64,
        /// Whether nothing was changed.
        dry_run: bool,
        generations: usize,
        paths: usize,
        leftovers: usize,
        /// Sum of the NARs of the store paths.
        nar_size_bytes: u64,
        /// What became free on disk: a file counts with the last of its names.
        freed_bytes: u64,
        /// Records of actions whose store path is gone.
        actions: usize,
        /// Store paths that stay.
        kept: usize,
        /// What keeps them.
        roots: usize,
        /// Processes that could not be looked into: what only they use was not kept.
        unreadable_processes: usize,
        /// Links of roots that could not be followed: what only they keep was not kept.
        unreadable_links: Vec<String>,
        /// What could not be removed and is no longer registered, and why.
        stuck: Vec<String>,
    },
}

/// One reason to keep a store path, as `hoist store roots` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootRecord {
    /// `profile`, `pin`, `link`, `indirect`, `process` or `temporary`.
    pub kind: &'static str,
    /// The store path.
    pub store_path: String,
    /// The link that leads to it, or the file below `/proc` that mentions it.
    pub link: Option<String>,
    /// The name of the pin.
    pub pin: Option<String>,
    /// The number of the process.
    pub pid: Option<u32>,
    /// The name of its program.
    pub program: Option<String>,
}

/// What `hoist store pin` and `unpin` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinRecord {
    /// The name of the pin.
    pub pin: String,
    /// The store path that it keeps, or kept.
    pub store_path: String,
    /// Whether it keeps it now.
    pub pinned: bool,
    /// Whether that was otherwise before.
    pub changed: bool,
}
