//! Whose word is good.

use hoist_nix::{SecretKey, Sha256Hash, Signature, StoreDir};
use hoist_store::{NewPath, Trust};

use crate::archives::{add, file, offer, offer_by_content, path};
use crate::site::Site;

fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(name, &Sha256Hash::of(name.as_bytes()).0).unwrap()
}

/// Written out here: the fingerprint is what the store must not get wrong.
fn sign(new: &NewPath, key: &SecretKey) -> Signature {
    let dir = StoreDir::default();
    let mut references: Vec<_> = new.references.iter().map(|path| dir.print(path)).collect();
    references.sort();
    let (path, references) = (dir.print(&new.path), references.join(","));
    key.sign(format!("1;{path};{};{};{references}", new.nar_hash, new.nar_size).as_bytes())
}

pub(super) fn an_unsigned_path_is_refused(site: &Site<'_>) {
    let (store, nar) = (site.store(), file(b"contents"));
    let (trusted, other) = (key("trusted"), key("other-1"));
    let keys = [trusted.to_public()];
    let honest = offer(path("x-1"), &nar);
    let said_of_another = sign(&offer(path("y-1"), &nar), &trusted);
    let with = |signature| NewPath { signatures: vec![signature], ..honest.clone() };
    for new in [honest.clone(), with(sign(&honest, &other)), with(said_of_another)] {
        store.add_nar(&new, &mut nar.as_slice(), Trust::Keys(&keys)).unwrap_err();
        store.add_nar(&new, &mut nar.as_slice(), Trust::Keys(&[])).unwrap_err();
        assert!(!store.is_valid(&new.path).unwrap());
    }
}

pub(super) fn a_signed_path_is_taken(site: &Site<'_>) {
    let (store, nar) = (site.store(), file(b"contents"));
    let (trusted, other) = (key("trusted"), key("other-1"));
    let needed = offer(path("needed"), &nar);
    add(store, &needed, &nar).unwrap();
    let mut new = offer(path("x-1"), &nar);
    new.references = vec![needed.path, new.path.clone()];
    new.signatures = vec![sign(&new, &other), sign(&new, &trusted)];
    let keys = [key("unused-key").to_public(), trusted.to_public()];
    assert!(!store.add_nar(&new, &mut nar.as_slice(), Trust::Keys(&keys)).unwrap());
    let info = store.path_info(&new.path).unwrap().unwrap();
    let mut wanted: Vec<_> = new.signatures.iter().map(ToString::to_string).collect();
    wanted.sort();
    assert_eq!(info.signatures, wanted);
}

pub(super) fn content_vouches_for_itself(site: &Site<'_>) {
    let (store, nar) = (site.store(), file(b"contents"));
    let new = offer_by_content("x-1", &nar);
    assert!(!store.add_nar(&new, &mut nar.as_slice(), Trust::Keys(&[])).unwrap());
    let address = new.content_address.map(|address| address.to_string());
    assert_eq!(store.path_info(&new.path).unwrap().unwrap().content_address, address);
}

pub(super) fn signatures_are_added_once(site: &Site<'_>) {
    let (store, nar) = (site.store(), file(b"contents"));
    let mut new = offer(path("x-1"), &nar);
    let first = sign(&new, &key("first"));
    new.signatures = vec![first.clone()];
    add(store, &new, &nar).unwrap();
    let second = sign(&new, &key("second"));
    store.add_signatures(&new.path, &[second.clone(), first.clone()]).unwrap();
    store.add_signatures(&new.path, std::slice::from_ref(&second)).unwrap();
    for store in [store, &*site.open()] {
        let info = store.path_info(&new.path).unwrap().unwrap();
        assert_eq!(info.signatures, [first.to_string(), second.to_string()]);
    }
}
