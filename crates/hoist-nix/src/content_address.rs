//! Content addresses and the store paths that follow from them.
//!
//! Source: the chapter “Store path specification” of the Nix manual.

use std::fmt;

use crate::hash::base16;
use crate::{
    Hash, HashAlgorithm, HashError, Sha256Hash, StoreDir, StorePath, StorePathError, StorePathName,
};

/// By what content a store path is named, the `ca` of a store database and a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ContentAddress {
    /// A file by its bytes and its references, as `builtins.toFile` makes it.
    Text(Sha256Hash),
    /// A file by its bytes.
    Flat(Hash),
    /// A tree by its NAR; with SHA-256, the address of everything that hoist adds.
    Recursive(Hash),
}

impl ContentAddress {
    /// Reads `text:sha256:…`, `fixed:KIND:…` or `fixed:r:KIND:…`, the hash in Nix base32: what
    /// is accepted prints as the same text again.
    ///
    /// # Errors
    ///
    /// [`HashError`] naming what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let refused = || HashError::ContentAddress { text: text.to_owned() };
        let address = if let Some(hash) = text.strip_prefix("text:") {
            Self::Text(Sha256Hash::parse(hash)?)
        } else if let Some(hash) = text.strip_prefix("fixed:r:") {
            Self::Recursive(Hash::parse(hash)?)
        } else if let Some(hash) = text.strip_prefix("fixed:") {
            Self::Flat(Hash::parse(hash)?)
        } else {
            return Err(refused());
        };
        if address.to_string() == text { Ok(address) } else { Err(refused()) }
    }

    /// Which kind of hash names the content.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        match self {
            Self::Text(_) => HashAlgorithm::Sha256,
            Self::Flat(hash) | Self::Recursive(hash) => hash.algorithm(),
        }
    }

    /// Returns the path of this content with the given name and references.
    ///
    /// The path itself cannot be among its references, as it follows from them;
    /// [`check_path`](Self::check_path) refuses what claims so.
    ///
    /// # Errors
    ///
    /// [`StorePathError::References`] when there are references and the content is neither a
    /// text nor a tree by SHA-256.
    pub fn store_path(
        &self,
        dir: &StoreDir,
        name: &StorePathName,
        references: &[StorePath],
    ) -> Result<StorePath, StorePathError> {
        let mut sorted: Vec<&StorePath> = references.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let with_references = |kind: &str| {
            let print = |reference| format!(":{}", dir.print(reference));
            kind.to_owned() + &sorted.iter().copied().map(print).collect::<String>()
        };
        match self {
            Self::Text(hash) => Ok(make_path(dir, name, &with_references("text"), &hash.0)),
            Self::Recursive(hash) if hash.algorithm() == HashAlgorithm::Sha256 => {
                Ok(make_path(dir, name, &with_references("source"), hash.as_bytes()))
            }
            Self::Flat(_) | Self::Recursive(_) if !references.is_empty() => {
                Err(StorePathError::References { content_address: self.to_string() })
            }
            Self::Flat(hash) => Ok(make_fixed_output_path(dir, name, "", hash)),
            Self::Recursive(hash) => Ok(make_fixed_output_path(dir, name, "r:", hash)),
        }
    }

    /// Checks that `path` is the path of this content with the given references.
    ///
    /// # Errors
    ///
    /// [`StorePathError::SelfReference`] when `path` is among `references`: Nix names such a path
    /// by the hash of its NAR without its own hash part, and 2.8 and 2.26 do so differently, so
    /// that neither takes the other's. [`StorePathError::OtherContent`] when the content has
    /// another path, else as [`store_path`](Self::store_path).
    pub fn check_path(
        &self,
        dir: &StoreDir,
        path: &StorePath,
        references: &[StorePath],
    ) -> Result<(), StorePathError> {
        if references.contains(path) {
            return Err(StorePathError::SelfReference { path: dir.print(path) });
        }
        let name = StorePathName::parse(path.name())?;
        let computed = self.store_path(dir, &name, references)?;
        if computed == *path {
            return Ok(());
        }
        Err(StorePathError::OtherContent {
            path: dir.print(path),
            content_address: self.to_string(),
            computed: dir.print(&computed),
        })
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(hash) => write!(f, "text:{hash}"),
            Self::Flat(hash) => write!(f, "fixed:{hash}"),
            Self::Recursive(hash) => write!(f, "fixed:r:{hash}"),
        }
    }
}

