//! Narinfos: what a binary cache says of a store path, and who vouches for it.
//!
//! Source: the chapter “Binary cache” of the Nix manual, and the recorded answers of Nix 2.8 and
//! 2.26 in `tests/fixtures`; `docs/formats/narinfo.md` tells where hoist is stricter.

mod error;
mod fingerprint;
mod offer;
mod parse;
#[cfg(test)]
mod properties;
mod url;

use std::fmt::Write as _;

pub use error::{NarInfoError, NarUrlError, OfferError};
pub use fingerprint::fingerprint;
pub use offer::Voucher;
pub use url::NarUrl;

use crate::{ContentAddress, PublicKey, SecretKey, Sha256Hash, Signature, StoreDir, StorePath};

/// How a NAR is compressed in a cache: what Nix writes, but for its rarest two, `lz4` and `compress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// XZ, what Nix writes unless told otherwise.
    Xz,
    /// bzip2, what a narinfo means that does not say.
    Bzip2,
    /// gzip.
    Gzip,
    /// Zstandard, what hoist writes.
    Zstd,
    /// Brotli.
    Brotli,
    /// lzip.
    Lzip,
    /// LZMA in the old format, before XZ.
    Lzma,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Xz,
        Self::Bzip2,
        Self::Gzip,
        Self::Zstd,
        Self::Brotli,
        Self::Lzip,
        Self::Lzma,
    ];

    /// The name in narinfos.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Lzip => "lzip",
            Self::Lzma => "lzma",
        }
    }

    /// What Nix puts behind `.nar` in the name of a file; nothing for gzip and LZMA.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None | Self::Gzip | Self::Lzma => "",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Lzip => ".lzip",
        }
    }
}

/// What a cache says of a store path.
///
/// It proves nothing by itself: [`accept`](Self::accept) asks who vouches for it, and only the
/// hash of the NAR shows that the bytes are the ones that were vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub store_path: StorePath,
    /// Where its NAR lies in the cache.
    pub url: NarUrl,
    /// How the NAR is compressed there.
    pub compression: Compression,
    /// SHA-256 of the file in the cache.
    pub file_hash: Option<Sha256Hash>,
    /// Size of the file in the cache, in bytes.
    pub file_size: Option<u64>,
    /// SHA-256 of the NAR.
    pub nar_hash: Sha256Hash,
    /// Size of the NAR in bytes.
    pub nar_size: u64,
    /// The paths that it needs, in any order; itself among them when it holds its own path.
    pub references: Vec<StorePath>,
    /// The derivation that it is an output of.
    pub deriver: Option<StorePath>,
    /// Signatures by those who vouch for it, in any order.
    pub signatures: Vec<Signature>,
    /// By what content it is named.
    pub content_address: Option<ContentAddress>,
}

impl NarInfo {
    /// Longest narinfo that is read, in bytes: room for ten thousand references.
    pub const MAX_LEN: usize = 1 << 20;

    /// Reads a narinfo of a store whose directory is `dir`.
    ///
    /// Unknown keys are passed over, as Nix does. References and signatures come out sorted as
    /// Nix sorts them, each once.
    ///
    /// # Errors
    ///
    /// [`NarInfoError`] naming the line and the rule it breaks.
    pub fn parse(dir: &StoreDir, bytes: &[u8]) -> Result<Self, NarInfoError> {
        parse::parse(dir, bytes)
    }

    /// Returns the text that Nix writes: its order of keys, references and signatures.
    #[must_use]
    pub fn print(&self, dir: &StoreDir) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{key}: {value}").expect("a string takes every text");
        };
        line("StorePath", &dir.print(&self.store_path));
        line("URL", &self.url);
        line("Compression", &self.compression.name());
        if let Some(file_hash) = &self.file_hash {
            line("FileHash", file_hash);
        }
        if let Some(file_size) = self.file_size {
            line("FileSize", &file_size);
        }
        line("NarHash", &self.nar_hash);
        line("NarSize", &self.nar_size);
        let references: Vec<&str> =
            sorted(&self.references).into_iter().map(StorePath::as_str).collect();
        line("References", &references.join(" "));
        if let Some(deriver) = &self.deriver {
            line("Deriver", deriver);
        }
        for signature in sorted(&texts(&self.signatures)) {
            line("Sig", signature);
        }
        if let Some(content_address) = &self.content_address {
            line("CA", content_address);
        }
        text
    }

    /// Returns what signatures are made of: see [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self, dir: &StoreDir) -> String {
        fingerprint(dir, &self.store_path, &self.nar_hash, self.nar_size, &self.references)
    }

    /// Adds the signature by `key`, in the place of any other that has the key's name.
    pub fn sign(&mut self, dir: &StoreDir, key: &SecretKey) {
        let signature = key.sign(self.fingerprint(dir).as_bytes());
        self.signatures.retain(|other| other.key_name() != signature.key_name());
        self.signatures.push(signature);
    }

    /// Returns the first of `keys` that made one of the signatures.
    #[must_use]
    pub fn signer<'k>(&self, dir: &StoreDir, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        let fingerprint = self.fingerprint(dir);
        let made_one = |key: &&PublicKey| {
            self.signatures.iter().any(|signature| key.verifies(fingerprint.as_bytes(), signature))
        };
        keys.iter().find(made_one)
    }
}

fn sorted<T: Ord>(items: &[T]) -> Vec<&T> {
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Nix sorts signatures by their texts.
fn texts(signatures: &[Signature]) -> Vec<String> {
    signatures.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorePathName;

    #[test]
    fn signing_twice_leaves_one_signature() {
        let dir = StoreDir::default();
        let name = StorePathName::parse("x-1").unwrap();
        let mut info = NarInfo {
            store_path: StorePath::new(&[1; 20], &name),
            url: NarUrl::parse("nar/x.nar").unwrap(),
            compression: Compression::None,
            file_hash: None,
            file_size: None,
            nar_hash: Sha256Hash::of(b""),
            nar_size: 120,
            references: Vec::new(),
            deriver: None,
            signatures: vec![Signature::new("b-1".to_owned(), [0; 64])],
            content_address: None,
        };
        let key = SecretKey::from_seed("b-1", &[7; 32]).unwrap();
        let keys = [key.to_public()];
        assert_eq!(info.signer(&dir, &keys), None);
        info.sign(&dir, &key);
        assert_eq!((info.signatures.len(), info.signer(&dir, &keys)), (1, Some(&keys[0])));

        info.sign(&dir, &SecretKey::from_seed("b", &[8; 32]).unwrap());
        let text = info.print(&dir);
        let signatures: Vec<&str> = text.lines().filter(|line| line.starts_with("Sig: ")).collect();
        assert!(signatures[0].starts_with("Sig: b-1:") && signatures[1].starts_with("Sig: b:"));
        assert_eq!(NarInfo::parse(&dir, text.as_bytes()).unwrap().print(&dir), text);
    }
}
