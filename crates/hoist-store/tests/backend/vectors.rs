//! What real Nix made of trees, archives and content, through a store.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::{
    ContentAddress, ExportReader, ExportWriter, NarLimits, Sha256Hash, StoreDir, StorePath,
    StorePathName,
};
use hoist_store::{Backend, NewPath};
use serde_json::Value;

use crate::archives::{add, base64, file, make, offer, offer_by_content, read};
use crate::site::{Kind, Site};

/// How many vectors a store held.
pub(crate) struct Counts {
    trees: usize,
    malformed: usize,
    content_addresses: usize,
    exports: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trees, malformed, content_addresses, exports } = self;
        let all = trees + malformed + content_addresses + exports;
        write!(f, "{all} vectors: {trees} trees, {malformed} malformed archives, ")?;
        write!(f, "{content_addresses} content addresses, {exports} exports")
    }
}

pub(crate) fn run(kind: &dyn Kind) -> Counts {
    let counts = Counts {
        trees: trees(&Site::new(kind)),
        malformed: malformed(&Site::new(kind)),
        content_addresses: content_addresses(&Site::new(kind)),
        exports: exports(kind),
    };
    let Counts { trees, malformed, content_addresses, exports } = counts;
    let all_held = trees > 40 && malformed > 60 && content_addresses > 70 && exports == 3;
    assert!(all_held, "{counts}");
    counts
}

/// Where a user who may not enter this repository finds the folders of its crates.
pub(crate) const CRATES: &str = "HOIST_TEST_CRATES";

pub(crate) fn fixtures(of_crate: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = env::var_os(CRATES).map_or_else(beside, PathBuf::from);
    crates.join(of_crate).join("tests/fixtures")
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn list<'v>(value: &'v Value, key: &str) -> &'v Vec<Value> {
    value[key].as_array().unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

/// Every tree is added from disk and, under another name, from its archive; the archive that comes
/// back is Nix's.
fn trees(site: &Site<'_>) -> usize {
    let (store, fixtures) = (site.store(), fixtures("hoist-nix"));
    let vectors = json(fixtures.join("nar-valid.json"));
    for vector in list(&vectors, "cases") {
        let name = text(vector, "name");
        let nar = fs::read(fixtures.join(text(vector, "nar"))).unwrap();
        let nar_hash = Sha256Hash::parse(text(vector, "nar_sha256_nix32")).unwrap();
        make(&vector["tree"], &site.path(name));

        let added = store.add_tree(&StorePathName::parse(name).unwrap(), &site.path(name)).unwrap();
        assert_eq!((added.nar_hash, added.nar_size), (nar_hash, nar.len() as u64), "{name}");
        assert_eq!(added.path, offer_by_content(name, &nar).path, "{name}");
        assert!(read(store, &added.path).unwrap() == nar, "{name}");

        let new = offer_by_content(&format!("nar-{name}"), &nar);
        assert!(!add(store, &new, &nar).unwrap(), "{name}");
        let info = store.path_info(&new.path).unwrap().unwrap();
        assert_eq!((info.nar_hash, info.nar_size), (nar_hash, vector["nar_size"].as_u64()));
        assert!(read(store, &new.path).unwrap() == nar, "{name}");
    }
    list(&vectors, "cases").len()
}

/// What one of the releases of Nix refuses to restore, a store refuses to take, with the right hash.
fn malformed(site: &Site<'_>) -> usize {
    let (store, fixtures) = (site.store(), fixtures("hoist-nix"));
    let vectors = json(fixtures.join("nar-malformed.json"));
    let mut refused = 0;
    for vector in list(&vectors, "cases") {
        let name = text(vector, "name");
        let accepted = vector["accepted"].as_object().unwrap();
        if accepted.values().all(|accepted| *accepted == true) {
            continue;
        }
        let nar = fs::read(fixtures.join(text(vector, "input"))).unwrap();
        let new = offer_by_content("malformed", &nar);
        // A daemon may hang up on such an archive.
        add(&*site.open(), &new, &nar).map(|_| ()).unwrap_err();
        assert!(!store.is_valid(&new.path).unwrap(), "{name}");
        refused += 1;
    }
    assert_eq!(store.paths().unwrap(), []);
    refused
}

