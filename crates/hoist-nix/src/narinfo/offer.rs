//! Whether what a cache offers is taken.

use super::{Compression, NarInfo, OfferError, sorted};
use crate::{ContentAddress, HashAlgorithm, PublicKey, Signature, StoreDir, StorePath};

/// Size of the NAR of an empty directory, the smallest there is.
const NAR_MIN_SIZE: u64 = 96;

/// How many signers an error names.
const NAMED_SIGNERS: usize = 4;

/// Who vouches for what a cache offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voucher {
    /// The owner of the trusted key of this name.
    Key(String),
    /// The path itself, which follows from the content. For a tree by SHA-256, its NAR hash is
    /// that content; everything else must still be held against the content address once it is
    /// there, as adding it to a store does.
    Content,
}

impl NarInfo {
    /// Decides whether a cache may give the path `wanted` with this narinfo.
    ///
    /// A trusted key must have signed it, or its content address must fit the path. A content
    /// address that does not fit is refused even when signed: no signature covers it, and real
    /// Nix ends with an abort when it meets one.
    ///
    /// # Errors
    ///
    /// [`OfferError`] naming the first rule that it breaks.
    pub fn accept(
        &self,
        dir: &StoreDir,
        wanted: &StorePath,
        keys: &[PublicKey],
    ) -> Result<Voucher, OfferError> {
        if self.store_path != *wanted {
            let (found, wanted) = (self.store_path.clone(), wanted.clone());
            return Err(OfferError::OtherPath { found, wanted });
        }
        self.check_sizes()?;
        if let Some(content_address) = &self.content_address {
            self.check_content_address(dir, content_address)?;
        }
        if let Some(key) = self.signer(dir, keys) {
            return Ok(Voucher::Key(key.name().to_owned()));
        }
        let Some(content_address) = &self.content_address else {
            return Err(self.untrusted(keys));
        };
        match content_address.algorithm() {
            HashAlgorithm::Sha256 | HashAlgorithm::Sha512 => Ok(Voucher::Content),
            weak @ (HashAlgorithm::Md5 | HashAlgorithm::Sha1) => {
                Err(OfferError::WeakHash { path: wanted.clone(), kind: weak.name() })
            }
        }
    }

    fn check_sizes(&self) -> Result<(), OfferError> {
        let nar_size = self.nar_size;
        if nar_size < NAR_MIN_SIZE || !nar_size.is_multiple_of(8) {
            return Err(OfferError::NarSize { nar_size });
        }
        if self.compression != Compression::None {
            return Ok(());
        }
        if self.file_size.is_some_and(|file_size| file_size != nar_size) {
            return Err(OfferError::Uncompressed { what: "size" });
        }
        if self.file_hash.is_some_and(|file_hash| file_hash != self.nar_hash) {
            return Err(OfferError::Uncompressed { what: "hash" });
        }
        Ok(())
    }

    fn check_content_address(
        &self,
        dir: &StoreDir,
        content_address: &ContentAddress,
    ) -> Result<(), OfferError> {
        let path = self.store_path.clone();
        if let Err(source) = content_address.check_path(dir, &path, &self.references) {
            return Err(OfferError::ContentAddress { path, source });
        }
        match content_address {
            ContentAddress::Recursive(hash)
                if hash.algorithm() == HashAlgorithm::Sha256
                    && hash.as_bytes() != self.nar_hash.0 =>
            {
                let (content_address, nar_hash) = (content_address.clone(), self.nar_hash);
                Err(OfferError::OtherNar { path, content_address, nar_hash })
            }
            _ => Ok(()),
        }
    }

    /// Says why no trusted key vouches for it.
    fn untrusted(&self, keys: &[PublicKey]) -> OfferError {
        let path = self.store_path.clone();
        let names: Vec<&str> = self.signatures.iter().map(Signature::key_name).collect();
        if let Some(key) = keys.iter().find(|key| names.contains(&key.name())) {
            return OfferError::WrongSignature { path, key: key.name().to_owned() };
        }
        let names = sorted(&names);
        if names.is_empty() {
            return OfferError::Unsigned { path };
        }
        let quote = |name: &&&str| format!("`{name}`");
        let mut signers: Vec<String> = names.iter().take(NAMED_SIGNERS).map(quote).collect();
        if names.len() > NAMED_SIGNERS {
            signers.push(format!("{} more", names.len() - NAMED_SIGNERS));
        }
        OfferError::Untrusted { path, signers: signers.join(", ") }
    }
}
