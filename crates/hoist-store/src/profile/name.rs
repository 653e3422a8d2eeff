//! Names of profiles.

use std::fmt;

use crate::ProfileError;

/// So that `NAME-N-link.lock` is a file name.
const MAX_LEN: usize = 200;

/// A name that, as a file beside its generations, can be taken for nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

impl ProfileName {
    /// Reads a name of at most 200 letters, digits and `+-._?=` that does not begin with `.` or
    /// `-`, does not end with `.lock` or like a generation, `-N-link`, and is not `per-user`,
    /// where Nix keeps profiles.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Name`] saying which rule `name` breaks.
    pub fn parse(name: &str) -> Result<Self, ProfileError> {
        let refused = |why| Err(ProfileError::Name { name: name.to_owned(), why });
        let is_allowed = |found: char| found.is_ascii_alphanumeric() || "+-._?=".contains(found);
        if name.is_empty() {
            refused("it is empty")
        } else if name.len() > MAX_LEN {
            refused("it has more than 200 characters")
        } else if !name.chars().all(is_allowed) {
            refused("it has a character that is not allowed")
        } else if name.starts_with(['.', '-']) {
            refused("it begins with `.` or `-`")
        } else if name.strip_suffix(".lock").is_some() || name == "per-user" {
            refused("Nix has that file for itself")
        } else if looks_like_generation(name) {
            refused("it ends like a generation")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn looks_like_generation(name: &str) -> bool {
    let number = name.strip_suffix("-link").and_then(|rest| rest.rsplit_once('-'));
    number.is_some_and(|(_, number)| number.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_could_be_other_files() {
        let names = ["", "a/b", "..", ".hidden", "-x", "a-1-link", "a.lock", "per-user", "a b"];
        for name in names {
            assert!(ProfileName::parse(name).is_err(), "{name}");
        }
        for name in ["pattern-search", "a-link", "a-x-link", "a.b", "1"] {
            assert!(ProfileName::parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn says_why() {
        assert_eq!(
            ProfileName::parse("app-3-link").unwrap_err().to_string(),
            "`app-3-link` cannot name a profile: it ends like a generation"
        );
    }
}
