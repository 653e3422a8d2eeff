//! Adding paths from NARs, where the embedded store has more to promise than every store.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use hoist_nix::{NarWriter, Sha256Hash, StorePath, StorePathName};
use hoist_store::{AddNarError, Backend, NewPath, Problem, Store, StoreError, Trust};

use crate::{World, child, names};

fn path(name: &str) -> StorePath {
    let digest = Sha256Hash::of(name.as_bytes()).0[..20].try_into().unwrap();
    StorePath::new(&digest, &StorePathName::parse(name).unwrap())
}

fn nar(contents: &[u8]) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.directory().unwrap();
    nar.entry(b"file").unwrap();
    nar.file(false, contents.len() as u64, &mut &*contents).unwrap();
    nar.end_directory().unwrap();
    nar.finish()
}

fn offer(name: &str, nar: &[u8], references: &[StorePath]) -> NewPath {
    NewPath {
        path: path(name),
        nar_hash: Sha256Hash::of(nar),
        nar_size: nar.len() as u64,
        deriver: None,
        references: references.to_vec(),
        signatures: Vec::new(),
        content_address: None,
    }
}

fn add_nar(store: &Store, new: &NewPath, nar: &[u8]) -> Result<bool, StoreError> {
    store.add_nar(new, &mut &*nar, Trust::Caller)
}

#[test]
fn a_refused_nar_leaves_nothing_behind() {
    let world = World::new();
    let nar = nar(b"contents");
    let mut new = offer("x", &nar, &[]);
    new.nar_hash = Sha256Hash::of(b"other");
    let refusal = add_nar(&world.store, &new, &nar).unwrap_err();
    assert!(matches!(refusal, StoreError::AddNar(AddNarError::Hash { .. })), "{refusal}");
    let longer = [&nar, &[0; 8][..]].concat();
    let refusal = add_nar(&world.store, &offer("x", &nar, &[]), &longer).unwrap_err();
    assert!(matches!(refusal, StoreError::AddNar(AddNarError::TooLong { .. })), "{refusal}");
    assert_eq!(world.names(), [".links"]);
    assert_eq!(names(&world.store.root().join("nix/var/hoist/tmp")), ["lock"]);
}

#[test]
fn a_malformed_nar_is_named_by_its_path() {
    let world = World::new();
    let new = offer("x", b"no archive", &[]);
    let refusal = add_nar(&world.store, &new, b"no archive").unwrap_err();
    assert!(refusal.to_string().contains(new.path.as_str()), "{refusal}");
}

#[test]
fn a_modified_path_is_not_passed_on_in_silence() {
    let world = World::new();
    let nar = nar(b"contents");
    let new = offer("x", &nar, &[]);
    add_nar(&world.store, &new, &nar).unwrap();
    let file = world.store.physical(&new.path).join("file");
    fs::remove_file(&file).or_else(|_| make_writable(&file)).unwrap();
    fs::write(&file, "Contents").unwrap();
    let refusal = world.store.write_nar(&new.path, &mut Vec::new()).unwrap_err();
    assert!(matches!(refusal, StoreError::Modified { .. }), "{refusal}");
}

/// Its folder is read-only, for all but root.
fn make_writable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file.parent().unwrap(), PermissionsExt::from_mode(0o755))?;
    fs::remove_file(file)
}

/// What was built twice need not be the same; the row is of what is there.
#[test]
fn a_path_that_was_lost_is_registered_as_it_came_back() {
    let world = World::new();
    let (needed, first, second) = (nar(b"needed"), nar(b"first"), nar(b"second"));
    add_nar(&world.store, &offer("needed", &needed, &[]), &needed).unwrap();
    let new = offer("x", &first, &[path("needed")]);
    add_nar(&world.store, &new, &first).unwrap();
    let physical = world.store.physical(&new.path);
    let _ = make_writable(&physical.join("file"));
    fs::remove_dir_all(&physical).unwrap();

    assert!(!add_nar(&world.store, &offer("x", &second, &[]), &second).unwrap());
    assert_eq!(world.store.verify(true).unwrap(), []);
    assert_eq!(world.store.path_info(&new.path).unwrap().unwrap().references, []);
}

