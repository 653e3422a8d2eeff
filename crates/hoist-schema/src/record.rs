//! What `--json` prints: one record a line, on standard output.

mod garbage;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Finding, Severity};

pub use garbage::{CollectedRecord, PinRecord, RootRecord};

/// One finished stage of `hoist ship` or `hoist build`. Times are wall times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the fields are named as the JSON keys that scripts read")]
pub enum StageRecord {
    /// The action ran, or the action cache answered.
    Build {
        ms: f64,
        cached: bool,
        toolchain: String,
        /// The sandbox level that was reached when it was built.
        level: String,
        action_key: String,
        /// Wall and CPU time of the build itself, then or now.
        build_ms: u64,
        cpu_ms: u64,
    },
    /// Every promised library was looked at.
    Check { ms: f64, libraries: Vec<CheckedLibrary>, findings: Vec<Finding> },
    /// The output tree was hashed as a NAR.
    Pack { ms: f64, store_path: String, nar_hash: String, nar_size_bytes: u64 },
    /// The store path is valid in the store.
    Store { ms: f64, already_there: bool, path: String },
    /// The gate was measured, or its last measurement of the same store path was remembered.
    Bench { ms: f64, cached: bool, measured: Map<String, Value>, bars: Map<String, Value> },
    /// The project's `hoist.lock` names what was shipped.
    Lock { ms: f64, changed: bool, file: String },
    /// The profile points at the new generation.
    Switch { ms: f64, profile: String, generation: u64, created: bool, previous: Option<u64> },
    /// All of it.
    Ship { ms: f64, package: String, version: String, store_path: String, generation: u64 },
}

/// One library that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedLibrary {
    /// Its path in the artifact, or as the user named it.
    pub path: String,
    /// Promised exports that are there.
    pub exports: usize,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// All symbols that other libraries can find in it.
    pub exported: usize,
    /// Oldest glibc that it loads with, e.g. `2.17`; absent when it asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glibc: Option<String>,
    /// The oldest system libraries that can load it, each with a symbol that decides it; empty when
    /// it asks for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub loads_on: String,
}

/// Where `hoist check --fix` wrote, after a record for each repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FixRecord {
    /// The repaired copy.
    pub output: String,
    /// Whether it was there already, with the same bytes.
    pub already_there: bool,
    /// What differs from the input or is new, relative to the copy, or to its folder when it is a
    /// file.
    pub changed: Vec<String>,
    /// What is left to find in it, warnings and errors.
    pub left: Vec<Finding>,
}

/// One generation of a profile, as `hoist generations` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationRecord {
    /// The profile, which is the package's name.
    pub profile: String,
    /// Its number, from 1.
    pub generation: u64,
    /// Whether it is the active one.
    pub current: bool,
    /// Its store path.
    pub store_path: String,
    /// When it was made, RFC 3339, when that is known.
    pub created: Option<String>,
    /// `good`, `bad` or `unknown`.
    pub health: String,
    /// The generation that was active when it was made.
    pub parent: Option<u64>,
}

/// One valid store path, as `hoist store ls` and `info` print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorePathRecord {
    /// The store path, absolute and logical.
    pub store_path: String,
    /// Where it lies on this machine.
    pub path: String,
    /// SHA-256 of its NAR, as `sha256-…` (SRI).
    pub nar_hash: String,
    /// Size of its NAR in bytes.
    pub nar_size_bytes: u64,
    /// How its path follows from its content, e.g. `fixed:r:sha256:…`.
    pub ca: Option<String>,
    /// Store paths it refers to.
    pub references: Vec<String>,
    /// The derivation that it is an output of, where Nix built it.
    pub deriver: Option<String>,
    /// Signatures, each `KEY-NAME:BASE64`.
    pub signatures: Vec<String>,
    /// When it was registered, RFC 3339.
    pub registered: String,
}

/// A NAR that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoredRecord {
    /// Where its files are now.
    pub path: String,
}

/// The NAR hash of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HashRecord {
    /// The file or folder.
    pub path: String,
    /// SHA-256 of its NAR, as `sha256-…` (SRI).
    pub nar_hash: String,
    /// Size of its NAR in bytes.
    pub nar_size_bytes: u64,
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreProblemRecord {
    /// The store path or file.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
    /// The cache that it was repaired from; none when it is still as it was.
    pub repaired_from: Option<String>,
}

/// What `hoist init` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitRecord {
    /// The manifest that was written.
    pub wrote: String,
}

/// What `hoist check --report` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckRecord {
    /// Every library that was looked at.
    pub libraries: Vec<CheckedLibrary>,
    /// Every finding, also those only worth knowing.
    pub findings: Vec<Finding>,
    /// The severity of the worst finding.
    pub worst: Option<Severity>,
}

/// One file that `hoist bindgen` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BindingsRecord {
    /// The package whose functions it has.
    pub package: String,
    /// Name of the module.
    pub module: String,
    /// The file.
    pub path: String,
}

/// What `hoist flake` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlakeRecord {
    /// The files and folders that it wrote; those that were as they should be are not among them.
    pub wrote: Vec<String>,
    /// The artifact.
    pub store_path: String,
    /// URLs of the caches that the lock names.
    pub caches: Vec<String>,
    /// The folder of the project with a copy of the artifact.
    pub path: Option<String>,
    /// The static hoist that checks the artifact inside Nix's sandbox.
    pub hoist: Option<String>,
    /// Files that the flake needs and git does not track.
    pub untracked: Vec<String>,
}

/// One rule of `hoist check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleRecord {
    /// Its stable id.
    pub rule: String,
    /// How bad a finding of it usually is.
    pub severity: Severity,
    /// The same by each policy.
    pub by_policy: Map<String, Value>,
    /// What it finds, as one line.
    pub title: String,
    /// What, why, how to fix, and an example, in Markdown.
    pub page: String,
}

/// One thing that `hoist doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorRecord {
    /// What was looked at.
    pub part: String,
    /// `good`, `limited` or `missing`.
    pub state: String,
    /// What was found.
    pub found: String,
    /// What to do for more; empty when it is good.
    pub hint: String,
}

/// Why a command ended without an answer, or with a no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRecord {
    /// What went wrong.
    pub error: String,
    /// Why, outermost first.
    pub caused_by: Vec<String>,
    /// More lines of evidence, such as the end of a build's log and where the log is.
    pub details: Vec<String>,
    /// What to do next; empty when nothing helps.
    pub hint: String,
    /// The exit code.
    pub exit: u8,
}
