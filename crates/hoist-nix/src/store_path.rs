//! Store directories, store paths and their names.

use std::fmt;

use crate::{StorePathError, base32};

/// Characters of the hash part: 160 bits in Nix base32.
pub(crate) const HASH_PART_LEN: usize = 32;

/// Longest name: 255 bytes of a file name, less hash part, dash and `.drv.lock` with its dash.
const NAME_MAX_LEN: usize = 211;

/// The directory that store paths are directly below, in the form the hashes use.
///
/// It need not be where the files lie: a store with a root keeps `/nix/store` in its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreDir(String);

impl StoreDir {
    /// Reads an absolute path without empty, `.` and `..` parts and without a final slash.
    ///
    /// # Errors
    ///
    /// [`StorePathError::StoreDir`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, StorePathError> {
        let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        match text.strip_prefix('/') {
            Some(parts) if parts.split('/').all(is_plain) => Ok(Self(text.to_owned())),
            _ => Err(StorePathError::StoreDir { text: text.to_owned() }),
        }
    }

    /// The directory as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the absolute path of `path`.
    #[must_use]
    pub fn print(&self, path: &StorePath) -> String {
        format!("{}/{path}", self.0)
    }

    /// Reads an absolute store path directly below this directory.
    ///
    /// # Errors
    ///
    /// [`StorePathError::NotInStore`] when it lies elsewhere or deeper, else as
    /// [`StorePath::parse`].
    pub fn parse_path(&self, text: &str) -> Result<StorePath, StorePathError> {
        let base_name = text.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix('/'));
        match base_name {
            Some(base_name) if !base_name.contains('/') => StorePath::parse(base_name),
            _ => {
                let (text, store_dir) = (text.to_owned(), self.0.clone());
                Err(StorePathError::NotInStore { text, store_dir })
            }
        }
    }
}

/// `/nix/store`, Nix's own.
impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".to_owned())
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a store path that people chose, e.g. `pattern-search-0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePathName(String);

impl StorePathName {
    /// Reads a name that both Nix 2.8 and 2.26 accept: 1 to 211 letters, digits and `+-._?=`;
    /// not `.` or `..`, nor one of these followed by `-`.
    ///
    /// # Errors
    ///
    /// [`StorePathError`] naming the rule that `name` breaks.
    pub fn parse(name: &str) -> Result<Self, StorePathError> {
        check_name(name)?;
        Ok(Self(name.to_owned()))
    }

    /// Whether it ends with `.drv`: Nix parses what has such a name as a derivation.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.0.strip_suffix(".drv").is_some()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorePathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A store path without its directory: 32 digits of Nix base32, `-` and a name.
///
/// Its order is that of its text, which is how Nix sorts references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StorePath {
    /// Puts together the path of a folded digest and a name.
    #[must_use]
    pub fn new(digest: &[u8; 20], name: &StorePathName) -> Self {
        Self(format!("{}-{name}", base32::encode(digest)))
    }

    /// Reads a base name, such as `z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt`.
    ///
    /// # Errors
    ///
    /// [`StorePathError`] naming the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, StorePathError> {
        let owned = || text.to_owned();
        let Some((hash_part, rest)) = text.split_at_checked(HASH_PART_LEN) else {
            return Err(StorePathError::TooShort { text: owned() });
        };
        let source = base32::decode::<20>(hash_part).err();
        if let Some(source) = source {
            return Err(StorePathError::HashPart { text: owned(), source });
        }
        match rest.chars().next() {
            None => Err(StorePathError::TooShort { text: owned() }),
            Some('-') => check_name(&rest[1..]).map(|()| Self(owned())),
            Some(found) => Err(StorePathError::NoDash { text: owned(), found }),
        }
    }

    /// The 32 digits, which alone identify the path.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_PART_LEN]
    }

    /// The name behind the dash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_PART_LEN + 1..]
    }

    /// The base name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The base name; [`StoreDir::print`] gives the absolute path.
impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_name(name: &str) -> Result<(), StorePathError> {
    let allowed = |found: char| found.is_ascii_alphanumeric() || "+-._?=".contains(found);
    if name.is_empty() {
        return Err(StorePathError::EmptyName);
    }
    if name.len() > NAME_MAX_LEN {
        return Err(StorePathError::NameTooLong { name: name.to_owned() });
    }
    if let Some((index, found)) = name.char_indices().find(|&(_, found)| !allowed(found)) {
        return Err(StorePathError::NameCharacter { name: name.to_owned(), index, found });
    }
    let first_part = name.split_once('-').map_or(name, |(first, _)| first);
    if matches!(first_part, "." | "..") {
        return Err(StorePathError::NameDots { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HELLO: &str = "z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt";

    #[test]
    fn a_path_splits_into_hash_part_and_name() {
        let path = StoreDir::default().parse_path(&format!("/nix/store/{HELLO}")).unwrap();
        assert_eq!(path.hash_part(), "z45ailnkm27lnvhimqkhy08f6sh5m17d");
        assert_eq!(path.name(), "hello.txt");
        assert_eq!(StoreDir::default().print(&path), format!("/nix/store/{HELLO}"));
    }

    #[test]
    fn refuses_what_is_below_a_store_path_or_beside_the_store() {
        for text in [format!("/nix/store/{HELLO}/lib"), format!("/nix/store2/{HELLO}")] {
            let refusal = StoreDir::default().parse_path(&text).unwrap_err();
            assert!(matches!(refusal, StorePathError::NotInStore { .. }), "{refusal}");
        }
    }

    #[test]
    fn refuses_store_directories_that_could_be_written_shorter() {
        for text in ["", "nix/store", "/", "/nix/store/", "/nix//store", "/nix/../store"] {
            assert!(StoreDir::parse(text).is_err(), "{text}");
        }
        assert!(StoreDir::parse("/opt/hoist/pkgs").is_ok());
    }

    #[test]
    fn says_which_character_a_name_cannot_have() {
        assert_eq!(
            StorePathName::parse("pattern search").unwrap_err().to_string(),
            "name `pattern search` has ` ` at 7, wanted letters, digits or one of `+-._?=`"
        );
    }

    proptest! {
        #[test]
        fn printing_undoes_parsing(digest: [u8; 20], name in "[a-zA-Z0-9+_?=][a-z0-9+._?=-]{0,210}") {
            let path = StorePath::new(&digest, &StorePathName::parse(&name)?);
            prop_assert_eq!(StorePath::parse(path.as_str())?, path.clone());
            prop_assert_eq!(path.name(), name);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = StorePath::parse(&text);
            let _ = StoreDir::default().parse_path(&text);
        }
    }
}
