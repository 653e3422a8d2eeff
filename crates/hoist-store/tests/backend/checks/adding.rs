//! Adding trees and archives.

use std::fs;
use std::io::Read;

use hoist_nix::{
    HashingWriter, NarWriter, Sha256Hash, StoreDir, StorePathName, fixed_recursive_sha256,
};
use hoist_store::{NewPath, Trust};

use crate::archives::{add, file, library, offer, offer_by_content, path, read};
use crate::site::Site;

pub(super) fn a_tree_is_named_by_its_contents(site: &Site<'_>) {
    let (store, tree) = (site.store(), site.path("tree"));
    fs::create_dir_all(tree.join("lib")).unwrap();
    fs::write(tree.join("lib/libx.so"), "contents").unwrap();
    let name = StorePathName::parse("x-1").unwrap();
    let (nar_hash, nar_size) = hoist_store::hash_tree(&tree).unwrap();

    let added = store.add_tree(&name, &tree).unwrap();
    assert_eq!(added.path, fixed_recursive_sha256(&StoreDir::default(), &name, &nar_hash));
    assert_eq!((added.nar_hash, added.nar_size), (nar_hash, nar_size));
    assert!(!added.already_there);
    assert!(store.add_tree(&name, &tree).unwrap().already_there);

    let info = store.path_info(&added.path).unwrap().unwrap();
    assert_eq!((info.nar_hash, info.nar_size), (nar_hash, Some(nar_size)));
    assert_eq!(info.content_address, Some(format!("fixed:r:{nar_hash}")));
    assert_eq!(Sha256Hash::of(&read(store, &added.path).unwrap()), nar_hash);
}

pub(super) fn a_nar_comes_back_as_it_was(site: &Site<'_>) {
    let store = site.store();
    let nars = [file(b""), file(b"x"), library(b"contents"), library(&vec![1; 100_000])];
    for (index, nar) in nars.iter().enumerate() {
        let new = offer(path(&format!("x-{index}")), nar);
        assert!(!add(store, &new, nar).unwrap());
        assert_eq!(read(store, &new.path).unwrap(), *nar);
    }
}

pub(super) fn what_is_there_is_left_unread(site: &Site<'_>) {
    let (store, nar) = (site.store(), library(b"contents"));
    let new = offer_by_content("x-1", &nar);
    assert!(!add(store, &new, &nar).unwrap());
    let mut again = nar.as_slice();
    assert!(store.add_nar(&new, &mut again, Trust::Caller).unwrap());
    assert_eq!(again.len(), nar.len());
}

/// Larger than any buffer on the way.
pub(super) fn a_large_nar_is_streamed(site: &Site<'_>) {
    const SIZE: u64 = 24 * 1024 * 1024;
    let store = site.store();
    let contents = || std::io::repeat(0x5a).take(SIZE);
    let mut nar = NarWriter::new(HashingWriter::new(std::io::sink())).unwrap();
    nar.file(false, SIZE, &mut contents()).unwrap();
    let (_, nar_hash, nar_size) = nar.finish().finish();

    let empty = file(b"");
    let (head, tail) = empty.split_at(empty.len() - 8 - 16);
    let head = [&head[..head.len()], &SIZE.to_le_bytes()].concat();
    let mut stream = head.chain(contents()).chain(&tail[8..]);
    let new = NewPath { nar_hash, nar_size, ..offer(path("large"), &empty) };
    assert!(!store.add_nar(&new, &mut stream, Trust::Caller).unwrap());

    let mut out = HashingWriter::new(std::io::sink());
    store.write_nar(&new.path, &mut out).unwrap();
    let (_, found_hash, found_size) = out.finish();
    assert_eq!((found_hash, found_size), (nar_hash, nar_size));
}

pub(super) fn references_are_kept(site: &Site<'_>) {
    let store = site.store();
    let mut needed = Vec::new();
    for name in ["z", "y", "x"] {
        let nar = file(name.as_bytes());
        let new = NewPath { references: needed.clone(), ..offer(path(name), &nar) };
        add(store, &new, &nar).unwrap();
        let mut wanted = needed.clone();
        wanted.sort();
        assert_eq!(store.path_info(&new.path).unwrap().unwrap().references, wanted);
        needed.push(new.path);
    }
}

pub(super) fn a_path_may_refer_to_itself(site: &Site<'_>) {
    let (store, nar) = (site.store(), file(b"my own path"));
    let mut new = offer(path("x-1"), &nar);
    new.references = vec![new.path.clone()];
    add(store, &new, &nar).unwrap();
    assert_eq!(store.path_info(&new.path).unwrap().unwrap().references, new.references);
}

pub(super) fn adders_of_one_path_meet(site: &Site<'_>) {
    let nar = library(&vec![3; 200_000]);
    let new = offer_by_content("x-1", &nar);
    let opener = site.opener();
    let add_it = || add(&*opener.open(), &new, &nar).unwrap();
    let there: Vec<bool> = std::thread::scope(|scope| {
        let adders: Vec<_> = (0..6).map(|_| scope.spawn(add_it)).collect();
        adders.into_iter().map(|adder| adder.join().unwrap()).collect()
    });
    assert!(there.contains(&false), "somebody added it");
    assert_eq!(read(site.store(), &new.path).unwrap(), nar);
    assert_eq!(site.store().paths().unwrap(), [new.path]);
}

pub(super) fn adders_of_many_paths_do_not_meet(site: &Site<'_>) {
    std::thread::scope(|scope| {
        for adder in 0..4 {
            let opener = site.opener();
            scope.spawn(move || {
                let store = opener.open();
                for round in 0..5 {
                    let name = format!("x-{adder}-{round}");
                    let nar = file(name.as_bytes());
                    assert!(!add(&*store, &offer(path(&name), &nar), &nar).unwrap());
                }
            });
        }
    });
    assert_eq!(site.store().paths().unwrap().len(), 20);
}
