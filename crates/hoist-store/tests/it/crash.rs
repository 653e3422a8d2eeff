//! Processes that are killed.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use hoist_nix::Sha256Hash;
use hoist_store::{NewGeneration, Problem, Profile, Store};

use crate::{add, child, library, names};

const KILLS: u64 = 100;

/// Whatever the moment, all that is registered is whole, the profile points to a whole generation,
/// and the next process goes on.
#[test]
fn a_killed_adder_leaves_the_old_state_or_the_new_one() {
    if let Some(dir) = child::dir() {
        return adds_and_switches(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let (mut kills, mut leftovers, mut paths) = (0_u64, 0, 0);
    // On a busy machine most of them are killed before they have done anything.
    while kills < KILLS || (paths <= 10 && kills < 20 * KILLS) {
        kills += 1;
        let mut adder =
            child::command("crash::a_killed_adder_leaves_the_old_state_or_the_new_one", dir.path())
                .spawn()
                .unwrap();
        // Spread over the start of a process, the making of the store and several additions.
        let spread = Sha256Hash::of(&kills.to_le_bytes()).0;
        let micros = u64::from(u16::from_le_bytes([spread[0], spread[1]]));
        sleep(Duration::from_micros(micros));
        adder.kill().unwrap();
        adder.wait().unwrap();

        let store = Store::open_or_create(&root).unwrap();
        let problems = store.verify(true).unwrap();
        assert!(!problems.iter().any(Problem::is_damage), "{problems:?}");
        leftovers += problems.len();
        paths = store.list().unwrap().len();
        let profile = Profile::open(&store, "app").unwrap();
        if let Some(current) = profile.current().unwrap() {
            assert!(store.path_info(&current.path).unwrap().is_some());
        }
        for generation in profile.generations().unwrap() {
            assert!(store.path_info(&generation.path).unwrap().is_some());
        }
    }
    // The next addition removes what the killed ones left.
    let store = Store::open(&root).unwrap();
    library(&dir.path().join("tree"), "the last");
    add(&store, &dir.path().join("tree"));
    assert_eq!(store.verify(true).unwrap(), []);
    assert_eq!(names(&root.join("nix/var/hoist/tmp")), ["lock"]);
    assert!(paths > 10, "the adders got somewhere");
    println!("{kills} kills, {paths} paths added, {leftovers} leftovers seen");
}

fn adds_and_switches(dir: &Path) {
    let tree = dir.join(format!("tree-{}", std::process::id()));
    for round in 0.. {
        let store = Store::open_or_create(&dir.join("root")).unwrap();
        library(&tree, &format!("{round} of {}", std::process::id()));
        let added = add(&store, &tree);
        let new = NewGeneration { created_unix: round, action_key: None };
        Profile::open(&store, "app").unwrap().switch(&added.path, &new).unwrap();
        fs::remove_dir_all(&tree).unwrap();
    }
}
