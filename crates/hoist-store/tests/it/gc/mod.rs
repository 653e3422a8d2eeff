//! Collecting garbage.

mod beside;
mod disk;
mod generations;
mod kill;
mod roots;

use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::{Sha256Hash, StorePath};
use hoist_store::{
    Backend, Collected, GcError, GcEvent, NewGeneration, NewPath, Policy, Profile, Store, Trust,
    dump,
};

use crate::{World, names};

const NOW: u64 = 1_700_000_000;

fn collect(store: &Store) -> Collected {
    collect_by(store, &Policy::at(NOW))
}

fn try_out(store: &Store) -> Collected {
    collect_by(store, &Policy { dry_run: true, ..Policy::at(NOW) })
}

fn collect_by(store: &Store, policy: &Policy) -> Collected {
    let mut collected = store.collect_garbage(policy, &mut |_| ()).unwrap();
    collected.unreadable_processes = 0; // those of the machine come and go
    collected
}

fn paths(collected: &Collected) -> Vec<StorePath> {
    collected.paths.iter().map(|path| path.path.clone()).collect()
}

fn registered(store: &Store) -> Vec<StorePath> {
    store.list().unwrap().into_iter().map(|info| info.path).collect()
}

fn switch(store: &Store, profile: &str, path: &StorePath) -> u64 {
    let new = NewGeneration { created_unix: NOW, action_key: None };
    Profile::open(store, profile).unwrap().switch(path, &new).unwrap().number
}

impl World {
    /// The store, opened by a process that has not added anything yet.
    fn reopened(&self) -> Store {
        Store::open(self.store.root()).unwrap()
    }

    /// Adds one small path, by a store that is closed again. No other test has that path: a process
    /// that uses it there would keep it here.
    fn add_once(&self, contents: &str) -> StorePath {
        let tree = self.path("tree");
        fs::write(&tree, format!("{contents} of {}", tree.display())).unwrap();
        let name = hoist_nix::StorePathName::parse("x").unwrap();
        self.reopened().add_tree(&name, &tree).unwrap().path
    }

    /// Adds a path that refers to others, by a store that is closed again.
    fn add_referring(&self, name: &str, references: &[&StorePath]) -> StorePath {
        let tree = self.path("tree");
        fs::write(&tree, name).unwrap();
        let mut nar = Vec::new();
        dump(&tree, &mut nar).unwrap();
        let hash = Sha256Hash::of(name.as_bytes()).base16();
        let digits: String = hash.chars().filter(|digit| *digit != 'e').take(32).collect();
        let new = NewPath {
            path: StorePath::parse(&format!("{digits}-{name}")).unwrap(),
            nar_hash: Sha256Hash::of(&nar),
            nar_size: nar.len().try_into().unwrap(),
            deriver: None,
            references: references.iter().map(|path| (*path).clone()).collect(),
            signatures: Vec::new(),
            content_address: None,
        };
        self.reopened().add_nar(&new, &mut nar.as_slice(), Trust::Caller).unwrap();
        new.path
    }

    fn store_dir(&self) -> PathBuf {
        self.store.root().join("nix/store")
    }

    /// Asserts that the store is as its database says, and nothing lies around.
    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(self.reopened().verify(true).unwrap(), []);
        let mut expected: Vec<_> =
            registered(&self.store).iter().map(ToString::to_string).collect();
        expected.insert(0, ".links".to_owned());
        assert_eq!(names(&self.store_dir()), expected);
        assert_eq!(trash(self.store.root()), [""; 0]);
        let tmp = self.store.root().join("nix/var/hoist/tmp");
        if tmp.exists() {
            assert_eq!(names(&tmp), ["lock"]);
        }
    }
}

fn trash(root: &Path) -> Vec<String> {
    let dir = root.join("nix/var/hoist/trash");
    if dir.exists() { names(&dir) } else { Vec::new() }
}

#[test]
fn what_no_root_leads_to_goes() {
    let world = World::new();
    let (kept, gone) = (world.add_once("gc: kept"), world.add_once("gc: gone"));
    switch(&world.reopened(), "app", &kept);

    let foretold = try_out(&world.store);
    assert_eq!(registered(&world.store).len(), 2, "a dry run changes nothing");
    assert!(world.store.physical(&gone).exists());

    let collected = collect(&world.store);
    assert_eq!(paths(&collected), [gone]);
    assert_eq!((collected.kept, collected.roots), (1, 1));
    assert!((120..200).contains(&collected.nar_size()), "{}", collected.nar_size());
    assert_eq!(collected, foretold);
    assert_eq!(registered(&world.store), [kept]);
    world.assert_clean();

    assert_eq!(collect(&world.store), Collected { kept: 1, roots: 1, ..Collected::default() });
}

