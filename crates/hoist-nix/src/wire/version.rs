//! Versions of a protocol.

use std::fmt;

use super::WireError;

/// The version of a protocol, such as 1.34.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    major: u8,
    minor: u8,
}

impl ProtocolVersion {
    /// Puts together a version.
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Its number in a message.
    pub(super) fn number(self) -> u64 {
        u64::from(self.major) << 8 | u64::from(self.minor)
    }

    /// Reads its number, which was found at `offset`.
    pub(super) fn parse(found: u64, offset: u64) -> Result<Self, WireError> {
        match u16::try_from(found).map(u16::to_be_bytes) {
            Ok([major, minor]) => Ok(Self { major, minor }),
            Err(_) => Err(WireError::NotAVersion { offset, found }),
        }
    }

    /// The newest version that both sides speak, ours being all from `oldest` to `newest`.
    ///
    /// # Errors
    ///
    /// [`WireError::Version`] when the peer's is older, or has another major number.
    pub(super) fn common(self, oldest: Self, newest: Self) -> Result<Self, WireError> {
        if self < oldest || self.major != newest.major {
            return Err(WireError::Version { found: self, oldest, newest });
        }
        Ok(self.min(newest))
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_two_numbers_in_sixteen_bits() {
        let version = ProtocolVersion::new(1, 34);
        assert_eq!((version.number(), version.to_string()), (0x122, "1.34".to_owned()));
        assert_eq!(ProtocolVersion::parse(0x122, 0).unwrap(), version);
        assert!(matches!(ProtocolVersion::parse(0x1_0000, 8), Err(WireError::NotAVersion { .. })));
    }

    #[test]
    fn two_sides_meet_at_the_older_version_of_one_major_number() {
        let [oldest, newest] = [21, 38].map(|minor| ProtocolVersion::new(1, minor));
        let common = |major, minor| ProtocolVersion::new(major, minor).common(oldest, newest).ok();
        assert_eq!(common(1, 34), Some(ProtocolVersion::new(1, 34)));
        assert_eq!(common(1, 39), Some(newest));
        assert_eq!([common(1, 20), common(2, 30), common(0, 30)], [None; 3]);
    }
}
