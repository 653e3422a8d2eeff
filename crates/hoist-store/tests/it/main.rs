//! The store on disk, without other tools.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod add;
mod child;
mod crash;
mod daemon;
mod export;
mod faults;
mod gc;
mod large;
mod layout;
mod nars;
mod profile;
mod roots;
mod stat_cache;
mod tree;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::StorePathName;
use hoist_store::{Added, Store};
use serde_json::Value;
use tempfile::TempDir;

/// A store in a folder of its own, with room for trees beside it.
struct World {
    dir: TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// A store on the disk that cargo builds on, which is no tmpfs where the temporary folder may
    /// be one.
    fn on_disk() -> Self {
        Self::in_folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    fn in_folder(dir: TempDir) -> Self {
        let store = Store::open_or_create(&dir.path().join("root")).unwrap();
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a library with the given contents.
    fn add(&self, contents: &str) -> Added {
        let tree = self.path("tree");
        library(&tree, contents);
        add(&self.store, &tree)
    }

    /// What lies in the store directory.
    fn names(&self) -> Vec<String> {
        names(&self.store.root().join("nix/store"))
    }
}

/// Writes a small tree that has something of everything.
fn library(tree: &Path, contents: &str) {
    let _ = fs::remove_dir_all(tree);
    fs::create_dir_all(tree.join("lib")).unwrap();
    fs::create_dir(tree.join("empty")).unwrap();
    fs::write(tree.join("lib/libx.so.1"), contents).unwrap();
    std::os::unix::fs::symlink("libx.so.1", tree.join("lib/libx.so")).unwrap();
}

fn add(store: &Store, tree: &Path) -> Added {
    store.add_tree(&StorePathName::parse("x-1").unwrap(), tree).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn json(fixture: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn base64(digits: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = digits.trim_end_matches('=');
    let mut bits = digits.chars().flat_map(|digit| {
        let value = DIGITS.find(digit).unwrap();
        (0..6).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let length = digits.len() * 6 / 8;
    (0..length).map(|_| bits.by_ref().take(8).fold(0, |byte, bit| byte << 1 | bit)).collect()
}
