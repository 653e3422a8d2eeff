//! Holding the content of an archive against a content address while it passes by.

use hoist_nix::{ContentAddress, HashAlgorithm, Hasher, Sha256Hash};

use crate::{AddNarError, NewPath};

/// How the archive of every file begins.
const FILE: &[u8; 72] = b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0\
    \x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0\
    \x04\0\0\0\0\0\0\0type\0\0\0\0\
    \x07\0\0\0\0\0\0\0regular\0";

/// How that of an executable one goes on.
const EXECUTABLE: &[u8; 24] = b"\x0a\0\0\0\0\0\0\0executable\0\0\0\0\0\0";

/// Hashes that part of an archive by which its path is named, unless it is all of it by SHA-256.
pub(super) enum ContentCheck {
    /// The hash of the archive says it all.
    NotNeeded,
    /// The archive by another hash.
    Archive(Hasher),
    /// The bytes of a file.
    File(FileHasher),
}

/// Hashes the contents of the file that an archive consists of.
pub(super) struct FileHasher {
    hasher: Hasher,
    /// What comes before the contents, as far as it was seen.
    head: Vec<u8>,
    /// How many bytes of the contents are still to come, once that is known.
    left: u64,
}

impl ContentCheck {
    pub(super) fn new(address: Option<&ContentAddress>) -> Self {
        match address {
            Some(ContentAddress::Recursive(hash)) if hash.algorithm() != HashAlgorithm::Sha256 => {
                Self::Archive(Hasher::new(hash.algorithm()))
            }
            Some(ContentAddress::Flat(hash)) => Self::File(FileHasher::new(hash.algorithm())),
            Some(ContentAddress::Text(_)) => Self::File(FileHasher::new(HashAlgorithm::Sha256)),
            Some(ContentAddress::Recursive(_)) | None => Self::NotNeeded,
        }
    }

    /// Looks at the next bytes of the archive.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::NotNeeded => {}
            Self::Archive(hasher) => hasher.update(bytes),
            Self::File(file) => file.update(bytes),
        }
    }

    /// Judges an archive that was seen as a whole, is well-formed and has the hash `nar_hash`.
    pub(super) fn finish(self, new: &NewPath, nar_hash: Sha256Hash) -> Result<(), AddNarError> {
        let Some(address) = &new.content_address else { return Ok(()) };
        let found = match (self, address) {
            (Self::NotNeeded, _) => Some(ContentAddress::Recursive(nar_hash.into())),
            (Self::Archive(hasher), _) => Some(ContentAddress::Recursive(hasher.finish())),
            (Self::File(file), _) if !file.head.starts_with(FILE) => None,
            // No text is executable; of other files the bytes do not say whether they are.
            (Self::File(file), ContentAddress::Text(_)) if file.is_executable() => None,
            (Self::File(file), ContentAddress::Text(_)) => {
                Sha256Hash::parse(&file.hasher.finish().to_string()).ok().map(ContentAddress::Text)
            }
            (Self::File(file), _) => Some(ContentAddress::Flat(file.hasher.finish())),
        };
        if found.as_ref() == Some(address) {
            return Ok(());
        }
        let found = match found {
            Some(found) => format!("`{found}`"),
            None => "something that is no such file".to_owned(),
        };
        let (path, content_address) = (new.path.clone(), address.to_string());
        Err(AddNarError::Content { path, content_address, found })
    }
}

impl FileHasher {
    fn new(algorithm: HashAlgorithm) -> Self {
        Self { hasher: Hasher::new(algorithm), head: Vec::new(), left: 0 }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while self.head.len() < self.head_len() && !bytes.is_empty() {
            let (begin, rest) = bytes.split_at(bytes.len().min(self.head_len() - self.head.len()));
            self.head.extend_from_slice(begin);
            bytes = rest;
            let size = self.head.last_chunk().filter(|_| self.head.len() == self.head_len());
            self.left = size.map_or(0, |size| u64::from_le_bytes(*size));
        }
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.hasher.update(&bytes[..count]);
        self.left -= count as u64;
    }

    /// How many bytes come before the contents, as far as it is known: words, and the size last.
    fn head_len(&self) -> usize {
        let [empty, contents, size] = [8, 16, 8];
        let executable = if self.is_executable() { EXECUTABLE.len() + empty } else { 0 };
        FILE.len() + executable + contents + size
    }

    fn is_executable(&self) -> bool {
        self.head.get(FILE.len()..).is_some_and(|rest| rest.starts_with(EXECUTABLE))
    }
}

#[cfg(test)]
mod tests {
    use hoist_nix::{Hash, NarWriter, StorePath};

    use super::*;

    fn judge(nar: &[u8], address: ContentAddress, piece_len: usize) -> Result<(), AddNarError> {
        let nar_hash = Sha256Hash::of(nar);
        let new = NewPath {
            path: StorePath::parse("00000000000000000000000000000000-x").unwrap(),
            nar_hash,
            nar_size: nar.len() as u64,
            deriver: None,
            references: Vec::new(),
            signatures: Vec::new(),
            content_address: Some(address),
        };
        let mut check = ContentCheck::new(new.content_address.as_ref());
        nar.chunks(piece_len).for_each(|piece| check.update(piece));
        check.finish(&new, nar_hash)
    }

    fn nar_of(contents: &[u8], executable: bool) -> Vec<u8> {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.file(executable, contents.len() as u64, &mut &contents[..]).unwrap();
        nar.finish()
    }

    fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> Hash {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn content_of_every_kind_is_found_in_pieces_of_every_size() {
        let contents = b"contents of a file";
        let (sha1, sha256) = (HashAlgorithm::Sha1, HashAlgorithm::Sha256);
        for (executable, piece_len) in [(false, 1), (false, 7), (true, 1), (true, 90), (true, 999)]
        {
            let nar = nar_of(contents, executable);
            for address in [
                ContentAddress::Flat(hash(sha1, contents)),
                ContentAddress::Flat(hash(sha256, contents)),
                ContentAddress::Recursive(hash(sha1, &nar)),
                ContentAddress::Recursive(hash(sha256, &nar)),
            ] {
                judge(&nar, address.clone(), piece_len).unwrap();
                judge(&nar_of(b"other contents", executable), address, piece_len).unwrap_err();
            }
        }
    }

    #[test]
    fn a_text_is_a_file_that_is_not_executable() {
        let address = ContentAddress::Text(Sha256Hash::of(b"x"));
        judge(&nar_of(b"x", false), address.clone(), 64).unwrap();
        judge(&nar_of(b"y", false), address.clone(), 64).unwrap_err();
        let refusal = judge(&nar_of(b"x", true), address, 64).unwrap_err().to_string();
        assert!(refusal.contains("something that is no such file"), "{refusal}");
    }

    #[test]
    fn a_directory_has_no_bytes_to_be_named_by() {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.directory().unwrap();
        nar.end_directory().unwrap();
        let address = ContentAddress::Flat(hash(HashAlgorithm::Sha256, b""));
        judge(&nar.finish(), address.clone(), 64).unwrap_err();
        judge(b"", address, 64).unwrap_err();
    }
}
