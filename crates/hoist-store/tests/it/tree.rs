//! Trees as archives, and archives as trees.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hoist_nix::{NarWriter, Sha256Hash, StorePathName};
use hoist_store::{TreeError, dump, hash_tree, restore};
use proptest::prelude::*;

use crate::{World, names};

fn archive(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    dump(path, &mut bytes).unwrap();
    bytes
}

#[test]
fn archives_of_nix_are_restored_and_archived_the_same() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hoist-nix/tests/fixtures/nar");
    let dir = tempfile::tempdir().unwrap();
    let archives = names(&fixtures);
    for name in &archives {
        let theirs = fs::read(fixtures.join(name)).unwrap();
        let restored = dir.path().join(name);
        restore(theirs.as_slice(), &restored).unwrap();
        assert!(archive(&restored) == theirs, "{name}: the archive differs");
    }
    assert_eq!(names(dir.path()), archives, "nothing else is left");
    println!("{} archives", archives.len());
}

#[test]
fn malformed_archives_leave_nothing() {
    let fixtures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../hoist-nix/tests/fixtures/nar-malformed");
    let dir = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for name in names(&fixtures) {
        let bytes = fs::read(fixtures.join(&name)).unwrap();
        let dest = dir.path().join(&name);
        if restore(bytes.as_slice(), &dest).is_ok() {
            assert!(["control-wellformed.nar", "name-backslash.nar"].contains(&name.as_str()));
            continue;
        }
        refused += 1;
        assert!(!dest.exists(), "{name}");
    }
    assert_eq!(names(dir.path()), ["control-wellformed.nar", "name-backslash.nar"]);
    println!("{refused} archives refused");
}

#[test]
fn restoring_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "old").unwrap();
    let refusal = restore(archive(&file).as_slice(), &file).unwrap_err();
    assert_eq!(refusal.to_string(), format!("cannot restore to `{}`", file.display()));
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn a_symlink_at_the_root_is_archived_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    fs::create_dir(dir.path().join("dir")).unwrap();
    symlink("dir", &link).unwrap();
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.symlink(b"dir").unwrap();
    assert_eq!(archive(&dir.path().join("link/")), nar.finish());
}

/// More levels than a process may have files open.
#[test]
fn deep_trees_are_archived_added_and_removed() {
    let world = World::new();
    let tree = world.path("tree");
    fs::create_dir_all(tree.join("d/".repeat(1022))).unwrap();
    let name = StorePathName::parse("deep").unwrap();
    let added = world.store.add_tree(&name, &tree).unwrap();
    assert_eq!(world.store.verify(true).unwrap(), []);
    let restored = world.path("restored");
    restore(archive(&world.store.physical(&added.path)).as_slice(), &restored).unwrap();

    fs::create_dir_all(tree.join("d/".repeat(1024))).unwrap();
    let refusal = world.store.add_tree(&name, &tree).unwrap_err().to_string();
    assert!(refusal.ends_with("is more than 1024 directories deep"), "{refusal}");
    assert_eq!(names(&world.store.root().join("nix/var/hoist/tmp")), ["lock"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let world = World::new();
    let tree = world.path("tree");
    symlink("loop", &tree).unwrap();
    let refusal = dump(&tree.join("x"), &mut Vec::new()).unwrap_err();
    assert!(matches!(refusal, TreeError::File(_)), "{refusal}");
    assert!(refusal.to_string().ends_with("tree/x`"), "{refusal}");
}

/// A tree as nested data.
#[derive(Debug, Clone)]
enum Tree {
    File(bool, Vec<u8>),
    Symlink(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(executable, contents)| Tree::File(executable, contents)),
        prop::collection::vec(1_u8.., 1..40).prop_map(Tree::Symlink),
    ];
    let is_name = |name: &Vec<u8>| !name.contains(&b'/') && name != b"." && name != b"..";
    let name = prop::collection::vec(1_u8.., 1..20).prop_filter("a name", is_name);
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(Tree::Directory)
    })
}

fn write(tree: &Tree, path: &Path) {
    match tree {
        Tree::File(executable, contents) => {
            fs::write(path, contents).unwrap();
            let mode = if *executable { 0o744 } else { 0o611 };
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        Tree::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Tree::Directory(entries) => {
            fs::create_dir(path).unwrap();
            for (name, node) in entries {
                write(node, &path.join(OsStr::from_bytes(name)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Restored, and added to a store, a tree has the archive that it had; its hash is that
    /// archive's.
    #[test]
    fn restoring_undoes_dumping(tree in any_tree()) {
        let world = World::new();
        let (written, restored) = (world.path("tree"), world.path("restored"));
        write(&tree, &written);
        let bytes = archive(&written);
        let (hash, size) = hash_tree(&written)?;
        prop_assert_eq!((hash, size), (Sha256Hash::of(&bytes), bytes.len() as u64));
        restore(bytes.as_slice(), &restored)?;
        prop_assert_eq!(archive(&restored), bytes.clone());
        let added = world.store.add_tree(&StorePathName::parse("x")?, &written)?;
        prop_assert_eq!((added.nar_hash, added.nar_size), (hash, size));
        prop_assert_eq!(archive(&world.store.physical(&added.path)), bytes);
        prop_assert_eq!(world.store.verify(true)?, []);
    }
}