#[test]
fn a_full_disk_takes_no_part_of_a_nar() {
    if let Some(dir) = child::dir() {
        return on_a_small_disk(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=2m none disk";
    child::run_with_mounts(script, "nars::a_full_disk_takes_no_part_of_a_nar", dir.path());
}

fn on_a_small_disk(dir: &Path) {
    let root = dir.join("disk/root");
    Store::open_or_create(&root).unwrap();
    let nar = nar(&[7; 10_000]);
    let filler = dir.join("disk/filler");
    let mut refusals = 0;
    // With a little room more each time, another step is the one that fails.
    for room in (0..).map(|pages| pages * 4096_u64) {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let size = file.metadata().unwrap().len();
        file.set_len(size - room.min(size)).unwrap();
        drop(file); // or its space stays taken
        let store = Store::open(&root).unwrap();
        let added = add_nar(&store, &offer("x", &nar, &[]), &nar);
        fs::remove_file(&filler).unwrap();
        assert_eq!(store.verify(true).unwrap(), []);
        match added {
            Ok(there) => {
                assert!(!there);
                break;
            }
            Err(refusal) => {
                assert!(refusal.hint().is_some_and(|hint| hint.contains("free")), "{refusal:?}");
                assert_eq!(names(&root.join("nix/store")), [".links"]);
                refusals += 1;
            }
        }
    }
    assert!(refusals > 2, "{refusals} refusals");
}

#[test]
fn a_read_only_store_takes_no_nar_but_has_what_it_has() {
    if let Some(dir) = child::dir() {
        return on_a_read_only_disk(&dir);
    }
    let World { dir, store } = World::new();
    let nar = nar(b"contents");
    add_nar(&store, &offer("x", &nar, &[]), &nar).unwrap();
    drop(store);
    let script = "mount --bind root root && mount -o remount,bind,ro root";
    let test = "nars::a_read_only_store_takes_no_nar_but_has_what_it_has";
    child::run_with_mounts(script, test, dir.path());
}

fn on_a_read_only_disk(dir: &Path) {
    let store = Store::open(&dir.join("root")).unwrap();
    let (there, new) = (nar(b"contents"), nar(b"new"));
    assert!(add_nar(&store, &offer("x", &there, &[]), &there).unwrap());
    let mut read = Vec::new();
    store.write_nar(&path("x"), &mut read).unwrap();
    assert_eq!(read, there);

    let refused = |refusal: StoreError| {
        let StoreError::File(error) = &refusal else { panic!("{refusal:?}") };
        assert_eq!(error.source.kind(), ErrorKind::ReadOnlyFilesystem, "{refusal}");
    };
    refused(add_nar(&store, &offer("y", &new, &[]), &new).unwrap_err());
    refused(store.add_temp_root(&path("x")).unwrap_err());
    refused(store.add_root(&dir.join("result"), &path("x")).unwrap_err());
    assert!(fs::symlink_metadata(dir.join("result")).is_err());
    let refusal = store.add_signatures(&path("x"), &[]).unwrap_err();
    assert!(matches!(refusal, StoreError::DatabaseReadOnly { .. }), "{refusal:?}");
}

const PATHS: usize = 12;

/// Processes that add the same closure at the same time.
#[test]
fn processes_that_add_the_same_paths_meet() {
    if let Some(dir) = child::dir() {
        let store = Store::open_or_create(&dir.join("root")).unwrap();
        return println!("added: {}", add_chain(&store, "same", PATHS));
    }
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut command =
            child::command("nars::processes_that_add_the_same_paths_meet", dir.path());
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let adders: Vec<_> = (0..5).map(|_| start()).collect();
    let mut added = 0;
    for adder in adders {
        let output = adder.wait_with_output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{printed}");
        let count = printed.lines().find_map(|line| line.split_once("added: ")).unwrap().1;
        added += count.trim().parse::<usize>().unwrap();
    }
    assert_eq!(added, PATHS);
    let store = Store::open(&dir.path().join("root")).unwrap();
    assert_eq!(store.list().unwrap().len(), PATHS);
    assert_eq!(store.verify(true).unwrap(), []);
}

/// Adds paths that each refer to the one before. Returns how many were not there.
fn add_chain(store: &Store, name: &str, count: usize) -> usize {
    let mut references = Vec::new();
    let mut added = 0;
    for index in 0..count {
        let name = format!("{name}-{index}");
        let nar = nar(&name.as_bytes().repeat(2000));
        let new = offer(&name, &nar, &references);
        let mut slow = Slow(&nar);
        added += usize::from(!store.add_nar(&new, &mut slow, Trust::Caller).unwrap());
        references = vec![new.path.clone(), new.path];
    }
    added
}

/// Comes in pieces, as from a cache.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(4096);
        self.0.read(&mut buffer[..len])
    }
}

const KILLS: u64 = 60;

#[test]
fn a_killed_adder_of_nars_leaves_whole_paths_only() {
    if let Some(dir) = child::dir() {
        let store = Store::open_or_create(&dir.join("root")).unwrap();
        for round in 0.. {
            add_chain(&store, &format!("{}-{round}", std::process::id()), 4);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let test = "nars::a_killed_adder_of_nars_leaves_whole_paths_only";
    let (mut kills, mut leftovers, mut paths) = (0_u64, 0, 0);
    // On a busy machine most of them are killed before they have done anything.
    while kills < KILLS || (paths <= 10 && kills < 20 * KILLS) {
        kills += 1;
        let mut adder = child::command(test, dir.path()).spawn().unwrap();
        let spread = Sha256Hash::of(&kills.to_le_bytes()).0;
        sleep(Duration::from_micros(2 * u64::from(u16::from_le_bytes([spread[0], spread[1]]))));
        adder.kill().unwrap();
        adder.wait().unwrap();

        let store = Store::open_or_create(&root).unwrap();
        let problems = store.verify(true).unwrap();
        assert!(!problems.iter().any(Problem::is_damage), "{problems:?}");
        leftovers += problems.len();
        let infos = store.list().unwrap();
        paths = infos.len();
        for info in infos {
            for reference in info.references {
                assert!(store.is_valid(&reference).unwrap());
            }
        }
    }
    // The next addition removes what the killed ones left, the roots of dead processes among it
    // when garbage is collected.
    let store = Store::open(&root).unwrap();
    add_chain(&store, "last", 1);
    assert_eq!(store.verify(true).unwrap(), []);
    assert_eq!(names(&root.join("nix/var/hoist/tmp")), ["lock"]);
    assert!(paths > 10, "the adders got somewhere");
    println!("{kills} kills, {paths} paths added, {leftovers} leftovers seen");
}
