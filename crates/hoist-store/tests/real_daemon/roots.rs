//! What is kept from a collection of garbage by real Nix.

use std::fs;

use hoist_nix::wire::worker::{Collect, CollectAction};
use hoist_store::Backend;

use crate::archives::file;
use crate::with_each;
use crate::world::added;

#[test]
fn what_was_added_or_asked_for_is_kept_while_the_store_is_open() {
    with_each(|world| {
        let other = world.store();
        let asked_for = added(&other, "asked-for", &file(b"1")).unwrap();
        let forgotten = added(&other, "forgotten", &file(b"2")).unwrap();
        drop(other);
        let store = world.store();
        let new = added(&store, "new", &file(b"3")).unwrap();
        store.add_temp_root(&asked_for).unwrap();
        world.collect_garbage();
        let [new_is, asked_for_is, forgotten_is] =
            [&new, &asked_for, &forgotten].map(|path| world.store().is_valid(path).unwrap());
        assert!(new_is && asked_for_is && !forgotten_is);

        drop(store);
        world.collect_garbage();
        assert_eq!(world.store().paths().unwrap(), []);
    });
}

#[test]
fn a_root_keeps_a_path_as_long_as_its_link_is_there() {
    with_each(|world| {
        let store = world.store();
        let kept = added(&store, "kept", &file(b"1")).unwrap();
        let link = world.path("result");
        store.add_root(&link, &kept).unwrap();
        assert!(store.roots().unwrap().contains(&(link.clone(), kept.clone())));
        drop(store);
        world.collect_garbage();
        assert_eq!(world.store().paths().unwrap(), [kept]);

        fs::remove_file(&link).unwrap();
        world.collect_garbage();
        assert_eq!(world.store().paths().unwrap(), []);
    });
}

#[test]
fn a_daemon_collects_when_it_is_asked_to() {
    with_each(|world| {
        let store = world.store();
        let kept = added(&store, "kept", &file(b"1")).unwrap();
        let garbage = added(&store, "garbage", &file(&[0; 5000])).unwrap();
        store.add_root(&world.path("result"), &kept).unwrap();
        drop(store);

        let store = world.store();
        let collect = |action| {
            let (paths, ignore_liveness) = (Vec::new(), false);
            let what = Collect { action, paths, ignore_liveness, max_freed_bytes: u64::MAX };
            store.collect(&what).unwrap()
        };
        let text = store.dir().print(&garbage);
        let dead = collect(CollectAction::ReturnDead);
        assert!(dead.paths.iter().any(|path| path.to_str() == Some(&text)), "{dead:?}");
        assert!(store.is_valid(&garbage).unwrap());
        let deleted = collect(CollectAction::DeleteDead);
        assert!(deleted.paths.iter().any(|path| path.to_str() == Some(&text)), "{deleted:?}");
        assert!(deleted.freed_bytes >= 5000, "{deleted:?}");
        assert_eq!(store.paths().unwrap(), [kept]);
    });
}
