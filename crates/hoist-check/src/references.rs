//! Store paths that the file names.

use std::collections::BTreeMap;

use hoist_nix::StorePath;
use memchr::memmem;

use crate::report::{About, Judge};
use crate::rule::STORE_REFERENCE_LOST;

const STORE: &str = "/nix/store/";

/// Longest base name of a store path, in bytes: 32 digits, a dash, a name of up to 211. Source: the
/// Nix manual, “Store path”.
const MOST_BASE_NAME_BYTES: usize = 32 + 1 + 211;

/// Reports store paths that the file names and its own store path does not keep.
pub(crate) fn check(judge: &mut Judge<'_>, bytes: &[u8]) {
    let Some(kept) = &judge.contract.references else { return };
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for at in memmem::find_iter(bytes, STORE) {
        let rest = &bytes[at + STORE.len()..];
        let most = rest.iter().take(MOST_BASE_NAME_BYTES);
        let length = most.take_while(|byte| is_name_byte(**byte)).count();
        let Ok(text) = std::str::from_utf8(&rest[..length]) else { continue };
        let Ok(path) = StorePath::parse(text) else { continue };
        if !kept.iter().any(|part| part == path.hash_part()) {
            named.entry(text.to_owned()).or_insert(at);
        }
    }
    let found: Vec<About> = named
        .into_iter()
        .map(|(path, at)| About {
            symbol: None,
            object: Some(path.clone()),
            message: format!(
                "`{STORE}{path}` is in the file at offset {at:#x}, but is no reference of its \
                 store path: Nix may collect it"
            ),
        })
        .collect();
    let fix = "put what it needs into the artifact and find it through `$ORIGIN`, or build it where \
               nothing of the store is in sight";
    judge.report_each(&STORE_REFERENCE_LOST, &found, fix);
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte)
}
