//! What is a root.

use std::os::unix::fs::symlink;

use hoist_store::{Root, RootKind};

use super::*;

fn kinds(store: &Store, path: &StorePath) -> Vec<RootKind> {
    let roots = store.roots().unwrap().roots.into_iter();
    roots.filter(|root| root.path == *path).map(|root| root.kind).collect()
}

#[test]
fn pins_keep_until_they_are_removed() {
    let world = World::new();
    let (path, other) = (world.add_once("gc: pinned"), world.add_once("gc: not pinned"));
    let store = world.reopened();
    assert!(!store.pin(&path, "fair").unwrap());
    assert!(store.pin(&path, "fair").unwrap(), "it was there");
    let refusal = store.pin(&other, "fair").unwrap_err();
    assert!(matches!(refusal, GcError::PinTaken { .. }), "{refusal:?}");
    assert!(matches!(store.pin(&other, "a/b").unwrap_err(), GcError::PinName { .. }));
    let link = store.root().join("nix/var/nix/gcroots/hoist/fair");
    assert_eq!(fs::read_link(link).unwrap(), Path::new(&store.dir().print(&path)));
    drop(store);

    collect(&world.store);
    assert_eq!(registered(&world.store), std::slice::from_ref(&path));
    let missing = world.store.pin(&other, "other").unwrap_err();
    assert_eq!(missing.to_string(), format!("store path `{other}` is not in the store"));

    let pins = world.store.pins().unwrap();
    assert_eq!((pins.len(), pins[0].name.as_str(), &pins[0].path), (1, "fair", &path));
    assert_eq!(kinds(&world.store, &path), [RootKind::Pin { name: "fair".to_owned() }]);
    assert_eq!(world.store.unpin("fair").unwrap(), pins[0]);
    assert!(matches!(world.store.unpin("fair").unwrap_err(), GcError::NoPin { .. }));
    assert!(matches!(world.store.unpin("../auto").unwrap_err(), GcError::NoPin { .. }));
    collect(&world.store);
    assert_eq!(registered(&world.store), []);
}

#[test]
fn a_link_anywhere_keeps_as_long_as_it_is_there() {
    let world = World::new();
    let path = world.add_once("gc: by a link");
    let link = world.path("result");
    world.reopened().add_root(&link, &path).unwrap();
    collect(&world.store);
    assert_eq!(registered(&world.store), std::slice::from_ref(&path));
    let auto = world.store.root().join("nix/var/nix/gcroots/auto");
    let through = auto.join(&names(&auto)[0]);
    assert_eq!(
        kinds(&world.store, &path),
        [RootKind::Indirect { link: link.clone(), through: through.clone() }]
    );

    fs::remove_file(&link).unwrap();
    assert_eq!(world.store.roots().unwrap().stale, std::slice::from_ref(&through));
    assert_eq!(try_out(&world.store).stale_roots, std::slice::from_ref(&through));
    assert_eq!(names(&auto).len(), 1, "a dry run changes nothing");
    assert_eq!(collect(&world.store).stale_roots, [through]);
    assert_eq!(names(&auto), [""; 0]);
    assert_eq!(registered(&world.store), []);
}

#[test]
fn roots_may_be_links_deep_down_links_into_paths_and_files() {
    let world = World::new();
    let paths: Vec<_> = (0..5).map(|n| world.add_once(&format!("gc: root {n}"))).collect();
    let gcroots = world.store.root().join("nix/var/nix/gcroots");
    let print = |path: &StorePath| world.store.dir().print(path);
    fs::create_dir_all(gcroots.join("a/b")).unwrap();
    symlink(print(&paths[0]), gcroots.join("a/b/deep")).unwrap();
    symlink(format!("{}/lib/x.so", print(&paths[1])), gcroots.join("into")).unwrap();
    fs::write(gcroots.join(paths[2].as_str()), "").unwrap();
    symlink(world.store.physical(&paths[3]), gcroots.join("physical")).unwrap();
    // What leads nowhere, to no link or in a circle is no root, and no error.
    symlink("circle", gcroots.join("circle")).unwrap();
    symlink("/nowhere/at/all", gcroots.join("nowhere")).unwrap();
    symlink(world.path(""), gcroots.join("folder")).unwrap();
    fs::write(gcroots.join("notes"), "").unwrap();
    symlink("/nix/store/../../etc", gcroots.join("out")).unwrap();

    let collected = collect(&world.store);
    assert_eq!(super::paths(&collected), paths[4..]);
    assert_eq!((collected.roots, collected.stale_roots.len()), (4, 0));
}

