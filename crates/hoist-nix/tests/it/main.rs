//! Vectors written by real Nix; `tests/fixtures/README.md` says how.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod derivation;
mod export;
mod hash;
mod narinfo;
mod refscan;
mod store_path;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::{NarWriteError, NarWriter, Sha256Hash};
use serde_json::Value;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn json(path: &str) -> Value {
    let text = fs::read_to_string(fixture(path)).expect("the fixture is there");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("`{key}` is a list"))
}

/// The vectors of a file under `key`, of which there must be some.
fn each_of<'a>(file: &'a Value, key: &str) -> &'a [Value] {
    let each = list(file, key);
    assert!(!each.is_empty(), "no vectors under `{key}`");
    each
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is a text in {value}"))
}

/// A byte string given as text, or in base16 where it is not UTF-8.
fn bytes(value: &Value, key: &str) -> Vec<u8> {
    match value.get(format!("{key}_hex")) {
        Some(digits) => base16(digits.as_str().expect("base16 is a text")),
        None => text(value, key).as_bytes().to_vec(),
    }
}

fn base16(digits: &str) -> Vec<u8> {
    let digit = |index| u8::from_str_radix(&digits[index..index + 2], 16).expect("base16");
    (0..digits.len()).step_by(2).map(digit).collect()
}

/// The contents of a file of a vector's tree.
fn contents(node: &Value) -> Vec<u8> {
    let Some(generated) = node.get("contents_gen") else {
        return base64(text(node, "contents_b64"));
    };
    let length: usize = generated["length"].to_string().parse().expect("a length");
    let seed = text(generated, "seed");
    let block = |counter| Sha256Hash::of(format!("{seed}:{counter}").as_bytes()).0;
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}

/// Padded base64; apart from the crate's own, which this suite holds against Nix.
fn base64(digits: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = digits.trim_end_matches('=').chars().flat_map(|digit| {
        let value = DIGITS.find(digit).expect("base64");
        (0..6).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let length = digits.trim_end_matches('=').len() * 6 / 8;
    (0..length).map(|_| bits.by_ref().take(8).fold(0, |byte, bit| byte << 1 | bit)).collect()
}

fn archive(tree: &Value) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).expect("a vector takes every byte");
    write(&mut nar, tree).expect("Nix wrote this tree");
    nar.finish()
}

fn write(nar: &mut NarWriter<Vec<u8>>, node: &Value) -> Result<(), NarWriteError> {
    match text(node, "type") {
        "regular" => {
            let contents = contents(node);
            let executable = node["executable"].as_bool().expect("a flag");
            nar.file(executable, contents.len() as u64, &mut contents.as_slice())
        }
        "symlink" => nar.symlink(&bytes(node, "target")),
        _ => {
            nar.directory()?;
            for entry in list(node, "entries") {
                nar.entry(&bytes(entry, "name"))?;
                write(nar, &entry["node"])?;
            }
            nar.end_directory()
        }
    }
}
