//! Temporary roots, as files that others read, and a collector that is running.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use hoist_store::{Backend, Store};
use rustix::fs::{FlockOperation, flock};

use crate::{World, names};

fn temp_roots(store: &Store) -> PathBuf {
    store.root().join("nix/var/nix/temproots")
}

fn own_name() -> String {
    std::process::id().to_string()
}

#[test]
fn a_temporary_root_is_a_locked_file_until_the_store_is_closed() {
    let world = World::new();
    let (first, second) = (world.add("a").path, world.add("b").path);
    let World { dir: _dir, store } = world;
    let roots = temp_roots(&store);
    for path in [&first, &second, &first] {
        store.add_temp_root(path).unwrap();
    }
    let file = roots.join(own_name());
    let wanted = format!("/nix/store/{first}\0/nix/store/{second}\0");
    assert_eq!(fs::read_to_string(&file).unwrap(), wanted);
    let opened = File::open(&file).unwrap();
    flock(&opened, FlockOperation::NonBlockingLockShared).unwrap_err();

    drop(store);
    assert!(names(&roots).is_empty());
}

#[test]
fn stores_of_one_process_have_files_of_their_own() {
    let world = World::new();
    let path = world.add("a").path;
    let other = Store::open(world.store.root()).unwrap();
    world.store.add_temp_root(&path).unwrap();
    other.add_temp_root(&path).unwrap();
    let roots = temp_roots(&world.store);
    assert_eq!(names(&roots), [own_name(), own_name() + ".2"]);
    drop(other);
    assert_eq!(names(&roots), [own_name()]);
}

#[test]
fn the_file_of_a_dead_process_of_this_number_is_replaced() {
    let world = World::new();
    let path = world.add("a").path;
    let file = temp_roots(&world.store).join(own_name());
    fs::write(&file, "/nix/store/something\0").unwrap();
    world.store.add_temp_root(&path).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("/nix/store/{path}\0"));
}

/// A collector of Nix holds the global lock, and answers over a socket.
#[test]
fn a_running_collector_is_told_and_its_answer_awaited() {
    let world = World::new();
    let (added, other) = (world.add("a").path, world.add("b").path);
    let World { dir: _dir, store } = world;
    let root = store.root().to_owned();
    drop(store); // adding held collections off
    let store = Store::open(&root).unwrap();
    let state = root.join("nix/var/nix");
    let lock = File::options().write(true).open(state.join("gc.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::create_dir(state.join("gc-socket")).unwrap();
    let socket = UnixListener::bind(state.join("gc-socket/socket")).unwrap();

    let told = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let (mut stream, _) = socket.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            // Over one connection: a collector of Nix may not survive many.
            lines.take(2).map(|line| (line.unwrap(), stream.write_all(b"1").unwrap()).0).collect()
        });
        store.add_temp_root(&added).unwrap();
        store.add_temp_root(&other).unwrap();
        collector.join().unwrap()
    });
    let told: Vec<String> = told;
    assert_eq!(told, [added, other].map(|path| format!("/nix/store/{path}")));
}

#[test]
fn a_collector_that_does_not_listen_is_waited_for() {
    let world = World::new();
    let added = world.add("a").path;
    let root = world.store.root().to_owned();
    let World { dir: _dir, store } = world;
    drop(store);
    let lock = File::options().write(true).open(root.join("nix/var/nix/gc.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| Store::open(&root).unwrap().add_temp_root(&added).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(!second.is_finished(), "it waits");
        drop(lock);
        second.join().unwrap();
    });
}
