//! Profiles, held against the history of one that Nix switched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use hoist_nix::StorePath;
use hoist_store::{
    Deletion, Health, NewGeneration, Profile, ProfileError, Store, Switched, read_current,
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{World, json, text};

const NEW: NewGeneration = NewGeneration { created_unix: 1_700_000_000, action_key: None };

/// Links by name, with their targets.
type Layout = BTreeMap<String, String>;

fn layout_of(dir: &Path) -> Layout {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let link = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some((
            entry.file_name().into_string().unwrap(),
            target.into_os_string().into_string().unwrap(),
        ))
    };
    entries.filter_map(link).collect()
}

fn layout_in(step: &Value) -> Layout {
    let links = step["layout"].as_array().unwrap().iter();
    links.map(|link| (text(link, "path").to_owned(), text(link, "target").to_owned())).collect()
}

/// Makes the links of a step that hoist has no command for.
fn impose(dir: &Path, wanted: &Layout) {
    let found = layout_of(dir);
    for name in found.keys().filter(|name| found.get(*name) != wanted.get(*name)) {
        fs::remove_file(dir.join(name)).unwrap();
    }
    for (name, target) in wanted.iter().filter(|(name, _)| found.get(*name) != wanted.get(*name)) {
        symlink(target, dir.join(name)).unwrap();
    }
}

/// Registers a path that Nix made, with a file in its place.
fn pretend(store: &Store, path: &str) {
    let parsed = store.dir().parse_path(path).unwrap();
    fs::write(store.physical(&parsed), "").unwrap();
    let database = Connection::open(store.root().join("nix/var/nix/db/db.sqlite")).unwrap();
    let sql = "insert into ValidPaths (path, hash, registrationTime) values (?, ?, 1)";
    let hash = format!("sha256:{}", "0".repeat(64));
    database.execute(sql, [path, &hash]).unwrap();
}

#[test]
fn links_and_numbers_are_those_of_nix_after_every_step() {
    let world = World::new();
    let dir = world.store.root().join("nix/var/nix/profiles");
    let vectors = json("profiles.json");
    for path in vectors["paths"].as_object().unwrap().values() {
        pretend(&world.store, path.as_str().unwrap());
    }
    let mut held = 0;
    for step in vectors["steps"].as_array().unwrap() {
        let command: Vec<&str> = text(step, "command").split(' ').collect();
        let name = command[2].rsplit_once('/').unwrap().1;
        let profile = Profile::open(&world.store, name).unwrap();
        if name == "alias" {
            symlink("prof", dir.join("alias")).unwrap();
        }
        let succeeded = match command[3..] {
            ["--set", path] => {
                let path = world.store.dir().parse_path(path);
                path.is_ok_and(|path| profile.switch(&path, &NEW).is_ok())
            }
            ["--rollback"] => profile.rollback(None).is_ok(),
            ["--switch-generation", number] => {
                number.parse().is_ok_and(|number| profile.rollback(Some(number)).is_ok())
            }
            ["--list-generations"] => {
                impose(&dir, &layout_in(step)); // links of odd names were made by hand
                check_list(&profile, step);
                true
            }
            ["--dry-run", "--delete-generations", argument] => {
                let numbers = profile.deleted_by(&deletion(argument).unwrap()).unwrap();
                check_deleted(&numbers, step);
                true
            }
            ["--delete-generations", argument] => match deletion(argument) {
                Some(which) => {
                    check_deleted(&profile.delete(&which).unwrap(), step);
                    true
                }
                None => false,
            },
            _ => panic!("{command:?} is not known here"),
        };
        held += 1;
        assert_eq!(succeeded, step["exit"] == 0, "{command:?}");
        assert_eq!(layout_of(&dir), layout_in(step), "{command:?}");
    }
    println!("profiles: {held} vectors");
    assert_eq!(held, 42);
}

/// What `nix-env --delete-generations` makes of a word; `None` for one that it refuses.
fn deletion(word: &str) -> Option<Deletion> {
    if word == "old" {
        return Some(Deletion::Old);
    }
    if let Some(keep) = word.strip_prefix('+') {
        return Some(Deletion::Beyond { keep: keep.parse().ok()? });
    }
    if let Some(days) = word.strip_suffix('d') {
        let days: u64 = days.parse().ok().filter(|&days| days > 0)?;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        return Some(Deletion::Before { unix: now - days * 24 * 60 * 60 });
    }
    Some(Deletion::Numbers(vec![word.parse().ok()?]))
}

fn check_deleted(found: &[u64], step: &Value) {
    let number = |line: &str| Some(line.split_once("profile version ")?.1.parse().unwrap());
    let mut wanted: Vec<u64> = text(step, "stderr").lines().filter_map(number).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{step}");
}

/// Nix also lists links whose names it reads leniently; those of the right name are the same.
fn check_list(profile: &Profile<'_>, step: &Value) {
    let layout = layout_in(step);
    let lines = text(step, "stdout").lines().map(|line| {
        let number = line.split_whitespace().next().unwrap();
        (number.parse().unwrap(), line.trim_end().ends_with("(current)"))
    });
    let is_canonical = |(number, _): &(u64, bool)| {
        layout.contains_key(&format!("{}-{number}-link", profile.name()))
    };
    let mut wanted: Vec<(u64, bool)> = lines.filter(is_canonical).collect();
    wanted.dedup();
    let found = profile.generations().unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.number, found.is_current)).collect();
    assert_eq!(found, wanted);
}

fn three_generations(world: &World) -> Vec<StorePath> {
    let profile = Profile::open(&world.store, "app").unwrap();
    ["a", "b", "c"]
        .map(|contents| {
            let path = world.add(contents).path;
            assert!(profile.switch(&path, &NEW).unwrap().created);
            path
        })
        .into()
}

