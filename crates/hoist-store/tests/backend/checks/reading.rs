//! Asking.

use std::io::{self, Write};

use crate::archives::{add, file, library, offer, path, read};
use crate::site::Site;

pub(super) fn an_unknown_path_is_no_path(site: &Site<'_>) {
    let (store, path) = (site.store(), path("unknown"));
    assert!(!store.is_valid(&path).unwrap());
    assert_eq!(store.path_info(&path).unwrap(), None);
    assert!(read(store, &path).is_err());
    assert!(store.add_signatures(&path, &[]).is_err());
    assert_eq!(store.paths().unwrap(), []);
    assert!(!store.is_valid(&path).unwrap(), "it still answers");
}

pub(super) fn what_was_added_is_told(site: &Site<'_>) {
    let (store, nar) = (site.store(), library(b"contents"));
    let mut new = offer(path("x-1"), &nar);
    new.deriver = Some(path("x-1.drv"));
    let before = now() - 1; // `time()` is a tick behind
    assert!(!add(store, &new, &nar).unwrap());
    for store in [store, &*site.open()] {
        assert!(store.is_valid(&new.path).unwrap());
        let info = store.path_info(&new.path).unwrap().unwrap();
        assert_eq!(info.path, new.path);
        assert_eq!((info.nar_hash, info.nar_size), (new.nar_hash, Some(new.nar_size)));
        assert_eq!((&info.deriver, info.references), (&new.deriver, Vec::new()));
        assert_eq!((info.content_address, info.signatures), (None, Vec::new()));
        assert!(!info.ultimate, "it was not built here");
        assert!((before..=now()).contains(&info.registered_unix), "{}", info.registered_unix);
    }
}

fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

pub(super) fn paths_are_listed_in_order(site: &Site<'_>) {
    let store = site.store();
    let mut added = Vec::new();
    for name in ["b", "a", "c", "x-1"] {
        let nar = file(name.as_bytes());
        add(store, &offer(path(name), &nar), &nar).unwrap();
        added.push(path(name));
    }
    added.sort();
    assert_eq!(store.paths().unwrap(), added);
}

/// Takes some bytes, then no more.
struct Full {
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn a_reader_that_fails_is_told(site: &Site<'_>) {
    let (store, nar) = (site.store(), library(&vec![7; 300_000]));
    let new = offer(path("x-1"), &nar);
    add(store, &new, &nar).unwrap();
    for room in [0, 1, 200_000] {
        store.write_nar(&new.path, &mut Full { room }).unwrap_err();
    }
    // After that, it or a new connection still answers.
    assert_eq!(read(&*site.open(), &new.path).unwrap(), nar);
}
