//! Hashing in any of the ways that Nix names content by.

use std::io::{self, Write};

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::{Hash, HashAlgorithm};

/// Hashes the bytes written to it, in a kind that is known at run time; for SHA-256,
/// [`Sha256Hasher`](crate::Sha256Hasher) also counts them.
///
/// ```
/// use hoist_nix::{HashAlgorithm, Hasher};
///
/// let mut hasher = Hasher::new(HashAlgorithm::Sha1);
/// hasher.update(b"abc");
/// assert_eq!(hasher.finish().to_string(), "sha1:kpcd173cq987hw957sx6m0868wv3x6d9");
/// ```
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Md5 => State::Md5(Md5::new()),
            HashAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the hash of all bytes.
    #[must_use]
    pub fn finish(self) -> Hash {
        match self.0 {
            State::Md5(state) => Hash::new(HashAlgorithm::Md5, state.finalize().to_vec()),
            State::Sha1(state) => Hash::new(HashAlgorithm::Sha1, state.finalize().to_vec()),
            State::Sha256(state) => Hash::new(HashAlgorithm::Sha256, state.finalize().to_vec()),
            State::Sha512(state) => Hash::new(HashAlgorithm::Sha512, state.finalize().to_vec()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of `abc` in RFC 1321, RFC 3174 and FIPS 180-4.
    #[test]
    fn hashes_are_those_of_the_standards() {
        let wanted = [
            "md5:900150983cd24fb0d6963f7d28e17f72",
            "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for text in wanted {
            let wanted = Hash::parse(text).unwrap();
            let mut hasher = Hasher::new(wanted.algorithm());
            hasher.write_all(b"a").unwrap();
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), wanted);
        }
    }
}
