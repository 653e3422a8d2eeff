//! Store paths in any text.

use std::collections::BTreeSet;

use hoist_nix::StorePath;

/// Digits of the hash part of a store path.
const HASH_PART_LEN: usize = 32;

/// Returns what reads as a store path directly behind a slash, wherever that is.
///
/// Where the store directory lies for who wrote the text is not known: it may be mounted anywhere,
/// or be reached through symlinks.
pub(super) fn mentions(text: &[u8]) -> BTreeSet<StorePath> {
    let behind_slashes = text.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
    behind_slashes.filter_map(|(slash, _)| store_path(&text[slash + 1..])).collect()
}

/// The store path that a text begins with.
fn store_path(text: &[u8]) -> Option<StorePath> {
    if text.get(HASH_PART_LEN) != Some(&b'-') {
        return None;
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    let end = text.iter().position(|&byte| !is_of_name(byte)).unwrap_or(text.len());
    StorePath::parse(str::from_utf8(&text[..end]).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt";
    const B: &str = "9lmb9zc64dc71qv5z0yjqdm0a3d0fj13-apkg-1.0";

    fn found(text: &str) -> Vec<String> {
        mentions(text.as_bytes()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_are_found_wherever_the_store_lies() {
        assert_eq!(found(&format!("/nix/store/{A}/lib/x.so")), [A]);
        assert_eq!(found(&format!("/a root/nix/store/{A}")), [A]);
        assert_eq!(found(&format!("PATH=/bin:/r/nix/store/{A}/bin:/nix/store/{B}\0X=1")), [B, A]);
        assert_eq!(found(&format!("7f00-7f01 r-xp 00 08:01 1   /nix/store/{A} (deleted)\n")), [A]);
    }

    #[test]
    fn other_words_are_none() {
        for text in ["", "/", "/nix/store", "/nix/store/x", A, &format!("/{}", &A[..32])] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        let wrong_digit = format!("/nix/store/e{}", &A[1..]);
        assert_eq!(found(&wrong_digit), [""; 0]);
    }

    proptest! {
        /// Whatever processes write, it is only read.
        #[test]
        fn any_bytes_are_searched(text in prop::collection::vec(any::<u8>(), 0..200)) {
            mentions(&text);
        }
    }
}
