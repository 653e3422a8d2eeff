//! Disks that are read-only or full: a clear error, a hint, and nothing half-written.

use std::collections::BTreeMap;
use std::fs;

use hoist_testkit::{Hoist, Namespace, Run};

use crate::{adder, generations, stages, tidy};

/// Lets `hoist` run where a shell script mounted what it likes, started in the project folder.
fn mounted(hoist: Hoist, script: &str) -> Option<(Hoist, Namespace)> {
    let namespace = Namespace::new(&hoist.project(), script)?;
    let launcher = namespace.launcher();
    Some((hoist.launched_by(launcher), namespace))
}

fn read_only(folder: &str) -> String {
    format!("mount --bind {folder} {folder}\nmount -o remount,bind,ro {folder}")
}

#[test]
fn a_read_only_store_is_read_and_not_changed() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(2);
    let _ = hoist.run(["ship"]).ended(0);
    let listed = hoist.stdout(["store", "ls"]);
    let Some((hoist, _namespace)) = mounted(hoist, &read_only("../root")) else { return };

    assert_eq!(hoist.stdout(["store", "ls"]), listed);
    assert_eq!(hoist.stdout(["store", "verify"]), "2 store paths, all as registered");
    assert_eq!(hoist.stdout(["run", "--", "sh", "-c", "ls $HOIST_LIB_PATH"]), "libadder.so");

    // What it would answer is there already.
    let run = hoist.run(["ship"]).ended(0);
    assert!(run.stdout.contains("generation 2 of adder already"), "{}", run.stdout);

    hoist.adder_edition(3);
    let path = listed.lines().next().unwrap();
    for words in [&["ship"][..], &["pack", "src"], &["rollback"], &["switch", "other", path]] {
        let run = hoist.run(words).ended(3);
        let said = tidy(&hoist, &run.stderr);
        assert!(said.contains("~/root"), "{words:?}: {said}");
        assert!(said.contains("caused by: Read-only file system"), "{words:?}: {said}");
        assert!(said.contains("\nhint: mount the file system writable"), "{words:?}: {said}");
    }
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
    assert_eq!(hoist.stdout(["store", "ls"]), listed);
}

#[test]
fn a_store_that_cannot_be_made_is_said_to_be_read_only() {
    let Some((hoist, _namespace)) = mounted(adder(), &read_only("../root")) else { return };
    let run = hoist.run(["ship"]).ended(3);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: cannot create `~/root/nix/var/nix/temproots`
      caused by: Read-only file system (os error 30)
    hint: mount the file system writable, or choose a store on another one (`--store`)
    ");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let Some((hoist, _namespace)) = mounted(adder(), &read_only("../cache")) else { return };
    for words in [&["ship"][..], &["run", "--", "true"]] {
        let run = hoist.run(words).ended(3);
        let said = tidy(&hoist, &run.stderr);
        assert!(said.contains("~/cache"), "{words:?}: {said}");
        assert!(said.contains("caused by: Read-only file system"), "{words:?}: {said}");
        let hint = "\nhint: set HOIST_CACHE_DIR to a folder that you can write\n";
        assert!(said.contains(hint), "{words:?}: {said}");
    }
}

/// A machine whose store and cache share one small disk.
struct SmallDisk {
    hoist: Hoist,
    namespace: Namespace,
}

impl SmallDisk {
    fn new() -> Option<Self> {
        let script = "mkdir ../disk\nmount -t tmpfs -o size=64m none ../disk\n\
                      for folder in root cache; do\n    mkdir ../disk/$folder\n    \
                      mount --bind ../disk/$folder ../$folder\ndone";
        let (hoist, namespace) = mounted(adder(), script)?;
        Some(Self { hoist, namespace })
    }

    /// Removes all from the disk.
    fn clear(&self) {
        self.namespace.run("rm -rf ../root/* ../cache/*");
    }

    /// Ships with `room` KiB left on the disk, and makes space again.
    fn ship(&self, room: u64) -> Run {
        self.run(room, &["ship", "--json"])
    }

