//! What no store takes.

use std::fs;
use std::io::{self, Read};

use hoist_nix::{ContentAddress, Sha256Hash, StorePathName};
use hoist_store::{NewPath, StoreError, Trust};

use crate::archives::{add, file, library, offer, offer_by_content, path, read};
use crate::site::Site;

/// Tries to add `new` from `nar` and finds nothing of it afterwards. The store still works: it takes
/// what it is told the truth of.
fn refused(site: &Site<'_>, new: &NewPath, nar: &[u8]) -> StoreError {
    let store = site.store();
    let refusal = add(store, new, nar).unwrap_err();
    assert!(!store.is_valid(&new.path).unwrap(), "{refusal}");
    let there = site.root().join("nix/store").join(new.path.as_str());
    assert!(fs::symlink_metadata(&there).is_err(), "{} is there: {refusal}", there.display());
    refusal
}

fn taken(site: &Site<'_>, nar: &[u8]) {
    let new = offer(path("x-1"), nar);
    assert!(!add(site.store(), &new, nar).unwrap());
    assert_eq!(read(site.store(), &new.path).unwrap(), nar);
}

pub(super) fn another_nar_is_refused(site: &Site<'_>) {
    let nar = library(b"contents");
    let new = offer(path("x-1"), &nar);
    refused(site, &new, &library(b"Contents"));
    refused(site, &NewPath { nar_hash: Sha256Hash::of(b""), ..new }, &nar);
    taken(site, &nar);
}

pub(super) fn another_size_is_refused(site: &Site<'_>) {
    let nar = library(b"contents");
    for nar_size in [0, nar.len() as u64 - 8, nar.len() as u64 + 8, u64::MAX] {
        refused(site, &NewPath { nar_size, ..offer(path("x-1"), &nar) }, &nar);
    }
    taken(site, &nar);
}

/// Whether hash and size were said of the archive or of all that is sent.
pub(super) fn what_follows_a_nar_is_refused(site: &Site<'_>) {
    let nar = library(b"contents");
    for trailing in [&b"x"[..], &[0; 8], &nar] {
        let sent = [&nar, trailing].concat();
        refused(site, &offer(path("x-1"), &sent), &sent);
        refused(site, &offer(path("x-1"), &nar), &sent);
    }
    taken(site, &nar);
}

pub(super) fn a_nar_cut_anywhere_is_refused(site: &Site<'_>) {
    let nar = library(b"contents");
    for len in (0..nar.len()).step_by(56) {
        refused(site, &offer(path("x-1"), &nar), &nar[..len]);
    }
    taken(site, &nar);
}

/// Breaks in the middle, as a connection does.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

pub(super) fn a_source_that_fails_is_told(site: &Site<'_>) {
    let nar = library(&vec![5; 200_000]);
    let new = offer(path("x-1"), &nar);
    for len in [0, 100, 100_000] {
        let broken = &mut Broken(&nar[..len]);
        let store = site.open();
        store.add_nar(&new, broken, Trust::Caller).unwrap_err();
        assert!(!site.open().is_valid(&new.path).unwrap());
    }
    taken(site, &nar);
}

pub(super) fn a_missing_reference_is_refused(site: &Site<'_>) {
    let (nar, needed) = (file(b"needs another"), file(b"needed"));
    let mut new = offer(path("x-1"), &nar);
    new.references = vec![path("needed")];
    refused(site, &new, &nar);
    add(site.store(), &offer(path("needed"), &needed), &needed).unwrap();
    add(site.store(), &new, &nar).unwrap();
}

pub(super) fn another_content_address_is_refused(site: &Site<'_>) {
    let nar = file(b"contents");
    let honest = offer_by_content("x-1", &nar);
    // The path of another content.
    refused(site, &NewPath { path: path("x-1"), ..honest.clone() }, &nar);
    // The address of another content, and the path that goes with it.
    let other = offer_by_content("x-1", &file(b"other"));
    let (path, content_address) = (other.path, other.content_address);
    refused(site, &NewPath { path, content_address, ..honest.clone() }, &nar);
    // The address of these bytes, of a file that has others.
    let flat = ContentAddress::Flat(Sha256Hash::of(b"other contents").into());
    let name = StorePathName::parse("x-1").unwrap();
    let path = flat.store_path(site.store().dir(), &name, &[]).unwrap();
    refused(site, &NewPath { path, content_address: Some(flat), ..honest.clone() }, &nar);
    assert!(!add(site.store(), &honest, &nar).unwrap());
}

pub(super) fn a_self_reference_by_content_is_refused(site: &Site<'_>) {
    let nar = file(b"contents");
    let mut new = offer_by_content("x-1", &nar);
    new.references = vec![new.path.clone()];
    let refusal = refused(site, &new, &nar);
    let mut said = refusal.to_string();
    let mut source = std::error::Error::source(&refusal);
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    assert!(said.contains("refers to itself"), "{said}");
}

pub(super) fn a_pipe_in_a_tree_is_refused(site: &Site<'_>) {
    let tree = site.path("tree");
    fs::create_dir(&tree).unwrap();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, tree.join("pipe"), kind, mode, 0).unwrap();
    let name = StorePathName::parse("x-1").unwrap();
    let refusal = site.store().add_tree(&name, &tree).unwrap_err();
    assert!(refusal.to_string().contains("named pipe"), "{refusal}");
    assert_eq!(site.open().paths().unwrap(), []);
}
