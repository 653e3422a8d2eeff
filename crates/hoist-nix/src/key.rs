//! Ed25519 keys as Nix writes them: `NAME:BASE64`.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::signature::{check_key_name, split_key_name};
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
        let (name, digits) = split_key_name(text)?;
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

/// A key that makes signatures, as in the files of `nix-store --generate-binary-cache-key`.
///
/// Its bytes are overwritten when it is dropped, and neither its [`Debug`](fmt::Debug) text nor
/// any error shows them; only [`to_text`](Self::to_text) gives them away.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// Makes the key that follows from `seed`, 32 bytes that nobody can guess.
    ///
    /// # Errors
    ///
    /// [`SignatureError::KeyName`] when `name` could not stand in Nix's list of trusted keys.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SignatureError> {
        check_key_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads `NAME:BASE64` of seed and public key, 64 bytes; a line break may follow.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] saying what is wrong, without quoting the secret.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let Some((name, digits)) = text.split_once(':') else {
            return Err(SignatureError::SecretKey);
        };
        check_key_name(name).map_err(|_| SignatureError::SecretKey)?; // it may be the secret
        let mut bytes = Zeroizing::new([0; 64]);
        base64::decode(digits, &mut *bytes).ok_or(SignatureError::SecretKey)?;
        let key = SigningKey::from_keypair_bytes(&bytes);
        let key = key.map_err(|_| SignatureError::KeyPair { name: name.to_owned() })?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name, which its signatures repeat.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the signature of `message`; the same message has the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::new(self.name.clone(), self.key.sign(message).to_bytes())
    }

    /// Returns the key that verifies its signatures.
    #[must_use]
    pub fn to_public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Returns the text that a key file holds, which [`parse`](Self::parse) reads.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.key.to_keypair_bytes());
        let digits = Zeroizing::new(base64::encode(&*bytes));
        let mut text = Zeroizing::new(String::with_capacity(self.name.len() + 1 + digits.len()));
        for part in [&self.name, ":", &digits] {
            text.push_str(part);
        }
        text
    }
}

/// The name alone.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_and_its_public_key_verifies() {
        let key = SecretKey::from_seed("cache-1", &[3; 32]).unwrap();
        let signature = key.sign(b"message");
        assert!(key.to_public().verifies(b"message", &signature));
        assert!(!key.to_public().verifies(b"massage", &signature));
        assert_eq!(PublicKey::parse(&key.to_public().to_string()), Ok(key.to_public()));
    }

    #[test]
    fn the_text_of_a_key_reads_back() {
        let key = SecretKey::from_seed("cache-1", &[3; 32]).unwrap();
        let again = SecretKey::parse(&key.to_text()).unwrap();
        assert_eq!(again.sign(b""), key.sign(b""));
        assert_eq!(again.to_text(), key.to_text());
    }

    #[test]
    fn a_secret_is_never_shown() {
        let key = SecretKey::from_seed("cache-1", &[3; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(cache-1)");

        let (name, digits) =
            key.to_text().split_once(':').map(|(n, d)| (n.to_owned(), d.to_owned())).unwrap();
        let cut_off = format!("{name}:{}", &digits[..40]);
        let without_name = digits.clone();
        let other_half = format!("{name}:{}AAAA{}", &digits[..60], &digits[64..]);
        for text in [cut_off, without_name, other_half] {
            let refusal = SecretKey::parse(&text).unwrap_err();
            let shown = format!("{refusal} {refusal:?}");
            assert!(!shown.contains(&digits[..8]), "{shown}");
        }
    }

    #[test]
    fn a_name_must_fit_the_list_of_trusted_keys() {
        for name in ["", "a b", " a", "a:b", "a\n", "a\u{a0}b", "a\x1b"] {
            let refusal = SecretKey::from_seed(name, &[0; 32]).unwrap_err();
            assert_eq!(refusal, SignatureError::KeyName { name: name.to_owned() });
        }
        let digits =
            base64::encode(SecretKey::from_seed("a", &[0; 32]).unwrap().to_public().key.as_bytes());
        let refusal = PublicKey::parse(&format!("a b:{digits}")).unwrap_err();
        assert_eq!(refusal, SignatureError::KeyName { name: "a b".to_owned() });
    }

    /// As Nix 2.8 and 2.26 make it when asked for a key named so.
    #[test]
    fn a_name_need_not_be_ascii() {
        let key = SecretKey::from_seed("schlüssel-1", &[0; 32]).unwrap();
        assert_eq!(SecretKey::parse(&key.to_text()).unwrap().name(), "schlüssel-1");
        assert!(key.to_public().verifies(b"x", &key.sign(b"x")));
    }
}
