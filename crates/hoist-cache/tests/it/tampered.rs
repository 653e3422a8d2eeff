//! Caches in which one file was replaced, as real Nix was offered them.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::StoreDir;
use serde_json::Value;

use crate::{fetch, fixtures, json, open};

/// What Nix takes and hoist does not.
const NIX_IS_LAX: [&str; 9] = [
    "filehash-wrong",
    "filesize-wrong",
    "url-traversal",
    "url-traversal-inside",
    "nar-trailing-garbage",
    "duplicate-storepath",
    "duplicate-references",
    "references-double-space",
    "tab-separator",
];

/// What only the store can refuse, because it has the other paths.
const LEFT_TO_THE_STORE: &str = "resigned-reference-to-missing-path";

#[test]
fn tampered_caches_are_refused() {
    let vectors = json("narinfo-tampered.json");
    let cases = vectors["cases"].as_array().unwrap();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let nix_takes_it = accepted(case, "2.8.0") && accepted(case, "2.26.3");
        let wanted = (nix_takes_it && !NIX_IS_LAX.contains(&name)) || name == LEFT_TO_THE_STORE;
        let answer = offer(case);
        assert_eq!(answer.is_ok(), wanted, "{name}: {answer:?}");
    }
    println!("tampered caches: {} vectors", cases.len());

    let cases = vectors["content_addressed_cases"].as_array().unwrap();
    for case in cases {
        let answer = offer(case);
        assert_eq!(answer.is_ok(), accepted(case, "2.8.0"), "{answer:?}");
    }
    println!("tampered content-addressed caches: {} vectors", cases.len());
}

#[test]
fn the_refusal_tells_what_is_wrong_with_the_nar() {
    let vectors = json("narinfo-tampered.json");
    let refusal = |name: &str| {
        let cases = vectors["cases"].as_array().unwrap();
        offer(cases.iter().find(|case| case["name"] == name).unwrap()).unwrap_err()
    };
    for (name, wanted) in [
        ("nar-truncated", "the file has 680 bytes, wanted 696"),
        ("nar-trailing-garbage", "is longer than 696 bytes"),
        ("compression-mismatch", "the file is not valid xz: stream/file format not recognized"),
        ("url-nonexistent", "is missing, though its narinfo is there"),
        ("filehash-wrong", "the NAR is not compressed, yet file and NAR differ in hash"),
    ] {
        assert!(refusal(name).ends_with(wanted), "{name}: {}", refusal(name));
    }
    assert!(refusal("nar-contents-corrupt").starts_with("the NAR has hash sha256:"));
}

fn accepted(case: &Value, version: &str) -> bool {
    let result = case.get("result").unwrap_or(&case["by_version"][version]);
    result["accepted"].as_bool().unwrap()
}

/// Offers a cache as the vector describes it.
fn offer(case: &Value) -> Result<Vec<u8>, String> {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    copy(&fixtures().join(case["base_cache"].as_str().unwrap()), &cache);
    let here = cache.to_str().unwrap();
    let narinfo = case["narinfo_text"].as_str().unwrap().replace("$CACHE", here);
    fs::write(cache.join(case["replaces"].as_str().unwrap()), narinfo).unwrap();
    for (name, file) in case["other_files"].as_object().into_iter().flatten() {
        fs::write(cache.join(name), bytes(file)).unwrap();
    }
    let path = StoreDir::default().parse_path(case["for_path"].as_str().unwrap()).unwrap();
    fetch(&open(&cache), &path)
}

fn bytes(file: &Value) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = file["b64"].as_str().unwrap().trim_end_matches('=');
    let mut bits = digits.chars().flat_map(|digit| {
        let value = DIGITS.find(digit).unwrap();
        (0..6).rev().map(move |bit| u8::from(value >> bit & 1 == 1))
    });
    let byte = |_| bits.by_ref().take(8).fold(0, |byte, bit| byte << 1 | bit);
    (0..digits.len() * 6 / 8).map(byte).collect()
}

fn copy(from: &Path, to: &PathBuf) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}
