//! What is kept from being collected. That real Nix heeds it is for `real_interop.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;

use crate::archives::{add, file, offer, path};
use crate::site::Site;

fn added(site: &Site<'_>, name: &str) -> StorePath {
    let nar = file(name.as_bytes());
    add(site.store(), &offer(path(name), &nar), &nar).unwrap();
    path(name)
}

/// The links that the store has to links elsewhere.
fn auto_roots(site: &Site<'_>) -> Vec<PathBuf> {
    let dir = site.root().join("nix/var/nix/gcroots/auto");
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect()
}

pub(super) fn a_temporary_root_is_of_any_path(site: &Site<'_>) {
    let store = site.store();
    store.add_temp_root(&added(site, "x-1")).unwrap();
    store.add_temp_root(&path("to-come")).unwrap();
    store.add_temp_root(&path("x-1")).unwrap();
    assert!(store.is_valid(&path("x-1")).unwrap());
}

pub(super) fn a_root_is_a_link_that_can_move(site: &Site<'_>) {
    let (store, link) = (site.store(), site.path("result"));
    for name in ["x-1", "x-2"] {
        let path = added(site, name);
        store.add_root(&link, &path).unwrap();
        // By the name that it has in the store, wherever that is.
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(&store.dir().print(&path)));
        assert_eq!(auto_roots(site), std::slice::from_ref(&link));
    }
}

pub(super) fn a_root_replaces_nothing_else(site: &Site<'_>) {
    let (store, path) = (site.store(), added(site, "x-1"));
    fs::write(site.path("file"), "mine").unwrap();
    fs::create_dir(site.path("dir")).unwrap();
    symlink("/elsewhere", site.path("link")).unwrap();
    for name in ["file", "dir", "link"] {
        store.add_root(&site.path(name), &path).unwrap_err();
    }
    assert_eq!(fs::read_to_string(site.path("file")).unwrap(), "mine");
    assert!(site.path("dir").is_dir());
    assert_eq!(fs::read_link(site.path("link")).unwrap(), Path::new("/elsewhere"));
    assert_eq!(auto_roots(site), [] as [PathBuf; 0]);
}

pub(super) fn a_root_is_of_a_valid_path(site: &Site<'_>) {
    let link = site.path("result");
    site.store().add_root(&link, &path("unknown")).unwrap_err();
    assert!(fs::symlink_metadata(&link).is_err());
    assert_eq!(auto_roots(site), [] as [PathBuf; 0]);
}
