//! Exports, held against those of real Nix.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::{Sha256Hash, StorePath};
use hoist_store::{AddNarError, Store, StoreError, Trust};
use serde_json::Value;

use crate::{World, names, text};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hoist-nix/tests/fixtures")
}

fn vectors() -> Value {
    let text = fs::read_to_string(fixtures().join("export.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn paths(store: &Store, list: &Value) -> Vec<StorePath> {
    let list = list.as_array().unwrap().iter();
    list.map(|path| store.dir().parse_path(path.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn an_export_of_nix_is_imported_and_written_again() {
    let vectors = vectors();
    let mut held = 0;
    for vector in vectors["valid"].as_array().unwrap() {
        let World { dir: _dir, store } = World::new();
        let stream = fs::read(fixtures().join(text(vector, "stream"))).unwrap();
        let wanted = paths(&store, &vector["paths"]);
        assert_eq!(store.import(stream.as_slice(), Trust::Caller).unwrap(), wanted);
        for (path, said) in vector["path_info"].as_object().unwrap() {
            let path = store.dir().parse_path(path).unwrap();
            let info = store.path_info(&path).unwrap().unwrap();
            assert_eq!(info.nar_hash, Sha256Hash::parse(text(said, "narHash")).unwrap());
            assert_eq!(info.nar_size, said["narSize"].as_u64());
            assert_eq!(info.references, paths(&store, &said["references"]));
            // The stream does not say so: it was found out.
            assert_eq!(info.content_address.as_deref(), said["ca"].as_str());
        }
        assert_eq!(store.verify(true).unwrap(), []);

        let mut shuffled = wanted.clone();
        shuffled.reverse();
        shuffled.extend(wanted.clone());
        let mut again = Vec::new();
        store.export(&shuffled, &mut again).unwrap();
        assert!(again == stream, "{}", text(vector, "name"));
        assert_eq!(store.import(again.as_slice(), Trust::Caller).unwrap(), wanted);
        held += 1;
    }
    println!("export: {held} vectors");
    assert_eq!(held, 3);
}

#[test]
fn an_export_that_is_refused_leaves_nothing() {
    let vectors = vectors();
    let (mut refused, mut taken) = (0, Vec::new());
    for vector in vectors["malformed"].as_array().unwrap() {
        let World { dir: _dir, store } = World::new();
        let stream = crate::base64(text(vector, "stream_b64"));
        let accepted = vector["result"]["accepted"] == true;
        if store.import(stream.as_slice(), Trust::Caller).is_ok() {
            assert!(accepted, "{}", text(vector, "name"));
            taken.push(text(vector, "name"));
        } else {
            refused += 1;
            assert_eq!(store.list().unwrap(), []);
            assert_eq!(names(&store.root().join("nix/store")), [".links"]);
            assert_eq!(names(&store.root().join("nix/var/hoist/tmp")), ["lock"]);
        }
        assert_eq!(store.verify(true).unwrap(), []);
    }
    println!("export: {refused} refused, {taken:?} taken");
    // Two are a path with other contents than its name says, on the word of the caller.
    assert_eq!(taken, ["only-terminator", "hash-part-mismatch", "nar-content-changed"]);
    assert_eq!(refused, 11);
}

/// What an export does not say, nobody can vouch for.
#[test]
fn without_trust_only_what_is_named_by_its_content_is_imported() {
    let World { dir: _dir, store } = World::new();
    let stream = |name: &str| fs::read(fixtures().join("export").join(name)).unwrap();
    let text = stream("single.export");
    assert_eq!(store.import(text.as_slice(), Trust::Keys(&[])).unwrap().len(), 1);
    let built = stream("closure-full.export");
    let refusal = store.import(built.as_slice(), Trust::Keys(&[])).unwrap_err();
    assert!(matches!(refusal, StoreError::AddNar(AddNarError::Untrusted { .. })), "{refusal}");
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn an_export_of_what_is_not_there_or_modified_is_no_export() {
    let world = World::new();
    let added = world.add("contents");
    let unknown = StorePath::parse(&format!("{}-unknown", "0".repeat(32))).unwrap();
    let mut out = Vec::new();
    let refusal = world.store.export(&[added.path.clone(), unknown], &mut out).unwrap_err();
    assert!(matches!(refusal, StoreError::NotInStore { .. }), "{refusal}");
    assert!(out.is_empty());

    let file = world.store.physical(&added.path).join("lib/libx.so.1");
    let lib = file.parent().unwrap();
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(lib, writable).unwrap();
    fs::remove_file(&file).unwrap();
    let refusal = world.store.export(&[added.path], &mut out).unwrap_err();
    assert!(matches!(refusal, StoreError::Modified { .. }), "{refusal}");
    world.store.import(out.as_slice(), Trust::Caller).unwrap_err();
}