#[test]
fn a_generation_remembers_where_it_came_from() {
    let world = World::new();
    let profile = Profile::open(&world.store, "app").unwrap();
    let path = world.add("a").path;
    let action_key = Some("k".repeat(64));
    let new = NewGeneration { created_unix: 17, action_key: action_key.clone() };
    let switched = profile.switch(&path, &new).unwrap();
    assert_eq!(switched, Switched { number: 1, created: true, previous: None });
    profile.switch(&world.add("b").path, &NEW).unwrap();
    let generations = profile.generations().unwrap();
    assert_eq!((generations[0].created_unix, &generations[0].action_key), (17, &action_key));
    assert_eq!((generations[0].parent, generations[1].parent), (None, Some(1)));
    assert_eq!(generations[1].health, Health::Unknown);
}

#[test]
fn what_is_current_is_not_switched_again() {
    let world = World::new();
    let paths = three_generations(&world);
    let profile = Profile::open(&world.store, "app").unwrap();
    profile.rollback(None).unwrap();
    let again = profile.switch(&paths[1], &NEW).unwrap();
    assert_eq!(again, Switched { number: 2, created: false, previous: Some(2) });
    let newest = profile.switch(&paths[2], &NEW).unwrap();
    assert_eq!(newest, Switched { number: 3, created: false, previous: Some(2) });
    let older = profile.switch(&paths[0], &NEW).unwrap();
    assert_eq!(older, Switched { number: 4, created: true, previous: Some(3) });
}

#[test]
fn rolling_back_passes_over_what_is_marked_bad() {
    let world = World::new();
    let paths = three_generations(&world);
    let profile = Profile::open(&world.store, "app").unwrap();
    profile.mark(2, Health::Bad).unwrap();
    assert_eq!(profile.generations().unwrap()[1].parent, Some(1));
    assert_eq!(profile.rollback(None).unwrap().number, 1);
    assert_eq!(read_current(world.store.root(), "app").unwrap().unwrap().path, paths[0]);
    let refusal = profile.rollback(None).unwrap_err();
    let wanted = "profile `app` has no generation before 1 that is not marked bad";
    assert_eq!(refusal.to_string(), wanted);
    // Named, a bad one is as good as any.
    assert_eq!(profile.rollback(Some(2)).unwrap().number, 2);
}

#[test]
fn generations_without_a_sidecar_are_whole() {
    let world = World::new();
    let paths = three_generations(&world);
    fs::remove_dir_all(world.store.root().join("nix/var/hoist/generations")).unwrap();
    let profile = Profile::open(&world.store, "app").unwrap();
    let generations = profile.generations().unwrap();
    let found: Vec<_> = generations.iter().map(|generation| generation.path.clone()).collect();
    assert_eq!(found, paths);
    assert!(generations[0].created_unix > 1_700_000_000, "the time of the link");
    profile.mark(3, Health::Good).unwrap();
    assert_eq!(profile.current().unwrap().unwrap().health, Health::Good);
}

#[test]
fn the_sidecar_of_another_path_is_not_believed() {
    let world = World::new();
    three_generations(&world);
    let sidecars = world.store.root().join("nix/var/hoist/generations/app");
    fs::copy(sidecars.join("1.json"), sidecars.join("3.json")).unwrap();
    let profile = Profile::open(&world.store, "app").unwrap();
    assert_eq!(profile.current().unwrap().unwrap().parent, None);
    fs::write(sidecars.join("2.json"), "{").unwrap();
    assert_eq!(profile.generations().unwrap().len(), 3);
}

#[test]
fn a_path_that_is_not_in_the_store_is_refused() {
    let world = World::new();
    let path = world.add("a").path;
    let other = World::new();
    let profile = Profile::open(&other.store, "app").unwrap();
    let refusal = profile.switch(&path, &NEW).unwrap_err();
    assert!(matches!(refusal, ProfileError::NotInStore { .. }), "{refusal}");
    assert_eq!(read_current(other.store.root(), "app").unwrap(), None);
}

#[test]
fn a_file_of_the_profiles_name_is_not_overwritten() {
    let world = World::new();
    let path = world.add("a").path;
    let file = world.store.root().join("nix/var/nix/profiles/app");
    fs::write(&file, "precious").unwrap();
    let profile = Profile::open(&world.store, "app").unwrap();
    let refusal = profile.switch(&path, &NEW).unwrap_err();
    assert!(matches!(refusal, ProfileError::NotALink { .. }), "{refusal}");
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn the_current_path_is_found_without_the_database() {
    let world = World::new();
    let paths = three_generations(&world);
    fs::remove_file(world.store.root().join("nix/var/nix/db/db.sqlite")).unwrap();
    let current = read_current(world.store.root(), "app").unwrap().unwrap();
    assert_eq!((current.number, &current.path), (3, &paths[2]));
    assert!(current.physical.join("lib/libx.so").exists());
    assert!(read_current(world.store.root(), "../app").is_err());
}

#[test]
fn switches_at_the_same_time_take_turns() {
    let world = World::new();
    let paths: Vec<_> = (0..6).map(|number| world.add(&number.to_string()).path).collect();
    let root = world.store.root();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(move || {
                let store = Store::open(root).unwrap();
                Profile::open(&store, "app").unwrap().switch(path, &NEW).unwrap();
            });
        }
    });
    let profile = Profile::open(&world.store, "app").unwrap();
    let mut found: Vec<_> =
        profile.generations().unwrap().into_iter().map(|generation| generation.path).collect();
    found.sort();
    let mut wanted = paths.clone();
    wanted.sort();
    assert_eq!(found, wanted);
    assert_eq!(profile.current().unwrap().unwrap().number, 6);
}
