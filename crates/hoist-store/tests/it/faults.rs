//! Disks that are full or read-only, and users that are not root.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use hoist_nix::StorePathName;
use hoist_store::{
    NewGeneration, Profile, ProfileError, Store, StoreError, TreeError, read_current,
};

use crate::{World, add, child, library, names};

const NEW: NewGeneration = NewGeneration { created_unix: 1_700_000_000, action_key: None };

fn kind(error: &StoreError) -> Option<ErrorKind> {
    match error {
        StoreError::File(error) | StoreError::Tree(TreeError::File(error)) => {
            Some(error.source.kind())
        }
        StoreError::DiskFull { .. } => Some(ErrorKind::StorageFull),
        _ => None,
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if let Some(dir) = child::dir() {
        return on_a_small_disk(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=2m none disk";
    child::run_with_mounts(script, "faults::a_full_disk_leaves_nothing_behind", dir.path());
}

fn on_a_small_disk(dir: &Path) {
    let (root, tree) = (dir.join("disk/root"), dir.join("tree"));
    let store = Store::open_or_create(&root).unwrap();
    let name = StorePathName::parse("x-1").unwrap();
    library(&tree, &"large".repeat(1_000_000));
    let refusal = store.add_tree(&name, &tree).unwrap_err();
    assert_eq!(kind(&refusal), Some(ErrorKind::StorageFull), "{refusal}");
    assert!(refusal.hint().unwrap().contains("free some space"));
    assert_eq!(names(&root.join("nix/store")), [".links"]);

    // Small files, which two threads create: either may be the one that finds no room.
    let many = dir.join("many");
    fs::create_dir(&many).unwrap();
    for index in 0..2000 {
        fs::write(many.join(index.to_string()), vec![7; 4096]).unwrap();
    }
    let refusal = store.add_tree(&name, &many).unwrap_err();
    assert_eq!(kind(&refusal), Some(ErrorKind::StorageFull), "{refusal}");
    assert_eq!(names(&root.join("nix/store")), [".links"]);
    assert_eq!(names(&root.join("nix/var/hoist/tmp")), ["lock"]);
    drop(store);

    // With a little room more each time, another step is the one that fails.
    library(&tree, "small");
    let filler = dir.join("disk/filler");
    let mut refusals = 0;
    for room in (0..).map(|pages| pages * 4096_u64) {
        fill(&filler);
        let size = fs::metadata(&filler).unwrap().len();
        fs::File::options()
            .write(true)
            .open(&filler)
            .unwrap()
            .set_len(size - room.min(size))
            .unwrap();
        // A database that is opened anew has yet to make the files beside it.
        let store = Store::open_or_create(&root).unwrap();
        let added = store.add_tree(&name, &tree);
        fs::remove_file(&filler).unwrap();
        assert_eq!(store.verify(true).unwrap(), []);
        match added {
            Ok(added) => {
                assert!(!added.already_there);
                break;
            }
            Err(refusal) => {
                assert_eq!(kind(&refusal), Some(ErrorKind::StorageFull), "{refusal:?}");
                assert_eq!(names(&root.join("nix/store")), [".links"]);
                refusals += 1;
            }
        }
    }
    assert!(refusals > 2, "{refusals} refusals");
}

fn fill(filler: &Path) {
    let mut file = fs::File::create(filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn a_read_only_store_is_read_and_says_why_it_takes_nothing() {
    if let Some(dir) = child::dir() {
        return on_a_read_only_disk(&dir);
    }
    let world = World::new();
    let added = world.add("contents");
    Profile::open(&world.store, "app").unwrap().switch(&added.path, &NEW).unwrap();
    let script = "mount --bind root root && mount -o remount,bind,ro root";
    let World { dir, store } = world;
    drop(store);
    child::run_with_mounts(
        script,
        "faults::a_read_only_store_is_read_and_says_why_it_takes_nothing",
        dir.path(),
    );
}

fn on_a_read_only_disk(dir: &Path) {
    let root = dir.join("root");
    let store = Store::open_or_create(&root).unwrap();
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(store.verify(true).unwrap(), []);
    assert_eq!(read_current(&root, "app").unwrap().unwrap().path, listed[0].path);

    let tree = dir.join("tree");
    library(&tree, "other");
    let refusal = store.add_tree(&StorePathName::parse("x-1").unwrap(), &tree).unwrap_err();
    assert_eq!(kind(&refusal), Some(ErrorKind::ReadOnlyFilesystem), "{refusal}");
    assert!(refusal.hint().unwrap().starts_with("mount the file system writable"));
    store.hold_off_collection().unwrap();
    let stayed = Profile::open(&store, "app").unwrap().switch(&listed[0].path, &NEW).unwrap();
    assert_eq!((stayed.number, stayed.created), (1, false));
    let refusal = Profile::open(&store, "b").unwrap().switch(&listed[0].path, &NEW).unwrap_err();
    assert!(matches!(&refusal, ProfileError::File(_)), "{refusal}");
}

#[test]
fn a_read_only_store_with_a_log_left_over_is_not_read_by_halves() {
    if let Some(dir) = child::dir() {
        return with_a_log_left_over(&dir);
    }
    let world = World::new();
    world.add("contents");
    let database = world.store.root().join("nix/var/nix/db");
    let log = database.join("db.sqlite-wal");
    let saved = fs::read(&log).unwrap();
    assert!(!saved.is_empty(), "the log is there while the database is open");
    let World { dir, store } = world;
    drop(store);
    fs::write(&log, saved).unwrap();
    let script = "mount --bind root root && mount -o remount,bind,ro root";
    child::run_with_mounts(
        script,
        "faults::a_read_only_store_with_a_log_left_over_is_not_read_by_halves",
        dir.path(),
    );
}

fn with_a_log_left_over(dir: &Path) {
    let refusal = Store::open(&dir.join("root")).unwrap().list().unwrap_err();
    assert!(matches!(refusal, StoreError::DatabaseUnrecovered { .. }), "{refusal:?}");
}

#[test]
fn a_user_without_privileges_has_a_store_as_well() {
    if let Some(dir) = child::dir() {
        return as_a_plain_user(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // The folder that cargo builds in may be closed to other users.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let test = child::command("faults::a_user_without_privileges_has_a_store_as_well", dir.path());
    let mut user = Command::new(program);
    user.args(test.get_args());
    user.envs(test.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if rustix::process::geteuid().is_root() {
        user.uid(65534).gid(65534);
    }
    let output = user.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn as_a_plain_user(dir: &Path) {
    let (root, tree) = (dir.join("root"), dir.join("tree"));
    let store = Store::open_or_create(&root).unwrap();
    library(&tree, "contents");
    let added = add(&store, &tree);
    let path = store.physical(&added.path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o555);

    // A leftover that even its owner cannot move.
    let database = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).unwrap();
    database.execute("delete from ValidPaths", []).unwrap();
    assert!(!add(&store, &tree).already_there);
    assert_eq!(store.verify(true).unwrap(), []);
    assert_eq!(names(&root.join("nix/var/hoist/tmp")), ["lock"]);

    fs::set_permissions(root.join("nix/var/hoist/tmp"), PermissionsExt::from_mode(0o555)).unwrap();
    library(&tree, "other");
    let refusal = store.add_tree(&StorePathName::parse("x-1").unwrap(), &tree).unwrap_err();
    assert_eq!(kind(&refusal), Some(ErrorKind::PermissionDenied), "{refusal:?}");
    assert!(refusal.hint().unwrap().contains("the user that owns the store"));
}

#[test]
fn a_damaged_database_is_said_to_be_damaged() {
    let world = World::new();
    let database = world.store.root().join("nix/var/nix/db/db.sqlite");
    fs::write(&database, "this is no database, and that is long enough to be sure of it").unwrap();
    let refusal = Store::open(world.store.root()).unwrap().list().unwrap_err();
    assert!(matches!(refusal, StoreError::DatabaseCorrupt { .. }), "{refusal:?}");
}
