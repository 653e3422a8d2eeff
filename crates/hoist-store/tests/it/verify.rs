//! A store held against its database, path by path at the same time.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hoist_nix::StorePathName;
use hoist_store::{Problem, VerifyProgress};

use crate::{World, library};

fn add_several(world: &World) -> Vec<hoist_store::Added> {
    let add = |number: usize| {
        let tree = world.path("tree");
        library(&tree, &"contents".repeat(number * 40_000));
        let name = StorePathName::parse(&format!("x-{number}")).unwrap();
        world.store.add_tree(&name, &tree).unwrap()
    };
    (0..12).map(add).collect()
}

#[test]
fn problems_come_in_the_order_of_the_paths() {
    let world = World::new();
    let mut added = add_several(&world);
    added.sort_by(|left, right| left.path.cmp(&right.path));
    for (index, added) in added.iter().enumerate() {
        let file = world.store.physical(&added.path).join("lib/libx.so.1");
        match index % 3 {
            0 => fs::rename(world.store.physical(&added.path), world.path(&format!("{index}"))),
            1 => fs::set_permissions(&file, PermissionsExt::from_mode(0o755))
                .and_then(|()| fs::write(&file, "other"))
                .and_then(|()| fs::set_permissions(&file, PermissionsExt::from_mode(0o555))),
            _ => Ok(()),
        }
        .unwrap();
    }
    let problems = world.store.verify(true).unwrap();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| match problem {
            Problem::Missing { path } => (path, "missing"),
            Problem::Modified { path, .. } => (path, "modified"),
            other => panic!("{other}"),
        })
        .collect();
    let wanted = |(index, added): (usize, _)| match index % 3 {
        0 => Some((added, "missing")),
        1 => Some((added, "modified")),
        _ => None,
    };
    let paths = added.iter().map(|added| &added.path);
    assert_eq!(found, paths.enumerate().filter_map(wanted).collect::<Vec<_>>());
}

#[test]
fn progress_goes_up_to_the_whole() {
    let world = World::new();
    let bytes = add_several(&world).iter().map(|added| added.nar_size).sum();
    let mut seen = Vec::new();
    assert_eq!(world.store.verify_with(true, |progress| seen.push(progress)).unwrap(), []);
    assert_eq!(seen.len(), 12);
    assert!(seen.is_sorted_by_key(|progress| (progress.paths, progress.bytes)));
    let whole = VerifyProgress { paths: 12, paths_total: 12, bytes, bytes_total: bytes };
    assert_eq!(seen.last(), Some(&whole));
}

#[test]
fn a_file_that_may_be_written_is_told_and_is_no_damage() {
    let world = World::new();
    let added = world.add("contents");
    let root = world.store.physical(&added.path);
    let file = root.join("empty");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let problems = world.store.verify(true).unwrap();
    let wanted = format!(
        "`{}` has the registered contents, but `{}` has mode 0755, wanted 0555",
        added.path,
        file.display()
    );
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    assert!(!problems[0].is_damage());

    fs::set_permissions(&file, PermissionsExt::from_mode(0o555)).unwrap();
    assert_eq!(world.store.verify(false).unwrap(), []);
}
