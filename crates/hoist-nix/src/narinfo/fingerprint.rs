//! What a signature of a store path says.

use super::sorted;
use crate::{Sha256Hash, StoreDir, StorePath};

/// Returns what Nix's signatures are made of: version, path, NAR hash, NAR size in bytes and
/// references, the last as full paths, sorted.
///
/// Deriver, content address, and all that is said of the file in a cache are not covered.
///
/// Source: `ValidPathInfo::fingerprint` of Nix, as shown under “Signatures” in the Nix manual.
#[must_use]
pub fn fingerprint(
    dir: &StoreDir,
    path: &StorePath,
    nar_hash: &Sha256Hash,
    nar_size: u64,
    references: &[StorePath],
) -> String {
    let references: Vec<String> =
        sorted(references).into_iter().map(|reference| dir.print(reference)).collect();
    format!("1;{};{nar_hash};{nar_size};{}", dir.print(path), references.join(","))
}
