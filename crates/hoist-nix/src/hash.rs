//! Hashes, their texts, and writers that hash what passes through them.

use std::fmt;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::{HashError, base32, base64};

/// The kinds of hash that Nix names content by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// 16 bytes; broken, read only.
    Md5,
    /// 20 bytes; broken, read only.
    Sha1,
    /// 32 bytes; the one that hoist writes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in Nix's texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a hash in bytes.
    #[must_use]
    pub fn byte_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A hash of any kind that Nix has, for content addresses that others wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hash {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Hash {
    /// A hash that was computed; its bytes are as many as its kind has.
    pub(crate) fn new(algorithm: HashAlgorithm, bytes: Vec<u8>) -> Self {
        Self { algorithm, bytes }
    }

    /// Reads a hash in any of Nix's texts: `KIND:` and Nix base32, base16 or base64, or
    /// `KIND-` and base64.
    ///
    /// # Errors
    ///
    /// [`HashError`] naming what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let (name, _) = text.split_once([':', '-']).unwrap_or((text, ""));
        let algorithm = HashAlgorithm::from_name(name);
        let Some(algorithm) = algorithm else {
            let (text, found) = (text.to_owned(), name.to_owned());
            return Err(HashError::UnknownAlgorithm { text, found });
        };
        Self::parse_as(algorithm, text)
    }

    /// Reads a hash of one kind in any of Nix's texts, the kind's name being optional.
    ///
    /// # Errors
    ///
    /// [`HashError`] naming what is wrong with `text`.
    pub fn parse_as(algorithm: HashAlgorithm, text: &str) -> Result<Self, HashError> {
        let mut bytes = vec![0; algorithm.byte_len()];
        decode_any(algorithm, text, &mut bytes)?;
        Ok(Self { algorithm, bytes })
    }

    /// Which kind of hash it is.
    #[must_use]
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Its bytes, [`HashAlgorithm::byte_len`] of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// As `KIND:` and Nix base32.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), base32::encode(&self.bytes))
    }
}

impl From<Sha256Hash> for Hash {
    fn from(hash: Sha256Hash) -> Self {
        Self { algorithm: HashAlgorithm::Sha256, bytes: hash.0.to_vec() }
    }
}

/// A SHA-256 hash, the hash of everything that hoist writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hash(pub [u8; 32]);

impl Sha256Hash {
    /// Returns the hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads a hash in any of Nix's texts: Nix base32, base16 (of either case) or base64, each
    /// bare or after `sha256:`, or base64 after `sha256-`.
    ///
    /// # Errors
    ///
    /// [`HashError`] naming what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; 32];
        decode_any(HashAlgorithm::Sha256, text, &mut bytes)?;
        Ok(Self(bytes))
    }

    /// The 52 digits of Nix base32.
    #[must_use]
    pub fn nix32(&self) -> String {
        base32::encode(&self.0)
    }

    /// The 64 lower-case digits of base16.
    #[must_use]
    pub fn base16(&self) -> String {
        base16(&self.0)
    }

    /// The SRI text, `sha256-` and base64.
    #[must_use]
    pub fn sri(&self) -> String {
        format!("sha256-{}", base64::encode(&self.0))
    }
}

/// As `sha256:` and Nix base32, the text of narinfos and content addresses.
impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.nix32())
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Hash({self})")
    }
}

/// Hashes and counts the bytes written to it.
#[derive(Debug, Clone, Default)]
pub struct Sha256Hasher {
    state: Sha256,
    size: u64,
}

impl Sha256Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Returns the hash of all bytes, and how many they were.
    #[must_use]
    pub fn finish(self) -> (Sha256Hash, u64) {
        (Sha256Hash(self.state.finalize().into()), self.size)
    }
}

impl Write for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes bytes on to another writer while hashing and counting them.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what is written to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256Hasher::new() }
    }

    /// Returns the writer, the hash of what it took, and how many bytes that were.
    pub fn finish(self) -> (W, Sha256Hash, u64) {
        let (hash, size) = self.hasher.finish();
        (self.inner, hash, size)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the lower-case base16 text of `bytes`.
pub(crate) fn base16(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(hex_digit).collect()
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).expect("four bits are a digit")
}

/// Reads `text` into `bytes`, telling the encodings apart by their lengths as Nix does.
fn decode_any(algorithm: HashAlgorithm, text: &str, bytes: &mut [u8]) -> Result<(), HashError> {
    let wanted = algorithm.name();
    let digits = match text.split_once([':', '-']) {
        None => text,
        Some((name, digits)) if name == wanted => {
            if text[name.len()..].starts_with('-') {
                return base64::decode_into(digits, bytes);
            }
            digits
        }
        Some((name, _)) => {
            let (text, found) = (text.to_owned(), name.to_owned());
            return Err(HashError::OtherAlgorithm { text, found, wanted });
        }
    };
    let base16_len = bytes.len() * 2;
    let base32_len = base32::encoded_len(bytes.len());
    let base64_len = bytes.len().div_ceil(3) * 4;
    if digits.len() == base16_len {
        decode_base16(digits, bytes)
    } else if digits.len() == base32_len {
        base32::decode_into(digits, bytes)
    } else if digits.len() == base64_len {
        base64::decode_into(digits, bytes)
    } else {
        Err(HashError::Length {
            text: digits.to_owned(),
            found: digits.chars().count(),
            wanted: format!("{base16_len}, {base32_len} or {base64_len}"),
        })
    }
}

fn decode_base16(digits: &str, bytes: &mut [u8]) -> Result<(), HashError> {
    let mut values = digits.char_indices().map(|(index, found)| match found.to_digit(16) {
        Some(value) => Ok(u8::try_from(value).expect("a digit of base16 is below 16")),
        None => Err(HashError::Base16Digit { text: digits.to_owned(), index, found }),
    });
    for byte in bytes {
        let mut value = || values.next().expect("the caller checked the length");
        *byte = value()? << 4 | value()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_text_of_a_hash_reads_back() {
        let hash = Sha256Hash::of(b"");
        assert_eq!(hash.base16(), EMPTY);
        assert_eq!(hash.sri(), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        let texts = [
            hash.base16(),
            hash.base16().to_uppercase(),
            hash.nix32(),
            hash.sri(),
            hash.to_string(),
            format!("sha256:{}", hash.base16()),
        ];
        for text in texts {
            assert_eq!(Sha256Hash::parse(&text), Ok(hash), "{text}");
        }
    }

    #[test]
    fn refuses_the_hash_of_another_kind() {
        let refusal = Sha256Hash::parse("sha1:n9hhqy7rh32yky794m3l9bw711qjc93j").unwrap_err();
        assert!(refusal.to_string().ends_with("is a hash of kind `sha1`, wanted `sha256`"));
    }

    #[test]
    fn a_hashing_writer_hashes_only_what_was_taken() {
        let mut two_bytes = [0; 2];
        let mut writer = HashingWriter::new(&mut two_bytes[..]);
        assert_eq!(writer.write(b"abc").unwrap(), 2);
        let (_, hash, size) = writer.finish();
        assert_eq!((hash, size), (Sha256Hash::of(b"ab"), 2));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(sha256[:-])?.{0,66}") {
            let _ = Sha256Hash::parse(&text);
            let _ = Hash::parse(&text);
        }
    }
}