#[test]
fn an_open_store_keeps_what_it_asked_for() {
    let world = World::new();
    let path = world.add_once("gc: for now");
    let asking = world.reopened();
    asking.add_temp_root(&path).unwrap();
    collect(&world.store);
    let pid = std::process::id();
    assert_eq!(kinds(&world.store, &path), [RootKind::Temporary { pid }]);
    drop(asking);
    assert_eq!(paths(&collect(&world.store)), [path]);
}

#[test]
fn files_of_dead_processes_keep_nothing_and_go() {
    let world = World::new();
    let path = world.add_once("gc: of the dead");
    let dir = world.store.root().join("nix/var/nix/temproots");
    let text = format!("{}\0", world.store.dir().print(&path));
    for name in ["999999", "999999.2", ".keep", "notes"] {
        fs::write(dir.join(name), &text).unwrap();
    }
    assert_eq!(try_out(&world.store).stale_roots.len(), 2);
    assert_eq!(names(&dir).len(), 4, "a dry run changes nothing");
    let collected = collect(&world.store);
    assert_eq!(paths(&collected), [path]);
    assert_eq!(names(&dir), [".keep", "notes"]);
}

/// While it is made, a path is on disk and not registered.
#[test]
fn what_is_about_to_be_registered_stays_with_what_lies_beside_it() {
    let world = World::new();
    let path = StorePath::parse("44444444444444444444444444444444-soon").unwrap();
    let making = world.reopened();
    making.add_temp_root(&path).unwrap();
    for beside in ["", ".lock", ".chroot"] {
        fs::create_dir(world.store_dir().join(format!("{path}{beside}"))).unwrap();
    }
    assert_eq!(collect(&world.store).leftovers, [""; 0]);
    drop(making);
    assert_eq!(collect(&world.store).leftovers.len(), 3);
    world.assert_clean();
}

#[test]
fn a_generation_of_an_unregistered_path_keeps_it_from_being_removed() {
    let world = World::new();
    let path = world.add_once("gc: forgotten");
    switch(&world.reopened(), "app", &path);
    let database = world.store.root().join("nix/var/nix/db/db.sqlite");
    let database = rusqlite::Connection::open(database).unwrap();
    database.execute("delete from ValidPaths", []).unwrap();
    assert_eq!(collect(&world.store).leftovers, [""; 0]);
    assert!(world.store.physical(&path).exists());
}

#[test]
fn what_a_process_maps_stays() {
    let world = World::new();
    let sleep = world.path("tree");
    fs::copy("/bin/sleep", &sleep).unwrap();
    let name = hoist_nix::StorePathName::parse("gc-sleep").unwrap();
    let path = world.reopened().add_tree(&name, &sleep).unwrap().path;
    let mut process =
        std::process::Command::new(world.store.physical(&path)).arg("60").spawn().unwrap();
    assert_eq!(collect(&world.store).paths, []);
    let roots = world.store.roots().unwrap().roots;
    let of_process = |root: &Root| match &root.kind {
        RootKind::Process { pid, file, .. } => Some((*pid, *file)),
        _ => None,
    };
    let found: Vec<_> = roots.iter().filter_map(of_process).collect();
    assert_eq!(found, [(process.id(), "exe")]);
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(paths(&collect(&world.store)), [path]);
}
