//! `hoist.lock`: what a project's artifacts are, per system, so that a flake or another machine
//! can get them without building. Its form is told in `docs/formats/lock.md`.
//!
//! [`Lock::parse`] reads it and believes nothing; `to_string` writes it, always in the same way.

mod error;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

use hoist_nix::{Sha256Hash, StoreDir, StorePathName, fixed_recursive_sha256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::LockError;
pub use parse::{cache_url, lock_json_schema, vendor_path};

/// The file's name in a project folder.
pub const LOCK_FILE: &str = "hoist.lock";

/// Version of the form that this hoist writes, and the newest it reads.
pub const LOCK_VERSION: u32 = 1;

/// Longest `hoist.lock` that is read, in bytes.
pub const MAX_LOCK_BYTES: usize = 1 << 20;

/// A whole `hoist.lock`.
// The fields of all these are declared as they are written: sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The package that was shipped last.
    pub package: LockedPackage,
    /// What was shipped for each Nix system, e.g. `x86_64-linux`.
    pub systems: BTreeMap<String, LockedSystem>,
    /// Version of the form, [`LOCK_VERSION`].
    pub version: u32,
}

/// Name and version, as in `hoist.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was shipped for one system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedSystem {
    /// The artifact. Its name has the version it was shipped with, which another system may be
    /// ahead of.
    pub artifact: LockedPath,
    /// URLs of binary caches that hold it, the one to ask first at the front.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
    /// A hoist that needs no library, for checks inside Nix's sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hoist: Option<LockedPath>,
    /// The action key: a digest of all that the artifact was made from, in base16.
    pub inputs: String,
    /// The compiler.
    pub toolchain: LockedToolchain,
}

/// A store path and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LockedPath {
    /// Where its NAR lies in a cache that compresses nothing, relative to the cache's URL:
    /// `nar/HASH.nar` with the NAR hash in Nix base32.
    pub nar: String,
    /// SHA-256 of its NAR, as `sha256-…` (SRI).
    pub nar_hash: String,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// Folder of the project that holds a copy, relative to `hoist.lock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The store path, which follows from its name and `narHash`.
    pub store_path: String,
}

/// A compiler, as it was found on the machine that shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedToolchain {
    /// SHA-256 over its files, in base16.
    pub digest: String,
    /// What it says of itself, e.g. `rustc 1.95.0`.
    pub name: String,
}

impl LockedPath {
    /// The content-addressed path below `/nix/store` of a tree with this name and NAR.
    ///
    /// - `nar_size`: in bytes.
    #[must_use]
    pub fn new(name: &StorePathName, nar_hash: &Sha256Hash, nar_size: u64) -> Self {
        let dir = StoreDir::default();
        Self {
            nar: format!("nar/{}.nar", nar_hash.nix32()),
            nar_hash: nar_hash.sri(),
            nar_size,
            path: None,
            store_path: dir.print(&fixed_recursive_sha256(&dir, name, nar_hash)),
        }
    }
}

impl Lock {
    /// A lock in which nothing is shipped.
    #[must_use]
    pub fn new(package: LockedPackage) -> Self {
        Self { package, systems: BTreeMap::new(), version: LOCK_VERSION }
    }

    /// How `other` differs, a line a value: its place, then what it is here and there.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let plain = |lock: &Self| serde_json::to_value(lock).expect("a lock is plain data");
        let mut lines = Vec::new();
        compare(&plain(self), &plain(other), "", &mut lines);
        lines
    }
}

/// The file's text: JSON with sorted keys, two spaces a level and a final newline, so that a
/// change of one value is a change of one line.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string_pretty(self).expect("a lock is plain data");
        writeln!(f, "{json}")
    }
}

fn compare(
    here: &serde_json::Value,
    there: &serde_json::Value,
    place: &str,
    lines: &mut Vec<String>,
) {
    use serde_json::Value::Object;
    if let (Object(ours), Object(theirs)) = (here, there) {
        let absent = serde_json::Value::Null;
        let keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
        for key in keys {
            let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            let of = |map: &'_ serde_json::Map<_, _>| map.get(key).unwrap_or(&absent).clone();
            compare(&of(ours), &of(theirs), &inner, lines);
        }
    } else if here != there {
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::Null => "nothing".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(format!("{place}: {} → {}", text(here), text(there)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let name = StorePathName::parse("adder-1.0").unwrap();
        let system = LockedSystem {
            artifact: LockedPath::new(&name, &Sha256Hash::of(b"x"), 128),
            caches: Vec::new(),
            hoist: None,
            inputs: Sha256Hash::of(b"inputs").base16(),
            toolchain: LockedToolchain {
                digest: Sha256Hash::of(b"cc").base16(),
                name: "cc 12.2".to_owned(),
            },
        };
        let package = LockedPackage { name: "adder".to_owned(), version: "1.0".to_owned() };
        let mut lock = Lock::new(package);
        lock.systems.insert("x86_64-linux".to_owned(), system);
        lock
    }

    #[test]
    fn the_text_is_sorted_by_key_and_ends_with_a_newline() {
        let mut lock = lock();
        let system = lock.systems.get_mut("x86_64-linux").unwrap();
        system.caches = vec!["https://b".to_owned(), "https://a".to_owned()];
        system.artifact.path = Some("artifacts/x86_64-linux/package".to_owned());
        system.hoist = Some(system.artifact.clone());
        lock.systems.insert("aarch64-linux".to_owned(), lock.systems["x86_64-linux"].clone());
        let text = lock.to_string();
        assert!(text.ends_with("}\n"));
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value.sort_all_objects();
        assert_eq!(text, serde_json::to_string_pretty(&value).unwrap() + "\n");
        assert_eq!(Lock::parse(&text).unwrap(), lock);
    }

    #[test]
    fn every_difference_has_its_place() {
        let (here, mut there) = (lock(), lock());
        assert!(here.differences(&there).is_empty());
        there.package.version = "1.1".to_owned();
        let system = there.systems.get_mut("x86_64-linux").unwrap();
        system.artifact.nar_size = 256;
        system.artifact.path = Some("artifacts".to_owned());
        assert_eq!(
            here.differences(&there),
            [
                "package.version: 1.0 → 1.1",
                "systems.x86_64-linux.artifact.narSize: 128 → 256",
                "systems.x86_64-linux.artifact.path: nothing → artifacts",
            ]
        );
    }
}
