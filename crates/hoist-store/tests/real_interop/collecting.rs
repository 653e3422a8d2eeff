//! Nix's collector on a store that hoist has open.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use hoist_store::{Backend, Store};

use crate::closure::{Item, add, closure, print, signed};
use crate::{World, with_each_nix};

fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.new.path.name()).collect()
}

fn valid(store: &Store) -> Vec<String> {
    let mut names: Vec<_> =
        store.list().unwrap().iter().map(|info| info.path.name().to_owned()).collect();
    names.sort();
    names
}

/// Tells so when it is dropped, in a panic too.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn collect(world: &World) {
    world.run("ours", "nix-store", &["--gc"]);
}

#[test]
fn what_an_open_store_keeps_is_not_collected() {
    with_each_nix(|world| {
        let items = closure();
        add(&world.open("ours"), &items);
        let store = world.open("ours");
        store.add_temp_root(&items[3].new.path).unwrap(); // the library
        collect(world);
        assert_eq!(valid(&store), ["library", "text", "tree"], "{}", world.nix);
        assert_eq!(store.verify(true).unwrap(), []);
        drop(store);
        collect(world);
        assert!(valid(&world.open("ours")).is_empty());
    });
}

#[test]
fn what_an_open_store_added_is_not_collected() {
    with_each_nix(|world| {
        let items = closure();
        let store = world.open("ours");
        add(&store, &items);
        collect(world);
        let mut wanted = names(&items);
        wanted.sort_unstable();
        assert_eq!(valid(&store), wanted, "{}", world.nix);
    });
}

#[test]
fn a_root_anywhere_is_found_by_the_name_that_nix_gives_it() {
    with_each_nix(|world| {
        let items = closure();
        let store = world.open("ours");
        add(&store, &items);
        let (ours, theirs) = (world.path("results/ours"), world.path("results/theirs"));
        store.add_root(&ours, &items[3].new.path).unwrap();
        let auto = world.path("ours").join("nix/var/nix/gcroots/auto");
        let listed = || -> Vec<_> {
            let mut names: Vec<_> =
                fs::read_dir(&auto).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let made_by_us = listed();
        drop(store);

        // The same link, made by Nix, is the same root.
        let program = print(&items[4].new.path);
        let library = print(&items[3].new.path);
        let add_root = |link: &Path, path: &str| {
            let link = link.to_str().unwrap();
            world.run("ours", "nix-store", &["--realise", path, "--add-root", link, "--indirect"]);
        };
        add_root(&ours, &library);
        assert_eq!(listed(), made_by_us, "{}", world.nix);
        assert_eq!(fs::read_link(&ours).unwrap(), Path::new(&library));
        add_root(&theirs, &program);
        fs::remove_file(&theirs).unwrap();
        collect(world);
        assert_eq!(valid(&world.open("ours")), ["library", "text", "tree"]);
        assert_eq!(listed(), made_by_us);

        fs::remove_file(&ours).unwrap();
        collect(world);
        assert!(valid(&world.open("ours")).is_empty());
        assert!(listed().is_empty(), "Nix removes a root that leads nowhere");
    });
}

/// What is there when a running collector answers stays there.
#[test]
fn a_running_collector_is_told_what_to_keep() {
    with_each_nix(|world| {
        let garbage: Vec<Item> =
            (0..300).map(|number| signed(&format!("garbage-{number}"), &[])).collect();
        add(&world.open("ours"), &garbage);
        let store = world.open("ours");
        let mut collector = world.command("ours", "nix-store");
        let said = fs::File::create(world.path("said")).unwrap();
        collector.arg("--gc").stdout(Stdio::null()).stderr(said);
        let mut collector = collector.spawn().unwrap();
        while store.list().unwrap().len() == garbage.len() {
            assert!(collector.try_wait().unwrap().is_none(), "it collects something");
        }
        let mut kept = Vec::new();
        for item in &garbage {
            if collector.try_wait().unwrap().is_some() {
                break;
            }
            if store.is_valid(&item.new.path).unwrap() {
                store.add_temp_root(&item.new.path).unwrap();
                if store.is_valid(&item.new.path).unwrap() {
                    kept.push(&item.new.path);
                }
            }
        }
        let status = collector.wait().unwrap();
        let said = || fs::read_to_string(world.path("said")).unwrap();
        assert!(status.success(), "{}: {status}: {}", world.nix, said());
        let lost = kept.iter().filter(|path| !store.is_valid(path).unwrap()).count();
        assert_eq!((lost, store.verify(true).unwrap()), (0, Vec::new()), "{}", world.nix);
        println!("{}: {} paths kept from a collection that ran", world.nix, kept.len());
        assert!(!kept.is_empty());
    });
}

/// Collections begin and end in between.
#[test]
fn adding_goes_on_beside_a_collector() {
    with_each_nix(|world| {
        let garbage: Vec<Item> =
            (0..20).map(|number| signed(&format!("garbage-{number}"), &[])).collect();
        add(&world.open("ours"), &garbage);
        let store = world.open("ours");
        let done = AtomicBool::new(false);
        let mut items: Vec<Item> = Vec::new();
        let collections = std::thread::scope(|scope| {
            let done_at_the_end = Done(&done);
            let collector = scope.spawn(|| {
                let mut collections = 0;
                while !done.load(Ordering::Relaxed) || collections < 3 {
                    collect(world);
                    collections += 1;
                }
                collections
            });
            for number in 0..40 {
                let needed: Vec<&Item> = items.last().into_iter().collect();
                items.push(signed(&format!("chain-{number}"), &needed));
                add(&store, &items[number..]);
            }
            drop(done_at_the_end);
            collector.join().unwrap()
        });
        assert_eq!(valid(&store).len(), items.len(), "{}", world.nix);
        assert_eq!(store.verify(true).unwrap(), []);
        drop(store);
        world.verify("ours");
        println!("{}: 40 paths added beside {collections} collections", world.nix);
    });
}
