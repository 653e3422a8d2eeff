//! Caches written by every release of Nix that is here, and narinfos that they are offered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read as _;
use std::path::Path;

use hoist_cache::{BinaryCache, CacheOptions};
use hoist_nix::{Compression, NarInfo, PublicKey, SecretKey, Sha256Hash, StoreDir, StorePath};
use hoist_testkit::{NixRelease, nix_releases};

/// A store of Nix's own with one path in it.
struct NixStore {
    nix: NixRelease,
    dir: tempfile::TempDir,
    path: StorePath,
}

impl NixStore {
    /// One for each release.
    fn all() -> impl Iterator<Item = Self> {
        nix_releases().into_iter().map(Self::new)
    }

    fn new(nix: NixRelease) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("library-1");
        fs::create_dir_all(tree.join("lib")).unwrap();
        fs::write(tree.join("lib/libx.so"), vec![42; 300_000]).unwrap();
        fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("lib/libx.so", tree.join("link")).unwrap();
        let args = ["--store", &url(dir.path()), "--add-fixed", "--recursive", "sha256"];
        let path = nix.stdout("nix-store", args.into_iter().chain([tree.to_str().unwrap()]));
        let path = StoreDir::default().parse_path(&path).unwrap();
        Self { nix, dir, path }
    }

    /// Lets Nix write a cache.
    fn copy_to_cache(&self, folder: &Path, parameters: &str) {
        let to = format!("file://{}?{parameters}", folder.display());
        let path = StoreDir::default().print(&self.path);
        self.nix.stdout("nix", ["copy", "--from", &url(self.dir.path()), "--to", &to, &path]);
    }

    /// Where a cache has the narinfo of the path.
    fn narinfo_in(&self, folder: &Path) -> std::path::PathBuf {
        folder.join(format!("{}.narinfo", self.path.hash_part()))
    }
}

fn url(dir: &Path) -> String {
    format!("local?root={}", dir.join("root").display())
}

#[test]
fn what_nix_writes_in_any_compression_is_read() {
    for store in NixStore::all() {
        for compression in Compression::ALL {
            let folder = store.dir.path().join(compression.name());
            store.copy_to_cache(&folder, &format!("compression={}", compression.name()));
            let address = format!("file://{}", folder.display());
            let cache = BinaryCache::open(&address, CacheOptions::default()).unwrap();
            let info = cache.info(&store.path).unwrap().unwrap();
            assert_eq!(info.compression, compression);
            let mut nar = Vec::new();
            cache.nar(&info).unwrap().read_to_end(&mut nar).unwrap();
            assert_eq!(Sha256Hash::of(&nar), info.nar_hash);
        }
        println!("{}: {} compressions", store.nix, Compression::ALL.len());
    }
}

#[test]
fn keys_of_nix_and_of_hoist_make_the_same_narinfos() {
    for store in NixStore::all() {
        let [secret, public] = ["key.sec", "key.pub"].map(|name| store.dir.path().join(name));
        let files = [secret.to_str().unwrap(), public.to_str().unwrap()];
        let args = ["--generate-binary-cache-key", "real-1"];
        store.nix.stdout("nix-store", args.into_iter().chain(files));
        let key = SecretKey::parse(&fs::read_to_string(&secret).unwrap()).unwrap();
        let trusted = PublicKey::parse(fs::read_to_string(&public).unwrap().trim()).unwrap();
        assert_eq!(key.to_public(), trusted);

        let folder = store.dir.path().join("cache");
        let parameters = format!("compression=none&secret-key={}", secret.display());
        store.copy_to_cache(&folder, &parameters);
        let theirs = fs::read_to_string(store.narinfo_in(&folder)).unwrap();
        let dir = StoreDir::default();
        let mut ours = NarInfo::parse(&dir, theirs.as_bytes()).unwrap();
        assert_eq!(ours.signatures.len(), 1);
        ours.signatures.clear();
        ours.sign(&dir, &key);
        assert_eq!(ours.print(&dir), theirs);
    }
}

/// Without its content address, Nix asks for a signature: ours is as good as its own.
#[test]
fn nix_takes_what_hoist_signed() {
    let dir = StoreDir::default();
    let key = SecretKey::from_seed("hoist-1", &[5; 32]).unwrap();
    let trusted = key.to_public().to_string();
    for store in NixStore::all() {
        let here = store.dir.path();
        let folder = here.join("cache");
        store.copy_to_cache(&folder, "compression=zstd");
        let narinfo = store.narinfo_in(&folder);
        let mut info = NarInfo::parse(&dir, &fs::read(&narinfo).unwrap()).unwrap();
        info.content_address = None;

        let copy = |home: &str| {
            let (from, to) = (format!("file://{}", folder.display()), url(&here.join(home)));
            let mut command = store.nix.command("nix");
            command.args(["copy", "--from", &from, "--to", &to, &dir.print(&store.path)]);
            command.args(["--option", "trusted-public-keys", &trusted]);
            // Nix remembers narinfos.
            command.env("XDG_CACHE_HOME", here.join(home));
            command.output().unwrap()
        };
        fs::write(&narinfo, info.print(&dir)).unwrap();
        let output = copy("unsigned");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("signature"), "{said}");

        info.sign(&dir, &key);
        fs::write(&narinfo, info.print(&dir)).unwrap();
        let output = copy("signed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", store.nix);
        println!("{}: takes it", store.nix);
    }
}
