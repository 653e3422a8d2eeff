//! Archives to add, and what is said of them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hoist_nix::{
    ContentAddress, NarWriter, Sha256Hash, StoreDir, StorePath, StorePathName,
    fixed_recursive_sha256,
};
use hoist_store::{Backend, NewPath, StoreError, Trust};
use serde_json::Value;

/// A path that is named by nothing that it holds.
pub(crate) fn path(name: &str) -> StorePath {
    let digest = Sha256Hash::of(name.as_bytes()).0;
    let digest = digest[..20].try_into().unwrap();
    StorePath::new(digest, &StorePathName::parse(name).unwrap())
}

/// The archive of one file.
pub(crate) fn file(contents: &[u8]) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.file(false, contents.len() as u64, &mut &*contents).unwrap();
    nar.finish()
}

/// The archive of a small tree that has something of everything.
pub(crate) fn library(contents: &[u8]) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.directory().unwrap();
    nar.entry(b"empty").unwrap();
    nar.directory().unwrap();
    nar.end_directory().unwrap();
    nar.entry(b"lib").unwrap();
    nar.directory().unwrap();
    nar.entry(b"libx.so").unwrap();
    nar.symlink(b"libx.so.1").unwrap();
    nar.entry(b"libx.so.1").unwrap();
    nar.file(true, contents.len() as u64, &mut &*contents).unwrap();
    nar.end_directory().unwrap();
    nar.end_directory().unwrap();
    nar.finish()
}

/// All that is said of a path with this archive, which refers to nothing.
pub(crate) fn offer(path: StorePath, nar: &[u8]) -> NewPath {
    NewPath {
        path,
        nar_hash: Sha256Hash::of(nar),
        nar_size: nar.len() as u64,
        deriver: None,
        references: Vec::new(),
        signatures: Vec::new(),
        content_address: None,
    }
}

/// The same for a path that is named by its archive.
pub(crate) fn offer_by_content(name: &str, nar: &[u8]) -> NewPath {
    let hash = Sha256Hash::of(nar);
    let name = StorePathName::parse(name).unwrap();
    let path = fixed_recursive_sha256(&StoreDir::default(), &name, &hash);
    let content_address = Some(ContentAddress::Recursive(hash.into()));
    NewPath { content_address, ..offer(path, nar) }
}

/// Adds a path for which the caller vouches.
pub(crate) fn add(store: &dyn Backend, new: &NewPath, nar: &[u8]) -> Result<bool, StoreError> {
    store.add_nar(new, &mut &*nar, Trust::Caller)
}

/// The archive of a path in the store.
pub(crate) fn read(store: &dyn Backend, path: &StorePath) -> Result<Vec<u8>, StoreError> {
    let mut nar = Vec::new();
    store.write_nar(path, &mut nar).map(|()| nar)
}

/// Makes the tree of a vector on disk.
pub(crate) fn make(node: &Value, at: &Path) {
    match node["type"].as_str().unwrap() {
        "regular" => {
            fs::write(at, contents(node)).unwrap();
            let mode = if node["executable"].as_bool().unwrap() { 0o755 } else { 0o644 };
            fs::set_permissions(at, PermissionsExt::from_mode(mode)).unwrap();
        }
        "symlink" => symlink(std::ffi::OsStr::from_bytes(&bytes(node, "target")), at).unwrap(),
        _ => {
            fs::create_dir(at).unwrap();
            for entry in node["entries"].as_array().unwrap() {
                let name = bytes(entry, "name");
                make(&entry["node"], &at.join(std::ffi::OsStr::from_bytes(&name)));
            }
        }
    }
}

/// The contents of a file of a vector's tree.
fn contents(node: &Value) -> Vec<u8> {
    let Some(generated) = node.get("contents_gen") else {
        return base64(node["contents_b64"].as_str().unwrap());
    };
    let length = usize::try_from(generated["length"].as_u64().unwrap()).unwrap();
    let seed = generated["seed"].as_str().unwrap();
    let block = |counter| Sha256Hash::of(format!("{seed}:{counter}").as_bytes()).0;
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}

/// A byte string given as text, or in base16 where it is not UTF-8.
fn bytes(value: &Value, key: &str) -> Vec<u8> {
    let Some(digits) = value.get(format!("{key}_hex")) else {
        return value[key].as_str().unwrap().as_bytes().to_vec();
    };
    let digits = digits.as_str().unwrap();
    let byte = |index| u8::from_str_radix(&digits[index..index + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

pub(crate) fn base64(digits: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = digits.trim_end_matches('=');
    let mut bits = digits.chars().flat_map(|digit| {
        let value = DIGITS.find(digit).unwrap();
        (0..6).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let length = digits.len() * 6 / 8;
    (0..length).map(|_| bits.by_ref().take(8).fold(0, |byte, bit| byte << 1 | bit)).collect()
}
