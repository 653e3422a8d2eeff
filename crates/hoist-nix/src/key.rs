//! Ed25519 keys as Nix writes them: `NAME:BASE64`.

use std::fmt;

use ed25519_dalek::VerifyingKey;

use crate::{Signature, SignatureError, base64};

/// A key that signatures are held against, such as `cache.nixos.org-1:6NCH…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads `NAME:BASE64`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] naming what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let split = text.split_once(':').filter(|(name, _)| !name.is_empty());
        let Some((name, digits)) = split else {
            return Err(SignatureError::NoKeyName { text: text.to_owned() });
        };
        let refused = || SignatureError::Key { text: text.to_owned() };
        let mut bytes = [0; 32];
        base64::decode_into(digits, &mut bytes).map_err(|_| refused())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| refused())?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name, which signatures repeat.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `signature` is of `message` and by this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        signature.key_name() == self.name && self.key.verify_strict(message, &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, base64::encode(self.key.as_bytes()))
    }
}
