//! Caches behind a web server that others wrote.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hoist_cache::{BinaryCache, CacheError, CacheOptions};
use hoist_nix::{PublicKey, Sha256Hash, StoreDir, StorePath};
use hoist_testkit::tool;

/// One of Python's web servers, killed when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    /// A server that prints its address on the first line.
    fn start(command: &mut Command, scheme: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let from = line.find(&format!("{scheme}://")).unwrap();
        let url = line[from..].split(['/', ')', '\n']).take(3).collect::<Vec<_>>().join("/");
        Self { child, url }
    }

    fn plain(folder: &Path) -> Option<Self> {
        let python = tool("python3", "python3")?;
        let mut command = python.command();
        command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
        Some(Self::start(command.arg(folder), "http"))
    }

    /// With a certificate for `localhost` by an authority of `dir`'s own, `dir/ca.pem`.
    fn tls(folder: &Path, dir: &Path) -> Option<Self> {
        let (python, openssl) = (tool("python3", "python3")?, tool("openssl", "openssl")?);
        let new = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"];
        let make = |name: &str, more: &[&str]| {
            let mut command = openssl.command();
            command.args(new).args(["-keyout", &format!("{name}.key"), "-out"]);
            command.arg(format!("{name}.pem")).args(more).current_dir(dir);
            assert!(command.output().unwrap().status.success(), "{command:?}");
        };
        make("ca", &["-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:TRUE"]);
        let names = "subjectAltName=DNS:localhost";
        let leaf = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"];
        let by_ca = ["-subj", "/CN=localhost", "-CA", "ca.pem", "-CAkey", "ca.key"];
        make("server", &[&by_ca[..], &leaf].concat());
        let mut command = python.command();
        command.arg(package().join("tests/fixtures/https_server.py")).arg(folder);
        command.arg(dir.join("server.pem")).arg(dir.join("server.key"));
        Some(Self::start(&mut command, "https"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn fixtures() -> PathBuf {
    package().join("tests/fixtures/cache")
}

fn options() -> CacheOptions {
    let key = "hoist-test-1:o152qZuXPkGxTw6nwoG4oMgdSQLYD1otiNzDoFRKDFA=";
    let trusted_keys = vec![PublicKey::parse(key).unwrap()];
    CacheOptions { trusted_keys, ..CacheOptions::default() }
}

#[test]
fn every_nar_of_a_served_cache_is_read() {
    let Some(served) = Served::plain(&fixtures()) else { return };
    let mut count = 0;
    for folder in fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let cache = BinaryCache::open(&format!("{}/{name}/", served.url), options()).unwrap();
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
    assert_eq!(count, 40);
    println!("served caches: {count} NARs");
}

/// The variable by which a test that runs itself again says so.
const SERVED_AT: &str = "TEST_SERVED_AT";

#[test]
fn certificates_are_those_that_the_machine_trusts() {
    if let Some(url) = env::var_os(SERVED_AT) {
        return trusts_the_server(url.to_str().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(served) = Served::tls(&fixtures(), dir.path()) else { return };
    let refusal = BinaryCache::open(&format!("{}/2.8.0-xz", served.url), options()).unwrap_err();
    assert!(matches!(refusal, CacheError::Http { .. }), "{refusal:?}");

    let name = "certificates_are_those_that_the_machine_trusts";
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", name])
        .env(SERVED_AT, &served.url)
        .env("SSL_CERT_FILE", dir.path().join("ca.pem"))
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
}

fn trusts_the_server(url: &str) {
    let cache = BinaryCache::open(&format!("{url}/2.8.0-xz"), options()).unwrap();
    let path = StorePath::parse("a3q32d61r4q7czlx68ng3845pny0lq8l-libz-1.3").unwrap();
    let info = cache.info(&path).unwrap().unwrap();
    std::io::copy(&mut cache.nar(&info).unwrap(), &mut std::io::sink()).unwrap();

    let other_name = url.replace("localhost", "127.0.0.1");
    assert!(BinaryCache::open(&other_name, options()).is_err(), "the certificate is not for it");
    let refusal = BinaryCache::open(&format!("{url}/down"), options()).unwrap_err();
    let CacheError::Http { source, .. } = refusal else { panic!("{refusal:?}") };
    assert!(matches!(*source, ureq::Error::RequireHttpsOnly(_)), "{source:?}");
}