#[test]
fn what_a_root_needs_stays_and_the_rest_goes_in_order() {
    let world = World::new();
    let leaf = world.add_referring("gc-leaf", &[]);
    let middle = world.add_referring("gc-middle", &[&leaf]);
    let top = world.add_referring("gc-top", &[&middle, &leaf]);
    let other = world.add_referring("gc-other", &[&middle]);
    world.reopened().pin(&top, "top").unwrap();
    assert_eq!(paths(&collect(&world.store)), [other]);
    assert_eq!(registered(&world.store).len(), 3);

    world.store.unpin("top").unwrap();
    let collected = collect(&world.store);
    assert_eq!(paths(&collected), [top, middle, leaf]);
    assert_eq!(registered(&world.store), []);
    world.assert_clean();
}

#[test]
fn a_limit_ends_a_collection_before_all_is_gone() {
    let world = World::new();
    let leaf = world.add_referring("gc-limit-leaf", &[]);
    let top = world.add_referring("gc-limit-top", &[&leaf]);
    let policy = Policy { max_freed: Some(1), ..Policy::at(NOW) };
    assert_eq!(paths(&collect_by(&world.store, &policy)), [top]);
    assert_eq!(registered(&world.store), [leaf]);
    assert_eq!(world.store.verify(true).unwrap(), []);
}

#[test]
fn what_is_not_registered_goes_unless_it_is_locked() {
    let world = World::new();
    let kept = world.add_once("gc: beside leftovers");
    world.reopened().pin(&kept, "kept").unwrap();
    let dir = world.store_dir();
    let leftover = "00000000000000000000000000000000-leftover";
    let being_made = "11111111111111111111111111111111-being-made";
    for folder in ["stray/a/b", leftover, being_made, "tmp-4711", "tmp-locked", "trash"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let pid = std::process::id();
    fs::create_dir(dir.join(format!("add-{pid}-0"))).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("pipe"), 0o600.into()).unwrap();
    let old_lock = "22222222222222222222222222222222-gone.lock";
    fs::write(dir.join(old_lock), "").unwrap();
    let named_like_a_lock = "33333333333333333333333333333333-Cargo.lock";
    fs::write(dir.join(named_like_a_lock), "version = 4\n").unwrap();
    let lock = fs::File::create(dir.join(format!("{being_made}.lock"))).unwrap();
    let folder = fs::File::open(dir.join("tmp-locked")).unwrap();
    lock.lock().unwrap();
    folder.lock().unwrap();

    let expected =
        [leftover, old_lock, named_like_a_lock, "link", "pipe", "stray", "tmp-4711", "trash"];
    assert_eq!(try_out(&world.store).leftovers, expected);
    assert!(dir.join(old_lock).exists(), "a dry run changes nothing");
    let collected = collect(&world.store);
    assert_eq!(collected.leftovers, expected);
    assert_eq!(collected.stuck, [""; 0]);
    let mut left = vec![
        ".links".to_owned(),
        being_made.to_owned(),
        format!("{being_made}.lock"),
        kept.to_string(),
        format!("add-{pid}-0"),
        "tmp-locked".to_owned(),
    ];
    left.sort();
    assert_eq!(names(&dir), left);
    drop((lock, folder));
    collect(&world.store);
    fs::remove_dir(dir.join(format!("add-{pid}-0"))).unwrap();
    world.assert_clean();
}

#[test]
fn what_a_killed_collection_left_goes_with_the_next_one() {
    let world = World::new();
    let left = world.store.root().join("nix/var/hoist/trash/gc-killed/0/a");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("file"), vec![1; 100_000]).unwrap();
    let half_added = world.store.root().join("nix/var/hoist/tmp/add-killed/tree");
    fs::create_dir_all(&half_added).unwrap();
    fs::write(world.store.root().join("nix/var/hoist/tmp/lock"), "").unwrap();
    fs::write(half_added.join("file"), vec![1; 100_000]).unwrap();

    let foretold = try_out(&world.store);
    assert!(left.exists() && half_added.exists());
    let collected = collect(&world.store);
    assert!(collected.freed >= 200_000, "{}", collected.freed);
    assert_eq!(collected, foretold);
    world.assert_clean();
}

#[test]
fn who_adds_does_not_wait_for_himself() {
    let world = World::new();
    world.add("gc: by the collector itself");
    let refusal = world.store.collect_garbage(&Policy::at(NOW), &mut |_| ()).unwrap_err();
    assert!(matches!(refusal, GcError::Adding), "{refusal:?}");
}
