//! Caches that Nix wrote, caches that were tampered with, and servers that mean no good.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod folder;
mod hostile_file;
mod hostile_server;
mod stored;
mod tampered;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hoist_cache::{BinaryCache, CacheError, CacheOptions, FetchError};
use hoist_nix::{Compression, NarInfo, NarUrl, PublicKey, Sha256Hash, StorePath};
use serde_json::Value;
use tempfile::TempDir;

/// The keys of the vectors; they protect nothing.
const KEYS: [&str; 2] = [
    "hoist-test-1:o152qZuXPkGxTw6nwoG4oMgdSQLYD1otiNzDoFRKDFA=",
    "second-key-1:rm2aGdtCDgADH7lUHrOInx6V51FkuV04RCSvw6juwZk=",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(path: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hoist-nix/tests/fixtures").join(path);
    serde_json::from_slice(&fs::read(file).expect("the fixture is there")).expect("it is JSON")
}

fn options() -> CacheOptions {
    let trusted_keys = KEYS.map(|key| PublicKey::parse(key).unwrap()).to_vec();
    CacheOptions { trusted_keys, ..CacheOptions::default() }
}

fn open(folder: &Path) -> BinaryCache {
    BinaryCache::open(&format!("file://{}", folder.display()), options()).unwrap()
}

/// All of a NAR, or everything that was said against it.
fn fetch(cache: &BinaryCache, path: &StorePath) -> Result<Vec<u8>, String> {
    let info = cache.info(path).map_err(|error| chain(&error))?.ok_or("not there")?;
    read(cache, &info)
}

fn read(cache: &BinaryCache, info: &NarInfo) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut nar = cache.nar(info).map_err(|error| chain(&error))?;
    match nar.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            assert!((bytes.len() as u64) < info.nar_size, "the last bytes are not handed over");
            assert!(nar.read(&mut [0]).is_err(), "what failed stays so");
            Err(chain(error.get_ref().expect("a reason")))
        }
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap();
        cause = error.source();
    }
    text
}

/// A cache of one file, with a narinfo that says what it is told to.
struct Hostile {
    dir: TempDir,
    info: NarInfo,
}

impl Hostile {
    /// - `file`: what lies in the cache, compressed as said.
    /// - `nar`: what the narinfo promises.
    fn new(compression: Compression, file: &[u8], nar: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("nar")).unwrap();
        let info = NarInfo {
            store_path: StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt").unwrap(),
            url: NarUrl::parse("nar/x").unwrap(),
            compression,
            file_hash: None,
            file_size: None,
            nar_hash: Sha256Hash::of(nar),
            nar_size: nar.len() as u64,
            references: Vec::new(),
            deriver: None,
            signatures: Vec::new(),
            content_address: None,
        };
        fs::write(dir.path().join("nar/x"), file).unwrap();
        Self { dir, info }
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        read(&open(self.dir.path()), &self.info)
    }

    fn refusal(&self) -> String {
        self.read().unwrap_err()
    }
}

/// The reason that a reader was given.
fn reason(error: &std::io::Error) -> &FetchError {
    error.get_ref().expect("a reason").downcast_ref().expect("a FetchError")
}

fn refused(result: Result<BinaryCache, CacheError>) -> String {
    chain(&result.unwrap_err())
}
