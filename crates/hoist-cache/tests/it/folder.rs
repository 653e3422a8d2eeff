//! Caches in folders, as Nix writes them.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;

use hoist_cache::{BinaryCache, CacheOptions};
use hoist_nix::{NarLimits, NarReader, Sha256Hash, StoreDir, StorePath};

use crate::{fetch, fixtures, open, options, refused};

/// The paths that a folder has narinfos of.
fn paths(folder: &std::path::Path) -> Vec<StorePath> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let narinfos = files.filter(|file| file.extension().is_some_and(|kind| kind == "narinfo"));
    let first_line = |file| fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
    let path = |line: String| {
        StoreDir::default().parse_path(line.strip_prefix("StorePath: ").unwrap()).unwrap()
    };
    narinfos.map(first_line).map(path).collect()
}

#[test]
fn every_nar_of_every_compression_is_read() {
    let (mut count, mut compressions) = (0, Vec::new());
    for folder in fs::read_dir(fixtures().join("cache")).unwrap() {
        let folder = folder.unwrap().path();
        let cache = open(&folder);
        for path in paths(&folder) {
            let Ok(info) = cache.info(&path) else {
                let refusal = fetch(&cache, &path).unwrap_err();
                assert!(refusal.contains("refers to itself"), "{refusal}");
                count += 1;
                continue;
            };
            let info = info.unwrap();
            let nar = fetch(&cache, &path).unwrap();
            assert_eq!(Sha256Hash::of(&nar), info.nar_hash);
            let mut events = NarReader::new(nar.as_slice(), NarLimits::default()).unwrap();
            while events.next_event().unwrap().is_some() {}
            compressions.push(info.compression.name());
            count += 1;
        }
    }
    compressions.sort_unstable();
    compressions.dedup();
    assert_eq!(compressions, ["br", "bzip2", "gzip", "lzip", "lzma", "none", "xz", "zstd"]);
    assert_eq!(count, 42);
    println!("caches: {count} NARs");
}

#[test]
fn a_nar_can_be_read_in_pieces_of_any_size() {
    let folder = fixtures().join("cache/2.8.0-zstd");
    let cache = open(&folder);
    for path in paths(&folder) {
        let info = cache.info(&path).unwrap().unwrap();
        for size in [1, 7, 96, 4096] {
            let (mut nar, mut bytes, mut piece) =
                (cache.nar(&info).unwrap(), Vec::new(), vec![0; size]);
            assert_eq!(nar.read(&mut []).unwrap(), 0);
            while let count @ 1.. = nar.read(&mut piece).unwrap() {
                bytes.extend_from_slice(&piece[..count]);
            }
            assert_eq!(Sha256Hash::of(&bytes), info.nar_hash);
            assert_eq!(nar.read(&mut piece).unwrap(), 0);
        }
    }
}

#[test]
fn a_path_that_is_not_there_is_no_error() {
    let cache = open(&fixtures().join("cache/2.8.0-xz"));
    let path = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt").unwrap();
    assert!(cache.info(&path).unwrap().is_none());
}

#[test]
fn without_keys_only_content_vouches() {
    let folder = fixtures().join("cache/2.26.3-none");
    let cache = BinaryCache::open(folder.to_str().unwrap(), CacheOptions::default()).unwrap();
    let text = StorePath::parse("ly5p6in2dsh0hbwgs0sra4vaplhfpx9y-data.txt").unwrap();
    assert!(cache.info(&text).unwrap().is_some());
    let signed = StorePath::parse("a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3").unwrap();
    let refusal = fetch(&cache, &signed).unwrap_err();
    assert!(refusal.ends_with("is not signed by a trusted key, only by `hoist-test-1`"));
}

#[test]
fn refuses_addresses_that_are_none() {
    let cases = [
        ("", "it is empty"),
        ("s3://bucket", "its scheme is neither `file`, `http` nor `https`"),
        ("http://", "it names no host"),
        ("file://host/cache", "a `file:` address has no host"),
        ("file:///cache?compression=xz", "it has parameters"),
        ("https://user:secret@host/cache", "it holds a user name or a password"),
    ];
    for (url, why) in cases {
        let refusal = refused(BinaryCache::open(url, options()));
        assert!(refusal.ends_with(why), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
    let refusal = refused(BinaryCache::open("/nowhere/at/all", options()));
    assert_eq!(refusal, "`/nowhere/at/all` is not a binary cache: there is no such folder");
}

#[test]
fn refuses_a_cache_for_another_store_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nix-cache-info"), "StoreDir: /gnu/store\n").unwrap();
    let refusal = refused(BinaryCache::open(dir.path().to_str().unwrap(), options()));
    assert!(refusal.ends_with("is for store directory `/gnu/store`, wanted `/nix/store`"));
}

#[test]
fn a_folder_may_link_to_its_files_but_not_hold_others() {
    let dir = tempfile::tempdir().unwrap();
    let cache = fixtures().join("cache/2.8.0-xz");
    let path = StorePath::parse("a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3").unwrap();
    let narinfo = format!("{}.narinfo", path.hash_part());
    symlink(cache.join(&narinfo), dir.path().join(&narinfo)).unwrap();
    symlink(cache.join("nar"), dir.path().join("nar")).unwrap();
    assert!(fetch(&open(dir.path()), &path).is_ok());

    fs::remove_file(dir.path().join(&narinfo)).unwrap();
    fs::create_dir(dir.path().join(&narinfo)).unwrap();
    assert!(fetch(&open(dir.path()), &path).unwrap_err().ends_with("is not a file"));
}