    fn run(&self, room: u64, words: &[&str]) -> Run {
        let fill = "free=$(df --output=avail -k ../disk | tail -n 1)\n";
        let size = format!("fallocate -l $((free - {room}))K ../disk/filler");
        self.namespace.run(&format!("{fill}{size}"));
        let run = self.hoist.run(words);
        self.namespace.run("rm ../disk/filler");
        run
    }

    /// Asserts that a refused ship said why and left nothing half-made behind, and returns how far
    /// it came.
    #[track_caller]
    fn refused(&self, run: Run, generation: Option<u64>) -> String {
        let run = run.ended(3);
        let said = tidy(&self.hoist, &run.stderr);
        assert!(said.contains("hint: free some space"), "{said}");
        assert!(said.contains("No space left on device") || said.contains("is full"), "{said}");
        let verified = self.hoist.run(["store", "verify"]);
        if verified.code != 0 {
            let why = format!("{}{}\nafter {said}", verified.stdout, verified.stderr);
            assert!(verified.stderr.contains("holds no store"), "{why}");
        }
        let link = self.hoist.root().join("nix/var/nix/profiles/adder");
        let target = fs::read_link(self.namespace.path(&link)).ok();
        let expected = generation.map(|number| format!("adder-{number}-link").into());
        assert_eq!(target, expected, "{said}");
        let records = run.records();
        stages(&records).last().map_or("start", |last| *last).to_owned()
    }
}

/// With a little more room each time, another step is the one that fails.
#[test]
fn a_full_disk_ends_a_first_ship_cleanly_wherever_it_fills_up() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut refusals = BTreeMap::new();
    for room in (0..).step_by(12) {
        disk.clear();
        let run = disk.ship(room);
        if run.code == 0 {
            break;
        }
        *refusals.entry(disk.refused(run, None)).or_insert(0) += 1;
        let _ = disk.hoist.run(["ship"]).ended(0);
        assert_eq!(disk.hoist.stdout(["store", "verify"]), "1 store path, all as registered");
        assert!(room < 8192, "it never works");
    }
    println!("last stage that ended before the disk was full: {refusals:?}");
    assert!(refusals.len() >= 2, "{refusals:?}");
}

#[test]
fn a_full_disk_does_not_switch() {
    let Some(disk) = SmallDisk::new() else { return };
    let path = disk.hoist.stdout(["build", "--quiet"]);
    let run = disk.run(0, &["switch", "adder", &path]).ended(3);
    assert!(run.stderr.contains("hint: free some space"), "{}", run.stderr);
    let profiles = disk.namespace.path(&disk.hoist.root().join("nix/var/nix/profiles"));
    let left: Vec<_> = fs::read_dir(profiles).unwrap().flatten().map(|it| it.file_name()).collect();
    assert_eq!(left, ["per-user"]);
    let _ = disk.hoist.run(["switch", "adder", &path]).ended(0);
    assert_eq!(generations(&disk.hoist), (vec![1], 1));
}

#[test]
fn a_full_disk_keeps_the_generation_there_is() {
    let Some(disk) = SmallDisk::new() else { return };
    let _ = disk.hoist.run(["ship"]).ended(0);
    let mut refusals = BTreeMap::new();
    let mut generation = 1;
    for room in (0..).step_by(4) {
        disk.hoist.adder_edition(1000 + u32::try_from(room).unwrap());
        let run = disk.ship(room);
        if run.code == 0 {
            break;
        }
        *refusals.entry(disk.refused(run, Some(generation))).or_insert(0) += 1;
        if room % 32 == 0 {
            let _ = disk.hoist.run(["ship"]).ended(0);
            generation += 1;
        }
        assert!(room < 4096, "it never works");
    }
    println!("last stage that ended before the disk was full: {refusals:?}");
    assert!(refusals.len() >= 2, "{refusals:?}");
    let verified = disk.hoist.stdout(["store", "verify"]);
    assert!(verified.ends_with("all as registered"), "{verified}");
    let work = disk.hoist.dir().join("cache/work");
    assert_eq!(fs::read_dir(disk.namespace.path(&work)).unwrap().count(), 0);
}
