//! Signatures as texts: `KEY-NAME:BASE64`.
//!
//! Source: the section on signatures of the Nix manual's chapter on narinfos.

use std::fmt;

use crate::base64;

/// Bytes of an Ed25519 signature.
const SIGNATURE_LEN: usize = 64;

/// An Ed25519 signature and the name of the key that made it; it proves nothing until it is
/// verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    key_name: String,
    bytes: [u8; SIGNATURE_LEN],
}

impl Signature {
    /// Puts together a signature by the key of that name.
    #[must_use]
    pub fn new(key_name: String, bytes: [u8; SIGNATURE_LEN]) -> Self {
        Self { key_name, bytes }
    }

    /// Reads `KEY-NAME:BASE64`.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] naming what is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let (key_name, digits) = split_key_name(text)?;
        let mut bytes = [0; SIGNATURE_LEN];
        base64::decode_into(digits, &mut bytes)
            .map_err(|_| SignatureError::Bytes { text: text.to_owned() })?;
        Ok(Self { key_name: key_name.to_owned(), bytes })
    }

    /// The name of the key, such as `cache.example.org-1`.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.key_name
    }

    /// The signature itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_LEN] {
        &self.bytes
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key_name, base64::encode(&self.bytes))
    }
}

/// Splits `KEY-NAME:BASE64` behind the first colon.
pub(crate) fn split_key_name(text: &str) -> Result<(&str, &str), SignatureError> {
    let split = text.split_once(':').filter(|(key_name, _)| !key_name.is_empty());
    let Some((key_name, digits)) = split else {
        return Err(SignatureError::NoKeyName { text: text.to_owned() });
    };
    check_key_name(key_name)?;
    Ok((key_name, digits))
}

/// Nix separates trusted keys, and in its database signatures, by white space, and names from keys
/// by the first colon.
pub(crate) fn check_key_name(name: &str) -> Result<(), SignatureError> {
    let is_plain = |found: char| !found.is_whitespace() && !found.is_control() && found != ':';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(SignatureError::KeyName { name: name.to_owned() });
    }
    Ok(())
}

/// Why a text is not a signature or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum SignatureError {
    /// The key's name comes first.
    #[error("`{text}` has no key name before a colon")]
    NoKeyName { text: String },

    /// 64 bytes in base64 come behind it.
    #[error("`{text}` does not end with 64 bytes in base64")]
    Bytes { text: String },

    /// A public key is 32 bytes in base64, and a point of the curve.
    #[error("`{text}` does not end with a public key in base64")]
    Key { text: String },

    /// Such a name would not survive Nix's list of trusted keys, nor the signatures of its database.
    #[error("key name {name:?} is empty or has white space, a control character or a colon")]
    KeyName { name: String },

    /// Not quoted, because most of it may be secret.
    #[error("the text is not a secret key, wanted a name, a colon and 64 bytes in base64")]
    SecretKey,

    /// Signatures by such a key would verify under no public key.
    #[error("the two halves of secret key `{name}` do not belong together")]
    KeyPair { name: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_undoes_parsing() {
        let signature = Signature::new("cache-1".to_owned(), [7; 64]);
        assert_eq!(Signature::parse(&signature.to_string()), Ok(signature));
    }

    /// In a store's database it would become two signatures, of which neither is one.
    #[test]
    fn refuses_white_space_in_the_name_of_the_key() {
        for name in ["evil x", "tab\tx", " x", "x\n"] {
            let refusal = Signature::parse(&Signature::new(name.to_owned(), [7; 64]).to_string());
            assert_eq!(refusal, Err(SignatureError::KeyName { name: name.to_owned() }));
        }
    }

    #[test]
    fn refuses_what_has_no_key_or_another_length() {
        for text in ["", "abc", ":abc", "key:", "key:abc", "key:AAAA"] {
            assert!(Signature::parse(text).is_err(), "{text}");
        }
    }
}
