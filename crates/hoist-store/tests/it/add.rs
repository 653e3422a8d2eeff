//! Adding trees.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use hoist_nix::StorePathName;
use hoist_store::{Problem, Store, StoreError, hash_tree};
use rusqlite::Connection;
use rustix::fs::{XattrFlags, llistxattr, setxattr};
use rustix::io::Errno;

use crate::{World, add, library, names};

#[test]
fn an_added_tree_is_canonical() {
    let world = World::new();
    let tree = world.path("tree");
    library(&tree, "contents");
    fs::set_permissions(tree.join("lib"), PermissionsExt::from_mode(0o2775)).unwrap();
    fs::set_permissions(tree.join("lib/libx.so.1"), PermissionsExt::from_mode(0o6710)).unwrap();
    let path = world.store.physical(&add(&world.store, &tree).path);
    let modes = [("", 0o555), ("lib", 0o555), ("empty", 0o555), ("lib/libx.so.1", 0o555)];
    for (file, wanted) in modes {
        let metadata = fs::symlink_metadata(path.join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, wanted, "{file}");
        assert_eq!(metadata.mtime(), 1, "{file}");
    }
    assert_eq!(fs::symlink_metadata(path.join("lib/libx.so")).unwrap().mtime(), 1);
}

#[test]
fn an_added_tree_inherits_no_access_list() {
    let world = World::new();
    world.add("makes the folders");
    let area = world.store.root().join("nix/var/hoist/tmp");
    // All that is made in it can be written by user 1000, as far as its mode allows.
    let entries = [(1, 7, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (16, 7, u32::MAX)];
    let entries = entries.into_iter().chain([(32, 5, u32::MAX)]);
    let words = entries.flat_map(|(tag, permissions, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    let list: Vec<u8> = [2, 0, 0, 0].into_iter().chain(words).collect();
    let set = setxattr(&area, "system.posix_acl_default", &list, XattrFlags::empty());
    if set == Err(Errno::OPNOTSUPP) {
        eprintln!("NOT CHECKED: the temporary folder's file system has no access lists");
        return;
    }
    set.unwrap();
    let path = world.store.physical(&world.add("contents").path);
    for file in ["", "lib", "empty", "lib/libx.so.1", "lib/libx.so"] {
        let mut names = [0; 4096];
        let len = llistxattr(path.join(file), &mut names[..]).unwrap();
        let names = String::from_utf8_lossy(&names[..len]);
        assert!(!names.contains("posix_acl"), "{file} has {names:?}");
    }
}

#[test]
fn a_file_without_the_owners_bit_is_not_executable() {
    let world = World::new();
    let file = world.path("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o655)).unwrap();
    let added = add(&world.store, &file);
    let metadata = fs::metadata(world.store.physical(&added.path)).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o7777, metadata.mtime()), (0o444, 1));
}

#[test]
fn the_store_knows_what_was_added() {
    let world = World::new();
    let added = world.add("contents");
    let info = world.store.path_info(&added.path).unwrap().unwrap();
    assert_eq!((info.nar_hash, info.nar_size), (added.nar_hash, Some(added.nar_size)));
    assert_eq!(info.content_address, Some(format!("fixed:r:{}", added.nar_hash)));
    assert_eq!(hash_tree(&world.store.physical(&added.path)).unwrap().0, added.nar_hash);
    assert_eq!(world.store.list().unwrap(), [info]);
    assert_eq!(world.store.verify(true).unwrap(), []);
    assert_eq!(world.names(), [".links", added.path.as_str()]);
    assert_eq!(names(&world.store.root().join("nix/var/hoist/tmp")), ["lock"]);
}

#[test]
fn the_same_tree_is_added_once() {
    let world = World::new();
    let first = world.add("contents");
    let again = world.add("contents");
    assert!(!first.already_there && again.already_there);
    assert_eq!(first.path, again.path);
    assert_ne!(world.add("other").path, first.path);
}

#[test]
fn adding_again_what_is_there_writes_nothing() {
    let world = World::new();
    world.add("contents");
    let temp = world.store.root().join("nix/var/hoist/tmp");
    let changed = || fs::metadata(&temp).map(|found| (found.ctime(), found.ctime_nsec()));
    let before = changed().unwrap();
    assert!(world.add("contents").already_there);
    assert_eq!(changed().unwrap(), before, "a copy was made");
}

/// As after a kill between registering a tree and removing the folder that it was made in.
#[test]
fn who_finds_a_tree_there_removes_what_a_crash_left() {
    let world = World::new();
    world.add("contents");
    let temp = world.store.root().join("nix/var/hoist/tmp");
    let [dead, alive] = ["add-dead", "add-alive"].map(|name| temp.join(name));
    fs::create_dir_all(dead.join("sub")).unwrap();
    fs::create_dir(&alive).unwrap();
    let owner = fs::File::open(&alive).unwrap();
    owner.lock().unwrap();
    assert!(world.add("contents").already_there);
    assert_eq!(names(&temp), ["add-alive", "lock"]);
}

#[test]
fn adders_of_one_tree_meet() {
    let world = World::new();
    let tree = world.path("tree");
    library(&tree, "contents");
    let root = world.store.root();
    let add_it = || add(&Store::open(root).unwrap(), &tree).already_there;
    let there: Vec<bool> = std::thread::scope(|scope| {
        let adders: Vec<_> = (0..8).map(|_| scope.spawn(add_it)).collect();
        adders.into_iter().map(|adder| adder.join().unwrap()).collect()
    });
    assert_eq!(there.iter().filter(|there| !**there).count(), 1);
    assert_eq!(world.store.verify(true).unwrap(), []);
    assert_eq!(world.names().len(), 2);
}

#[test]
fn what_a_crash_left_is_replaced_and_never_trusted() {
    let world = World::new();
    let added = world.add("contents");
    let path = world.store.physical(&added.path);
    forget(&world);
    make_writable(&path);
    fs::write(path.join("lib/libx.so.1"), "tampered").unwrap();
    let unregistered = Problem::Unregistered { name: added.path.to_string() };
    assert_eq!(world.store.verify(false).unwrap(), [unregistered]);

    assert!(!world.add("contents").already_there);
    assert_eq!(fs::read_to_string(path.join("lib/libx.so.1")).unwrap(), "contents");
    assert_eq!(world.store.verify(true).unwrap(), []);
}

#[test]
fn what_was_registered_and_lost_is_added_again() {
    let world = World::new();
    let added = world.add("contents");
    make_writable(&world.store.physical(&added.path));
    fs::remove_dir_all(world.store.physical(&added.path)).unwrap();
    assert_eq!(world.store.verify(false).unwrap(), [Problem::Missing { path: added.path }]);
    assert!(!world.add("contents").already_there);
    assert_eq!(world.store.verify(true).unwrap(), []);
}

#[test]
fn a_changed_file_is_found() {
    let world = World::new();
    let added = world.add("contents");
    let path = world.store.physical(&added.path);
    make_writable(&path);
    fs::write(path.join("lib/libx.so.1"), "tampered").unwrap();
    assert_eq!(world.store.verify(false).unwrap(), []);
    let found = hash_tree(&path).unwrap().0;
    let expected = added.nar_hash;
    assert_eq!(
        world.store.verify(true).unwrap(),
        [Problem::Modified { path: added.path, expected, found }]
    );
}

#[test]
fn a_pipe_in_the_tree_is_refused_by_name() {
    let world = World::new();
    let tree = world.path("tree");
    library(&tree, "contents");
    let mode = rustix::fs::Mode::RWXU;
    let pipe = tree.join("lib/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let name = StorePathName::parse("x").unwrap();
    let refusal = world.store.add_tree(&name, &tree).unwrap_err();
    let wanted =
        format!("`{}` is a named pipe, wanted a file, a directory or a symlink", pipe.display());
    assert_eq!(refusal.to_string(), wanted);
    assert_eq!(world.names(), [".links"]);
    assert_eq!(names(&world.store.root().join("nix/var/hoist/tmp")), ["lock"]);
}

#[test]
fn a_derivation_name_is_refused() {
    let world = World::new();
    let name = StorePathName::parse("x.drv").unwrap();
    let refusal = world.store.add_tree(&name, Path::new("/nowhere")).unwrap_err();
    assert!(matches!(refusal, StoreError::DerivationName { .. }), "{refusal}");
}

#[test]
fn a_tree_that_is_not_there_is_named() {
    let world = World::new();
    let name = StorePathName::parse("x").unwrap();
    let refusal = world.store.add_tree(&name, Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(refusal.to_string(), "cannot read `/nowhere/at/all`");
}

/// Takes all rows out of the database, as if no path had been registered.
fn forget(world: &World) {
    let database = Connection::open(world.store.root().join("nix/var/nix/db/db.sqlite")).unwrap();
    database.execute("delete from ValidPaths", []).unwrap();
}

fn make_writable(path: &Path) {
    for dir in [path.to_owned(), path.join("lib"), path.join("empty"), path.join("lib/libx.so.1")] {
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
