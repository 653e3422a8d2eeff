//! Caches behind a web server that others wrote.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};

use hoist_cache::{BinaryCache, CacheOptions};
use hoist_nix::{PublicKey, Sha256Hash, StoreDir, StorePath};
use hoist_testkit::tool;

/// Python's web server, killed when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn new(folder: &Path) -> Option<Self> {
        let python = tool("python3", "python3")?;
        let mut child = python
            .command()
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(['(', ')']).find(|part| part.starts_with("http://")).unwrap();
        Some(Self { url: url.trim_end_matches('/').to_owned(), child })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_nar_of_a_served_cache_is_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cache");
    let Some(served) = Served::new(&fixtures) else { return };
    let key = "hoist-test-1:o152qZuXPkGxTw6nwoG4oMgdSQLYD1otiNzDoFRKDFA=";
    let trusted_keys = vec![PublicKey::parse(key).unwrap()];
    let options = CacheOptions { trusted_keys, ..CacheOptions::default() };
    let mut count = 0;
    for folder in fs::read_dir(&fixtures).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let cache = BinaryCache::open(&format!("{}/{name}/", served.url), options.clone()).unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|kind| kind != "narinfo") {
                continue;
            }
            let text = fs::read_to_string(file).unwrap();
            let path = text.lines().next().unwrap().strip_prefix("StorePath: ").unwrap();
            let path = StoreDir::default().parse_path(path).unwrap();
            let Ok(info) = cache.info(&path) else { continue }; // refers to itself, see the folders
            let info = info.unwrap();
            let mut nar = Vec::new();
            cache.nar(&info).unwrap().read_to_end(&mut nar).unwrap();
            assert_eq!(Sha256Hash::of(&nar), info.nar_hash);
            count += 1;
        }
        let absent = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt").unwrap();
        assert!(cache.info(&absent).unwrap().is_none());
    }
    assert_eq!(count, 38);
    println!("served caches: {count} NARs");
}
