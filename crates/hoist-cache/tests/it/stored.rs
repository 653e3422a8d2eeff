//! From a cache into a store.

use std::fs;

use hoist_nix::StorePath;
use hoist_store::{Backend as _, NewPath, Store, Trust};

use crate::{chain, fixtures, open, options};

/// The closure of `viewer`, references first.
const CLOSURE: [&str; 4] = [
    "a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3",
    "ly5p6in2dsh0hbwgs0sra4vaplhfpx9y-data.txt",
    "vb4829n1ljz1784j9hsaxs8nbawxqnqj-libpng-1.6.40",
    "6qfzjq1gdsdy3zwny2k88sg10i0r3snp-viewer-0.1",
];

#[test]
fn a_closure_goes_from_a_cache_of_nix_into_a_store() {
    let keys = options().trusted_keys;
    for compression in ["none", "xz", "bzip2", "gzip", "zstd", "br"] {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(root.path()).unwrap();
        let cache = open(&fixtures().join(format!("cache/2.8.0-{compression}")));
        for path in CLOSURE.map(|path| StorePath::parse(path).unwrap()) {
            let info = cache.info(&path).unwrap().unwrap();
            let (mut nar, new) = (cache.nar(&info).unwrap(), NewPath::from(info));
            assert!(!store.add_nar(&new, &mut nar, Trust::Keys(&keys)).unwrap());
            assert!(store.is_valid(&path).unwrap());
        }
        assert!(store.verify(true).unwrap().is_empty());
    }
}

#[test]
fn a_damaged_nar_leaves_nothing_in_the_store() {
    let (root, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = fixtures().join("cache/2.8.0-xz");
    let path = StorePath::parse(CLOSURE[0]).unwrap();
    let narinfo = format!("{}.narinfo", path.hash_part());
    fs::copy(folder.join(&narinfo), cache.path().join(&narinfo)).unwrap();
    let store = Store::open_or_create(root.path()).unwrap();
    let cache_of_one = open(cache.path());
    let info = cache_of_one.info(&path).unwrap().unwrap();
    fs::create_dir(cache.path().join("nar")).unwrap();
    let mut file = fs::read(folder.join(info.url.as_str())).unwrap();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    fs::write(cache.path().join(info.url.as_str()), file).unwrap();

    let (mut nar, new) = (cache_of_one.nar(&info).unwrap(), NewPath::from(info));
    let keys = options().trusted_keys;
    let error = store.add_nar(&new, &mut nar, Trust::Keys(&keys)).unwrap_err();
    assert!(chain(&error).contains("the file is not valid xz"), "{}", chain(&error));
    assert!(!store.is_valid(&path).unwrap());
    assert!(!store.physical(&path).exists());
}
