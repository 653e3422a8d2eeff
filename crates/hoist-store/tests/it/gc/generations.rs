//! Which generations go.

use std::num::NonZeroU64;
use std::time::Duration;

use hoist_store::{Health, NewGeneration};

use super::*;

/// A profile with generations 1 to `count`, generation N made on day N.
fn generations(world: &World, count: u64) -> Vec<StorePath> {
    let make = |number: u64| {
        let path = world.add_once(&format!("gc: generation {number}"));
        let new = NewGeneration { created_unix: number * DAY, action_key: None };
        let store = world.reopened();
        Profile::open(&store, "app").unwrap().switch(&path, &new).unwrap();
        path
    };
    (1..=count).map(make).collect()
}

const DAY: u64 = 24 * 60 * 60;

fn keep(count: u64) -> Policy {
    Policy { keep: NonZeroU64::new(count), ..Policy::at(NOW) }
}

fn left(world: &World) -> Vec<u64> {
    let generations = Profile::open(&world.store, "app").unwrap().generations().unwrap();
    generations.iter().map(|generation| generation.number).collect()
}

fn removed(collected: &Collected) -> Vec<u64> {
    collected.generations.iter().map(|generation| generation.number).collect()
}

fn sidecars(world: &World) -> Vec<String> {
    names(&world.store.root().join("nix/var/hoist/generations/app"))
}

#[test]
fn old_generations_go_with_their_paths() {
    let world = World::new();
    let paths_of = generations(&world, 4);
    let policy = keep(2);
    let dry = Policy { dry_run: true, ..policy.clone() };
    let foretold = collect_by(&world.store, &dry);
    assert_eq!(left(&world), [1, 2, 3, 4], "a dry run changes nothing");
    assert_eq!(sidecars(&world).len(), 4);

    let collected = collect_by(&world.store, &policy);
    assert_eq!(removed(&collected), [2, 1]);
    assert_eq!(collected.generations[0].path, paths_of[1]);
    assert_eq!(left(&world), [3, 4]);
    assert_eq!(sidecars(&world), ["3.json", "4.json"]);
    let mut gone = paths(&collected);
    gone.sort_by_key(|gone| paths_of.iter().position(|path| path == gone));
    assert_eq!(gone, paths_of[..2]);
    assert_eq!(collected, foretold);
    world.assert_clean();
}

#[test]
fn without_a_policy_no_generation_goes() {
    let world = World::new();
    generations(&world, 3);
    assert_eq!(collect(&world.store).generations, []);
    assert_eq!(left(&world), [1, 2, 3]);
}

#[test]
fn generations_go_by_age() {
    let world = World::new();
    generations(&world, 4);
    let older_than = Some(Duration::from_secs(5 * DAY));
    let policy = Policy { older_than, ..Policy::at(8 * DAY) };
    let collected = collect_by(&world.store, &policy);
    assert_eq!(removed(&collected), [1], "2 was current on day 3");
    assert_eq!(left(&world), [2, 3, 4]);
}

#[test]
fn what_either_rule_keeps_is_kept() {
    let world = World::new();
    generations(&world, 5);
    let older_than = Some(Duration::from_secs(5 * DAY));
    let policy = Policy { older_than, ..keep(2) };
    let policy = |now_unix| Policy { now_unix, dry_run: true, ..policy.clone() };
    assert_eq!(removed(&collect_by(&world.store, &policy(8 * DAY))), [1], "2 was current then");
    assert_eq!(removed(&collect_by(&world.store, &policy(1000 * DAY))), [3, 2, 1]);
}

#[test]
fn a_profile_that_points_nowhere_stays_as_it_is() {
    let world = World::new();
    generations(&world, 3);
    fs::remove_file(world.store.root().join("nix/var/nix/profiles/app")).unwrap();
    assert_eq!(collect_by(&world.store, &keep(1)).generations, []);
}

#[test]
fn the_current_the_last_good_the_pinned_and_the_used_stay() {
    let world = World::new();
    let paths_of = generations(&world, 6);
    let store = world.reopened();
    let profile = Profile::open(&store, "app").unwrap();
    profile.mark(2, Health::Good).unwrap();
    profile.mark(1, Health::Good).unwrap();
    profile.mark(5, Health::Bad).unwrap();
    store.pin(&paths_of[2], "fair").unwrap();
    let mut user = std::process::Command::new("sleep")
        .arg("60")
        .env("HOIST_LIB_PATH", store.physical(&paths_of[3]))
        .spawn()
        .unwrap();
    drop(store);

    let collected = collect_by(&world.store, &keep(1));
    user.kill().unwrap();
    user.wait().unwrap();
    assert_eq!(removed(&collected), [5, 1]);
    assert_eq!(left(&world), [2, 3, 4, 6]);
    world.assert_clean();
}

#[test]
fn a_generation_that_was_rolled_back_to_stays_with_the_newer_ones() {
    let world = World::new();
    generations(&world, 4);
    let store = world.reopened();
    Profile::open(&store, "app").unwrap().rollback(Some(2)).unwrap();
    drop(store);
    let collected = collect_by(&world.store, &keep(1));
    assert_eq!(removed(&collected), [1]);
    assert_eq!(left(&world), [2, 3, 4]);
}

#[test]
fn what_was_known_of_generations_that_are_gone_goes() {
    let world = World::new();
    generations(&world, 2);
    let profiles = world.store.root().join("nix/var/nix/profiles");
    fs::remove_file(profiles.join("app-1-link")).unwrap();
    let unknown = world.store.root().join("nix/var/hoist/generations/other");
    fs::create_dir(&unknown).unwrap();
    fs::write(unknown.join("7.json"), "{}").unwrap();
    collect(&world.store);
    assert_eq!(sidecars(&world), ["2.json"]);
    assert!(!unknown.exists());
    assert_eq!(names(&profiles), ["app", "app-2-link", "per-user"]);
}