/// What a content address vector says of a path.
fn said(vector: &Value, nar: &[u8]) -> NewPath {
    let path = |text: &str| StoreDir::default().parse_path(text).unwrap();
    let references = vector["references"].as_array().into_iter().flatten();
    let new = NewPath {
        path: path(text(vector, "path")),
        nar_hash: Sha256Hash::parse(text(vector, "narHash")).unwrap(),
        nar_size: vector["narSize"].as_u64().unwrap(),
        references: references.map(|reference| path(reference.as_str().unwrap())).collect(),
        content_address: Some(ContentAddress::parse(text(vector, "ca")).unwrap()),
        ..offer(path(text(vector, "path")), nar)
    };
    assert_eq!(new.nar_hash, Sha256Hash::of(nar), "{}", new.path);
    new
}

fn content_addresses(site: &Site<'_>) -> usize {
    let store = site.store();
    let vectors = json(fixtures("hoist-store").join("content-addressed.json"));
    for (name, tree) in vectors["inputs"].as_object().unwrap() {
        make(tree, &site.path(name));
    }
    let mut nars: Vec<(NewPath, Vec<u8>)> = Vec::new();
    for vector in list(&vectors, "added") {
        let mut nar = Vec::new();
        hoist_store::dump(&site.path(text(vector, "input")), &mut nar).unwrap();
        nars.push((said(vector, &nar), nar));
    }
    for vector in list(&vectors, "texts") {
        let nar = file(&base64(text(vector, "contents_b64")));
        nars.push((said(vector, &nar), nar));
    }
    for vector in list(&vectors, "made") {
        let nar = fixtures("hoist-store").join("content-addressed").join(text(vector, "nar"));
        let nar = fs::read(nar).unwrap();
        nars.push((said(vector, &nar), nar));
    }
    for (new, nar) in &nars {
        let mut new = new.clone();
        add_missing(store, &new);
        if new.references.contains(&new.path) {
            // The releases of Nix name it differently: it is taken on somebody's word only.
            add(store, &new, nar).unwrap_err();
            new.content_address = None;
        }
        let _ = add(store, &new, nar).unwrap();
        let info = store.path_info(&new.path).unwrap().unwrap();
        assert_eq!((info.nar_hash, info.nar_size), (new.nar_hash, Some(new.nar_size)));
        assert_eq!(info.content_address, new.content_address.map(|address| address.to_string()));
        new.references.sort();
        assert_eq!(info.references, new.references);
        assert!(read(store, &new.path).unwrap() == *nar, "{}", new.path);
    }
    nars.len()
}

/// Adds something in the place of what a path refers to.
fn add_missing(store: &dyn Backend, new: &NewPath) {
    let missing = |reference: &&StorePath| !store.is_valid(reference).unwrap();
    for reference in new.references.iter().filter(|other| **other != new.path).filter(missing) {
        let nar = file(b"");
        add(store, &offer(reference.clone(), &nar), &nar).unwrap();
    }
}

/// What is in a stream of Nix goes into a store path by path, and comes out as that stream.
fn exports(kind: &dyn Kind) -> usize {
    let (fixtures, dir) = (fixtures("hoist-nix"), StoreDir::default());
    let vectors = json(fixtures.join("export.json"));
    for vector in list(&vectors, "valid") {
        let site = Site::new(kind);
        let stream = fs::read(fixtures.join(text(vector, "stream"))).unwrap();
        let limits = NarLimits::default();
        let mut import = ExportReader::new(stream.as_slice(), dir.clone(), limits);
        let mut export = ExportWriter::new(Vec::new(), dir.clone());
        let mut nar = Vec::new();
        while let Some(said) = import.next_path_into(&mut nar).unwrap() {
            let (references, deriver) = (said.references.clone(), said.deriver.clone());
            let new = NewPath { references, deriver, ..offer(said.path.clone(), &nar) };
            assert!(!add(site.store(), &new, &nar).unwrap());
            let info = site.store().path_info(&said.path).unwrap().unwrap();
            assert_eq!((info.nar_hash, &info.references), (new.nar_hash, &said.references));
            assert_eq!(info.deriver, said.deriver);
            export.path(&said, |out| site.store().write_nar(&said.path, out)).unwrap();
            nar.clear();
        }
        assert!(export.finish().unwrap() == stream, "{}", text(vector, "name"));
    }
    list(&vectors, "valid").len()
}
