//! Processes that are killed while they collect, or while others do.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroU64;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use hoist_store::Problem;

use super::*;
use crate::{add, child, library};

const KILLS: u64 = 60;

const NAME: &str = "gc::kill::killed_at_any_moment_a_collection_leaves_a_whole_store";

/// One process adds and switches, one collects; one of them is killed. Whatever the moment, all
/// that is registered is there and whole, and so is what the profile points to.
#[test]
fn killed_at_any_moment_a_collection_leaves_a_whole_store() {
    if let Some(dir) = child::dir() {
        return if std::env::var_os(COLLECTS).is_some() { collects(&dir) } else { adds(&dir) };
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    Store::open_or_create(&root).unwrap();
    let log = dir.path().join("log");
    let (mut leftovers, mut hits) = (0, BTreeMap::<String, u32>::new());
    for kill in 0..KILLS {
        let mut adder = child::command(NAME, dir.path()).spawn().unwrap();
        let mut collector = child::command(NAME, dir.path()).env(COLLECTS, "1").spawn().unwrap();
        // Spread over the decision, which is long, and what comes after it, which is short.
        let spread = Sha256Hash::of(&kill.to_le_bytes()).0;
        let spread: u64 = u16::from_le_bytes([spread[0], spread[1]]).into();
        let (event, micros) =
            if kill % 3 == 0 { ("deciding", spread) } else { ("removing", spread / 10) };
        wait_for(event, &log);
        sleep(Duration::from_micros(micros));
        end(&mut collector);
        if kill % 2 == 1 {
            sleep(Duration::from_millis(10)); // the adder goes on beside what was left
        }
        end(&mut adder);
        let said = fs::read_to_string(&log).unwrap();
        *hits.entry(said.lines().last().unwrap().to_owned()).or_default() += 1;
        fs::remove_file(&log).unwrap();

        let store = Store::open(&root).unwrap();
        let problems = store.verify(true).unwrap();
        assert!(!problems.iter().any(Problem::is_damage), "kill {kill}: {problems:?}");
        leftovers += problems.len();
        for generation in Profile::open(&store, "app").unwrap().generations().unwrap() {
            assert!(store.path_info(&generation.path).unwrap().is_some(), "kill {kill}");
        }
    }
    let store = Store::open(&root).unwrap();
    let collected = collect(&store);
    assert_eq!(collected.stuck, [""; 0]);
    World { dir, store }.assert_clean();
    println!("{KILLS} kills, {leftovers} leftovers seen; killed after {hits:?}");
    assert!(hits.len() >= 2, "too few moments were hit");
}

/// Says that a child is to collect.
const COLLECTS: &str = "HOIST_STORE_TEST_COLLECTS";

fn wait_for(event: &str, log: &Path) {
    while !fs::read_to_string(log).is_ok_and(|said| said.contains(event)) {
        sleep(Duration::from_micros(200));
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn adds(dir: &Path) {
    let tree = dir.join(format!("tree-{}", std::process::id()));
    for round in 0.. {
        let store = Store::open_or_create(&dir.join("root")).unwrap();
        library(&tree, &format!("gc: {round} of {}", std::process::id()));
        for file in 0..50 {
            fs::write(tree.join(format!("lib/{file}")), file.to_string()).unwrap();
        }
        let added = add(&store, &tree);
        switch(&store, "app", &added.path);
    }
}

/// Collects again and again, and writes down what it does.
fn collects(dir: &Path) {
    let mut log = fs::File::create(dir.join("log")).unwrap();
    loop {
        let store = Store::open(&dir.join("root")).unwrap();
        let policy = Policy { keep: NonZeroU64::new(1), ..Policy::at(NOW) };
        let mut watch = |event| {
            let event = match event {
                GcEvent::Removing { .. } => "removing".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            writeln!(log, "{event}").unwrap();
        };
        store.collect_garbage(&policy, &mut watch).unwrap();
        writeln!(log, "done").unwrap();
        sleep(Duration::from_millis(2));
    }
}