/// Returns the path of a tree without references whose NAR has the SHA-256 `nar_hash`, as
/// `nix-store --add-fixed --recursive sha256` names it.
#[must_use]
pub fn fixed_recursive_sha256(
    dir: &StoreDir,
    name: &StorePathName,
    nar_hash: &Sha256Hash,
) -> StorePath {
    make_path(dir, name, "source", &nar_hash.0)
}

/// Content that is named neither by SHA-256 of its NAR nor as a text has a path of its own kind.
fn make_fixed_output_path(
    dir: &StoreDir,
    name: &StorePathName,
    method: &str,
    hash: &Hash,
) -> StorePath {
    let (algorithm, digits) = (hash.algorithm().name(), base16(hash.as_bytes()));
    let inner = Sha256Hash::of(format!("fixed:out:{method}{algorithm}:{digits}:").as_bytes());
    make_path(dir, name, "output:out", &inner.0)
}

/// The path of what `kind` and `inner`, a hash, identify.
pub(crate) fn make_path(
    dir: &StoreDir,
    name: &StorePathName,
    kind: &str,
    inner: &[u8],
) -> StorePath {
    let inner = base16(inner);
    let fingerprint = Sha256Hash::of(format!("{kind}:sha256:{inner}:{dir}:{name}").as_bytes());
    let mut digest = [0; 20];
    for (index, byte) in fingerprint.0.into_iter().enumerate() {
        digest[index % 20] ^= byte;
    }
    StorePath::new(&digest, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_content_addresses_read_back() {
        let hash = Sha256Hash::of(b"x");
        let addresses = [
            ContentAddress::Text(hash),
            ContentAddress::Flat(hash.into()),
            ContentAddress::Recursive(hash.into()),
        ];
        for address in addresses {
            assert_eq!(ContentAddress::parse(&address.to_string()), Ok(address));
        }
        let other_texts = [
            format!("text:{}", hash.nix32()),
            format!("text:sha256:{hash}"),
            format!("fixed:r:sha256:{}", hash.base16()),
            format!("fixed:r:{}", hash.sri()),
        ];
        for text in other_texts {
            assert!(ContentAddress::parse(&text).is_err(), "{text}");
        }
        assert!(ContentAddress::parse("fixed:git:sha1:x").is_err());
        assert!(ContentAddress::parse("nar:sha256:x").is_err());
    }

    #[test]
    fn the_kind_of_the_hash_is_said_with_a_colon() {
        let hash = Sha256Hash::of(b"x");
        for text in [hash.nix32(), hash.sri()] {
            assert!(ContentAddress::parse(&format!("text:{text}")).is_err(), "{text}");
            assert!(ContentAddress::parse(&format!("fixed:r:{text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_is_held_against_its_content() {
        let name = StorePathName::parse("x").unwrap();
        let dir = StoreDir::default();
        let address = ContentAddress::Recursive(Sha256Hash::of(b"x").into());
        let path = address.store_path(&dir, &name, &[]).unwrap();
        assert_eq!(address.check_path(&dir, &path, &[]), Ok(()));

        let other = fixed_recursive_sha256(&dir, &name, &Sha256Hash::of(b"other"));
        let refusal = address.check_path(&dir, &other, &[]).unwrap_err().to_string();
        assert!(refusal.contains(&format!("is that of `{}`", dir.print(&path))), "{refusal}");

        let refusal = address.check_path(&dir, &path, std::slice::from_ref(&path)).unwrap_err();
        assert_eq!(refusal, StorePathError::SelfReference { path: dir.print(&path) });
    }

    #[test]
    fn a_flat_file_cannot_have_references() {
        let name = StorePathName::parse("x").unwrap();
        let dir = StoreDir::default();
        let other = fixed_recursive_sha256(&dir, &name, &Sha256Hash::of(b"other"));
        let address = ContentAddress::Flat(Sha256Hash::of(b"x").into());
        assert!(address.store_path(&dir, &name, &[other]).is_err());
        assert!(address.store_path(&dir, &name, &[]).is_ok());
    }
}
