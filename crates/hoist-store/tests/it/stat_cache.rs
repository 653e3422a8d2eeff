//! Trees that are known again without reading them.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use hoist_nix::Sha256Hash;
use hoist_store::{Added, hash_tree};

use crate::{World, add, library, names};

/// A tree that is worth remembering, whose last change is long enough ago.
fn settled_tree(world: &World) -> PathBuf {
    let tree = world.path("tree");
    library(&tree, "contents");
    fs::write(tree.join("large"), vec![7; 1 << 20]).unwrap();
    settle();
    tree
}

fn settle() {
    sleep(Duration::from_millis(150));
}

fn record(world: &World) -> PathBuf {
    let dir = world.store.root().join("nix/var/hoist/stat");
    let names = names(&dir);
    assert_eq!(names.len(), 1, "{names:?}");
    dir.join(&names[0])
}

/// Makes the record say that the NAR is a byte larger, so that what is told from it can be told
/// from what is read.
fn mark(record: &Path) {
    let text = fs::read_to_string(record).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let size: u64 = lines[3].parse().unwrap();
    let body = format!("{}\n{}\n{}\n{}", lines[0], lines[1], lines[2], size + 1);
    fs::write(record, format!("{body}\n{}\n", Sha256Hash::of(body.as_bytes()))).unwrap();
}

/// Whether the tree was known without reading it, after the first time.
fn is_known(world: &World, tree: &Path, first: &Added) -> bool {
    let again = add(&world.store, tree);
    if again.nar_size == first.nar_size + 1 {
        assert_eq!((&again.path, again.already_there), (&first.path, true));
        return true;
    }
    assert_eq!((again.nar_hash, again.nar_size), hash_tree(tree).unwrap(), "what is read is true");
    false
}

#[test]
fn a_tree_that_did_not_change_is_not_read_again() {
    let world = World::on_disk();
    let tree = settled_tree(&world);
    let first = add(&world.store, &tree);
    mark(&record(&world));
    assert!(is_known(&world, &tree, &first));
    // It is the same by another path.
    let link = world.path("folder");
    symlink(world.dir.path(), &link).unwrap();
    assert!(is_known(&world, &link.join("tree"), &first));
}

/// Every way to change a tree; each must be noticed.
#[test]
fn every_change_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 9] = [
        ("contents of the same size, with the old time", |tree| {
            let file = File::options().write(true).open(tree.join("large")).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"x", 5000).unwrap();
            file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        }),
        ("a mode", |tree| {
            fs::set_permissions(tree.join("large"), PermissionsExt::from_mode(0o755)).unwrap();
        }),
        ("a new file", |tree| fs::write(tree.join("empty/new"), "").unwrap()),
        ("a file less", |tree| fs::remove_file(tree.join("large")).unwrap()),
        ("another name", |tree| {
            fs::rename(tree.join("lib/libx.so.1"), tree.join("lib/libx.so.2")).unwrap();
        }),
        ("another target", |tree| {
            fs::remove_file(tree.join("lib/libx.so")).unwrap();
            symlink("elsewhere", tree.join("lib/libx.so")).unwrap();
        }),
        ("a file in the place of another, of the same size and time", |tree| {
            let (old, new) = (tree.join("large"), tree.join("new"));
            let modified = fs::metadata(&old).unwrap().modified().unwrap();
            fs::write(&new, vec![8; 1 << 20]).unwrap();
            let file = File::options().write(true).open(&new).unwrap();
            file.set_times(FileTimes::new().set_modified(modified)).unwrap();
            fs::rename(new, old).unwrap();
        }),
        ("a folder in the place of another", |tree| {
            fs::remove_dir(tree.join("empty")).unwrap();
            fs::create_dir(tree.join("empty")).unwrap();
        }),
        ("a second name of a file elsewhere, which changes nothing but might", |tree| {
            fs::hard_link(tree.join("large"), tree.with_file_name("second")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let world = World::on_disk();
        let tree = settled_tree(&world);
        let first = add(&world.store, &tree);
        mark(&record(&world));
        change(&tree);
        assert!(!is_known(&world, &tree, &first), "{what}");
    }
}

#[test]
fn what_changed_just_now_is_not_remembered() {
    let world = World::on_disk();
    let tree = settled_tree(&world);
    let soon = SystemTime::now() + Duration::from_hours(1);
    let file = File::options().write(true).open(tree.join("large")).unwrap();
    file.set_times(FileTimes::new().set_modified(soon)).unwrap();
    settle();
    add(&world.store, &tree);
    assert!(!world.store.root().join("nix/var/hoist/stat").exists());
}

#[test]
fn little_is_read_rather_than_remembered() {
    let world = World::on_disk();
    library(&world.path("tree"), "contents");
    settle();
    add(&world.store, &world.path("tree"));
    assert!(!world.store.root().join("nix/var/hoist/stat").exists());
}

#[test]
fn a_damaged_record_is_none() {
    let world = World::on_disk();
    let tree = settled_tree(&world);
    let first = add(&world.store, &tree);
    let record = record(&world);
    let whole = fs::read(&record).unwrap();
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&record, damaged).unwrap();
        let again = add(&world.store, &tree);
        assert_eq!((again.nar_hash, again.already_there), (first.nar_hash, true), "byte {at}");
    }
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    assert!(add(&world.store, &tree).already_there);
    assert_eq!(fs::read(&record).unwrap(), whole, "and made anew");
}

/// The record says which hash the tree has, the store whether it has that.
#[test]
fn what_the_store_lost_is_added_again() {
    let world = World::on_disk();
    let tree = settled_tree(&world);
    let first = add(&world.store, &tree);
    let path = world.store.physical(&first.path);
    fs::rename(&path, world.path("lost")).unwrap();
    let again = add(&world.store, &tree);
    assert!(!again.already_there && path.exists());
    assert_eq!(world.store.verify(true).unwrap(), []);
}

#[test]
fn only_so_many_trees_are_remembered() {
    let world = World::on_disk();
    let stat = world.store.root().join("nix/var/hoist/stat");
    fs::create_dir(stat.parent().unwrap()).unwrap();
    fs::create_dir(&stat).unwrap();
    for number in 0..300 {
        fs::write(stat.join(format!("old-{number}")), "").unwrap();
    }
    let tree = settled_tree(&world);
    add(&world.store, &tree);
    let left = names(&stat);
    assert_eq!(left.len(), 256);
    let inode = fs::metadata(&tree).unwrap();
    let id = [inode.dev().to_le_bytes(), inode.ino().to_le_bytes()].concat();
    assert!(left.contains(&Sha256Hash::of(&id).nix32()), "the newest stays");
}
