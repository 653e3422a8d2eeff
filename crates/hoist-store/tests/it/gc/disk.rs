//! What becomes free, on disks and for users of every kind.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::*;
use crate::child;

#[test]
fn files_with_several_names_are_counted_once_and_with_the_last() {
    let world = World::new();
    let big = |fill: &str| fill.repeat(300_000);
    let [kept, first, second] = ["gc links a", "gc links b", "gc links c"].map(|contents| {
        let path = world.add_once(&big(contents));
        // As `nix-store --optimise` does.
        let link = world.store_dir().join(".links").join(path.hash_part());
        fs::hard_link(world.store.physical(&path), link).unwrap();
        path
    });
    world.reopened().pin(&kept, "kept").unwrap();
    world.reopened().pin(&second, "second").unwrap();

    let foretold = try_out(&world.store);
    assert!((3_000_000..3_100_000).contains(&foretold.freed), "{}", foretold.freed);
    let collected = collect(&world.store);
    assert_eq!(collected, foretold);
    assert_eq!(paths(&collected), [first]);
    assert_eq!(names(&world.store_dir().join(".links")).len(), 2);

    // One of two paths that share a file frees next to nothing.
    let twin = world.add_referring("gc-twin", &[]);
    let physical = world.store.physical(&twin);
    fs::remove_file(&physical).unwrap();
    fs::hard_link(world.store.physical(&second), &physical).unwrap();
    assert_eq!(try_out(&world.store).freed, 0);
    assert_eq!(collect(&world.store).freed, 0);
    world.store.unpin("second").unwrap();
    assert!(collect(&world.store).freed >= 3_000_000);
    assert_eq!(names(&world.store_dir().join(".links")), [kept.hash_part()]);
}

#[test]
fn a_full_disk_becomes_free() {
    if let Some(dir) = child::dir() {
        return on_a_full_disk(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("disk")).unwrap();
    let script = "mount -t tmpfs -o size=24m none disk";
    child::run_with_mounts(script, "gc::disk::a_full_disk_becomes_free", dir.path());
}

fn on_a_full_disk(dir: &Path) {
    let (root, tree) = (dir.join("disk/root"), dir.join("tree"));
    let name = hoist_nix::StorePathName::parse("x").unwrap();
    fs::write(&tree, "gc on a full disk ".repeat(200_000)).unwrap();
    Store::open_or_create(&root).unwrap().add_tree(&name, &tree).unwrap();
    let filler = fs::File::create(dir.join("disk/filler")).unwrap();
    let mut rest = filler.metadata().unwrap().len();
    while std::io::Write::write_all(&mut &filler, &[0; 4096]).is_ok() {
        rest += 4096;
    }
    assert!(rest > 1_000_000);

    let store = Store::open(&root).unwrap();
    let collected = collect(&store);
    assert_eq!(collected.paths.len(), 1);
    assert!(collected.freed > 3_000_000);
    assert_eq!(store.verify(true).unwrap(), []);
    let reserve = fs::metadata(root.join("nix/var/nix/db/reserved"));
    assert!(reserve.is_err() || reserve.unwrap().len() == 8 << 20, "all of it or none");
}

#[test]
fn a_read_only_store_tells_what_would_go() {
    if let Some(dir) = child::dir() {
        return on_a_read_only_disk(&dir);
    }
    let world = World::new();
    world.add_once("gc: read-only");
    let World { dir, store } = world;
    drop(store);
    let script = "mount --bind root root && mount -o remount,bind,ro root";
    child::run_with_mounts(script, "gc::disk::a_read_only_store_tells_what_would_go", dir.path());
}

fn on_a_read_only_disk(dir: &Path) {
    let store = Store::open(&dir.join("root")).unwrap();
    assert_eq!(try_out(&store).paths.len(), 1);
    let refusal = store.collect_garbage(&Policy::at(NOW), &mut |_| ()).unwrap_err();
    assert!(refusal.hint().unwrap().contains("writable"), "{refusal}");
}

#[test]
fn a_user_without_privileges_collects_read_only_folders() {
    if let Some(dir) = child::dir() {
        return as_a_plain_user(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    // The folder that cargo builds in may be closed to other users.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let name = "gc::disk::a_user_without_privileges_collects_read_only_folders";
    let test = child::command(name, dir.path());
    let mut user = Command::new(program);
    user.args(test.get_args());
    user.envs(test.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if rustix::process::geteuid().is_root() {
        user.uid(65534).gid(65534);
    }
    let output = user.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn as_a_plain_user(dir: &Path) {
    let (root, tree) = (dir.join("root"), dir.join("tree"));
    crate::library(&tree, "gc: of a plain user");
    crate::add(&Store::open_or_create(&root).unwrap(), &tree);
    let store = Store::open(&root).unwrap();
    let collected = collect(&store);
    assert_eq!((collected.paths.len(), collected.stuck.len()), (1, 0));
    assert!(!rustix::process::geteuid().is_root());
    assert!(store.roots().unwrap().unreadable_processes > 0 || !is_process_one_of_another_user());
    assert_eq!(names(&root.join("nix/store")), [".links"]);
    assert_eq!(trash(&root), [""; 0]);
}

fn is_process_one_of_another_user() -> bool {
    fs::read_link("/proc/1/exe").is_err()
}
