//! Collections beside everything else that a store does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::add;

#[test]
fn a_collection_waits_for_who_adds_and_says_so() {
    let world = World::new();
    let added = world.add("gc: waited for");
    let root = world.store.root().to_owned();
    let (said, events) = mpsc::channel();
    let collection = thread::spawn(move || {
        let store = Store::open(&root).unwrap();
        let mut watch = |event| said.send(event).unwrap();
        store.collect_garbage(&Policy::at(NOW), &mut watch).unwrap()
    });
    assert_eq!(events.recv().unwrap(), GcEvent::Waiting);
    switch(&world.store, "app", &added.path);
    let World { dir, store } = world;
    drop(store); // now it is no longer needed
    assert_eq!(events.recv().unwrap(), GcEvent::Deciding);
    assert_eq!(collection.join().unwrap().paths, []);
    drop(dir);
}

/// Either the switch comes first, or the collection.
#[test]
fn a_path_that_is_switched_to_is_there_or_the_switch_is_refused() {
    let world = World::new();
    let root = world.store.root();
    let mut outcomes = [0, 0];
    for round in 0..40 {
        let path = world.add_once(&format!("gc: switched to or not, {round}"));
        let switched = thread::scope(|scope| {
            let collection = scope.spawn(|| collect(&Store::open(root).unwrap()));
            thread::sleep(Duration::from_millis(round % 10));
            let new = NewGeneration { created_unix: NOW, action_key: None };
            let store = Store::open(root).unwrap();
            let switched = Profile::open(&store, "app").unwrap().switch(&path, &new);
            drop(store);
            collection.join().unwrap();
            switched
        });
        outcomes[usize::from(switched.is_ok())] += 1;
        match switched {
            Ok(_) => assert!(registered(&world.store).contains(&path), "round {round}"),
            Err(refusal) => assert!(refusal.to_string().ends_with("is not in the store")),
        }
        assert_eq!(world.reopened().verify(false).unwrap(), []);
    }
    println!("{} switches were refused, {} were not", outcomes[0], outcomes[1]);
}

const HAMMERING: Duration = Duration::from_secs(4);

/// Several switch between a few paths that the others need as well, others collect what is not
/// needed at the moment: whoever switched to a path has it.
#[test]
fn hammered_from_all_sides_everybody_keeps_what_he_switched_to() {
    let world = World::new();
    let (root, dir) = (world.store.root(), world.dir.path());
    let over = AtomicBool::new(false);
    let [switches, runs, gone] = [0; 3].map(AtomicUsize::new);
    thread::scope(|scope| {
        for worker in 0..3 {
            let (over, switches) = (&over, &switches);
            scope.spawn(move || {
                let profile = format!("app-{worker}");
                for round in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let tree = dir.join(format!("tree-{worker}"));
                    crate::library(&tree, &format!("gc: hammered {}", (round * 7 + worker) % 5));
                    let store = Store::open(root).unwrap();
                    let path = add(&store, &tree).path;
                    switch(&store, &profile, &path);
                    drop(store);
                    let library = Store::open(root).unwrap().physical(&path).join("lib/libx.so.1");
                    assert!(library.exists(), "{path} was switched to in round {round}");
                    switches.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20)); // a collection waits for a pause of all
                }
            });
        }
        for _ in 0..2 {
            let (over, runs, gone) = (&over, &runs, &gone);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let store = Store::open(root).unwrap();
                    let keep = std::num::NonZeroU64::new(1);
                    let policy = Policy { keep, ..Policy::at(NOW) };
                    let collected = store.collect_garbage(&policy, &mut |_| ()).unwrap();
                    assert_eq!(collected.stuck, [""; 0]);
                    runs.fetch_add(1, Ordering::SeqCst);
                    gone.fetch_add(collected.paths.len(), Ordering::SeqCst);
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < HAMMERING {
            thread::sleep(Duration::from_millis(50));
            let problems = Store::open(root).unwrap().verify(false).unwrap();
            let damage: Vec<_> =
                problems.iter().filter(|problem| problem.is_damage()).cloned().collect();
            // What is removed between the two looks of a verification is none.
            let lasting = Store::open(root).unwrap().verify(false).unwrap();
            assert!(!damage.iter().any(|problem| lasting.contains(problem)), "{damage:?}");
        }
        over.store(true, Ordering::SeqCst);
    });
    let [switches, runs, gone] = [switches, runs, gone].map(AtomicUsize::into_inner);
    let told = format!("{switches} switches, {gone} paths collected in {runs} runs");
    println!("{told}");
    assert!(switches > 20 && runs > 5 && gone > 0, "{told}");
    collect(&world.reopened());
    world.assert_clean();
}
