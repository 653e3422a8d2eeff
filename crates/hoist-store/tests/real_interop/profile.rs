//! Profiles of both, in one folder.

use std::num::NonZeroU64;

use hoist_store::{Deletion, NewGeneration, Profile};

use crate::closure::{add, closure, print};
use crate::{World, with_each_nix};

fn nix_env(world: &World, args: &[&str]) -> String {
    let link = world.path("ours/nix/var/nix/profiles/app");
    let mut all = vec!["--profile", link.to_str().unwrap()];
    all.extend(args);
    world.run("ours", "nix-env", &all).0
}

/// Numbers that Nix lists; the current one is marked.
fn listed(world: &World) -> Vec<(u64, bool)> {
    let lines = nix_env(world, &["--list-generations"]);
    let number = |line: &str| {
        let number = line.split_whitespace().next().unwrap().parse().unwrap();
        (number, line.trim_end().ends_with("(current)"))
    };
    lines.lines().map(number).collect()
}

#[test]
fn both_switch_and_delete_generations_of_one_profile() {
    with_each_nix(|world| {
        let items = closure();
        let store = world.open("ours");
        add(&store, &items);
        let profile = Profile::open(&store, "app").unwrap();
        let new = NewGeneration { created_unix: 1_700_000_000, action_key: None };
        for item in &items {
            profile.switch(&item.new.path, &new).unwrap();
        }
        let ours = || -> Vec<(u64, bool)> {
            let generations = profile.generations().unwrap();
            generations.iter().map(|it| (it.number, it.is_current)).collect()
        };
        assert_eq!(listed(world), ours());
        nix_env(world, &["--switch-generation", "3"]);
        assert_eq!(profile.current().unwrap().unwrap().path, items[2].new.path);
        nix_env(world, &["--delete-generations", "1"]);
        assert_eq!(profile.deleted_by(&Deletion::Numbers(vec![1])).unwrap(), [] as [u64; 0]);
        nix_env(world, &["--set", &print(&items[0].new.path)]);
        assert_eq!(ours(), [(2, false), (3, false), (4, false), (5, false), (6, true)]);

        let keep = NonZeroU64::new(3).unwrap();
        assert_eq!(profile.delete(&Deletion::Beyond { keep }).unwrap(), [2, 3]);
        assert_eq!(listed(world), ours());
        nix_env(world, &["--rollback"]);
        assert_eq!(ours(), [(4, false), (5, true), (6, false)]);
        assert_eq!(profile.delete(&Deletion::Old).unwrap(), [4, 6]);
        assert_eq!(listed(world), [(5, true)]);
        profile.delete(&Deletion::Numbers(vec![5])).unwrap_err();
    });
}
