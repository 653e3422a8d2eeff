//! Versions that are numbers with dots, as in `GLIBC_2.34`.

use std::fmt;
use std::str::FromStr;

/// A version such as `2.34` or `3.4.30`, compared number by number: `2.9` is older than `2.34`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DottedVersion(Vec<u32>);

/// Why a text is not a [`DottedVersion`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version, wanted numbers with dots, as in `2.34`")]
pub struct VersionError {
    /// The text.
    pub text: String,
}

impl DottedVersion {
    /// The version behind `prefix` in a symbol version, e.g. `2.34` in `GLIBC_2.34` for `GLIBC_`.
    #[must_use]
    pub fn after(prefix: &str, symbol_version: &str) -> Option<Self> {
        symbol_version.strip_prefix(prefix)?.parse().ok()
    }
}

impl<const N: usize> From<[u32; N]> for DottedVersion {
    fn from(numbers: [u32; N]) -> Self {
        Self(numbers.into())
    }
}

impl FromStr for DottedVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let number = |part: &str| {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { part.parse().ok() } else { None }
        };
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        numbers.map(Self).ok_or_else(|| VersionError { text: text.to_owned() })
    }
}

impl fmt::Display for DottedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_numbers_not_texts() {
        let version = |text: &str| text.parse::<DottedVersion>().unwrap();
        assert!(version("2.9") < version("2.34"));
        assert!(version("2.34") < version("2.34.1"));
        assert!(DottedVersion::after("GLIBC_", "GLIBC_2.2.5").unwrap() < version("2.17"));
    }

    #[test]
    fn a_word_is_not_a_version() {
        assert_eq!(DottedVersion::after("GLIBC_", "GLIBC_PRIVATE"), None);
        assert_eq!(
            "2..3".parse::<DottedVersion>().unwrap_err().to_string(),
            "`2..3` is not a version, wanted numbers with dots, as in `2.34`"
        );
    }
}
