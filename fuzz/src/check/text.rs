//! Hashes, store paths, keys, signatures and whatever else is one line.

use std::fmt::{Debug, Display};

use hoist_nix::{
    CacheInfo, ContentAddress, Hash, HashAlgorithm, NarUrl, PublicKey, SecretKey, Sha256Hash,
    Signature, StoreDir, StorePath, StorePathName, base32,
};

const ALGORITHMS: [HashAlgorithm; 4] =
    [HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha512];

/// Every short text of Nix's: what is read prints as what reads the same.
///
/// # Panics
///
/// Where that does not hold.
pub fn text(bytes: &[u8]) {
    if let Ok(info) = CacheInfo::parse(bytes) {
        assert_eq!(CacheInfo::parse(info.to_string().as_bytes()), Ok(info));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    digits(text);
    same_again(text, Hash::parse);
    same_again(text, Sha256Hash::parse);
    for algorithm in ALGORITHMS {
        if let Ok(hash) = Hash::parse_as(algorithm, text) {
            assert_eq!(hash.algorithm(), algorithm);
            assert_eq!(hash.as_bytes().len(), algorithm.byte_len());
        }
    }
    same_again(text, ContentAddress::parse);
    same_again(text, Signature::parse);
    same_again(text, PublicKey::parse);
    if let Ok(key) = SecretKey::parse(text) {
        assert_eq!(SecretKey::parse(&key.to_text()).map(|key| key.to_text()), Ok(key.to_text()));
    }
    same_text(text, NarUrl::parse);
    same_text(text, StorePath::parse);
    same_text(text, StorePathName::parse);
    let dirs = [StoreDir::parse(text).ok(), Some(StoreDir::default())];
    for dir in dirs.into_iter().flatten() {
        if let Ok(path) = dir.parse_path(text) {
            assert_eq!(dir.print(&path), text);
        }
        if let Ok(path) = StorePath::parse(text) {
            assert_eq!(dir.parse_path(&dir.print(&path)), Ok(path));
        }
    }
}

/// Base-32 has one text for each value.
fn digits(text: &str) {
    for len in [0, 1, 5, 16, 20, 32, 64] {
        let mut bytes = vec![0; len];
        if base32::decode_into(text, &mut bytes).is_ok() {
            assert_eq!(base32::encode(&bytes), text);
        }
    }
}

/// For what has several texts: the one that hoist writes means the same.
fn same_again<T: Display + Debug + PartialEq, E: Debug + PartialEq>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) {
    if let Ok(value) = parse(text) {
        assert_eq!(parse(&value.to_string()), Ok(value));
    }
}

/// For what has one text.
fn same_text<T: Display, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) {
    if let Ok(value) = parse(text) {
        assert_eq!(value.to_string(), text);
    }
}
