//! Narinfos.

use hoist_nix::{NarInfo, StoreDir};

/// Any bytes are refused, or are a narinfo whose text as Nix writes it says the same again.
///
/// # Panics
///
/// Where that does not hold.
pub fn narinfo(bytes: &[u8]) {
    let dir = StoreDir::default();
    let Ok(info) = NarInfo::parse(&dir, bytes) else { return };
    let text = info.print(&dir);
    let again = NarInfo::parse(&dir, text.as_bytes()).expect("what hoist writes it reads");
    assert_eq!(again.print(&dir), text, "printing it twice gives two texts");
    assert_eq!(again.fingerprint(&dir), info.fingerprint(&dir), "it lost what is signed");
}
