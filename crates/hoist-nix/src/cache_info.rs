//! `nix-cache-info`: what a binary cache says of itself.
//!
//! Source: `BinaryCacheStore::init` of Nix, and its recorded answers in `tests/fixtures`. People
//! write this file by hand, so white space around values is taken as Nix takes it.

use std::fmt;

use crate::{StoreDir, StorePathError};

/// What a binary cache says of itself; a cache that says nothing is one all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheInfo {
    /// The directory of the store whose paths it has; that of the reader when not said.
    pub store_dir: Option<StoreDir>,
    /// Whether clients may ask for many paths at once.
    pub want_mass_query: bool,
    /// Which cache is asked first: the one with the lowest number.
    pub priority: Option<u32>,
}

impl CacheInfo {
    /// Longest file that is read, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Reads the file's text; unknown keys are passed over, as Nix does.
    ///
    /// # Errors
    ///
    /// [`CacheInfoError`] naming the line and the rule it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, CacheInfoError> {
        if bytes.len() > Self::MAX_LEN {
            let (found, limit) = (bytes.len(), Self::MAX_LEN);
            return Err(CacheInfoError::TooLong { found, limit });
        }
        let text = str::from_utf8(bytes).map_err(|_| CacheInfoError::NotText)?;
        let mut info = Self::default();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let Some((key, value)) = text.split_once(':') else {
                match text.trim() {
                    "" => continue,
                    _ => return Err(CacheInfoError::NotAField { line }),
                }
            };
            info.take(line, key, value.trim())?;
        }
        Ok(info)
    }

    fn take(&mut self, line: usize, key: &str, value: &str) -> Result<(), CacheInfoError> {
        match key {
            "StoreDir" => {
                let parsed = StoreDir::parse(value);
                let dir = parsed.map_err(|source| CacheInfoError::StoreDir { line, source })?;
                if self.store_dir.as_ref().is_some_and(|said| *said != dir) {
                    return Err(CacheInfoError::TwoStoreDirs { line });
                }
                self.store_dir = Some(dir);
            }
            "WantMassQuery" => self.want_mass_query = value == "1",
            "Priority" => {
                let priority = value.parse().map_err(|_| CacheInfoError::Priority { line })?;
                self.priority = Some(priority);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether its paths are those of a store whose directory is `dir`.
    #[must_use]
    pub fn is_for(&self, dir: &StoreDir) -> bool {
        self.store_dir.as_ref().is_none_or(|said| said == dir)
    }
}

/// The file's text, with the lines that Nix writes.
impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(store_dir) = &self.store_dir {
            writeln!(f, "StoreDir: {store_dir}")?;
        }
        if self.want_mass_query {
            writeln!(f, "WantMassQuery: 1")?;
        }
        match self.priority {
            Some(priority) => writeln!(f, "Priority: {priority}"),
            None => Ok(()),
        }
    }
}

/// Why bytes are not a `nix-cache-info`; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum CacheInfoError {
    /// Three short lines are all there is to say.
    #[error("nix-cache-info is {found} bytes long, limit {limit}")]
    TooLong { found: usize, limit: usize },

    /// Not UTF-8: some other file has its name.
    #[error("nix-cache-info is not text")]
    NotText,

    /// Every line is a key, a colon and a value.
    #[error("line {line} of nix-cache-info is not `Key: value`")]
    NotAField { line: usize },

    /// Not a directory that store paths can be in.
    #[error("`StoreDir` in line {line} of nix-cache-info cannot be used")]
    StoreDir { line: usize, source: StorePathError },

    /// A cache is for one store directory.
    #[error("line {line} of nix-cache-info names a second store directory")]
    TwoStoreDirs { line: usize },

    /// A priority is a number.
    #[error("`Priority` in line {line} of nix-cache-info is not a number")]
    Priority { line: usize },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printing_undoes_parsing() {
        let text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
        let info = CacheInfo::parse(text.as_bytes()).unwrap();
        assert_eq!(info.to_string(), text);
        assert_eq!(info.priority, Some(40));
    }

    #[test]
    fn refuses_a_second_store_directory() {
        let text = "StoreDir: /nix/store\nStoreDir: /gnu/store\n";
        let refusal = CacheInfo::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refusal, CacheInfoError::TwoStoreDirs { line: 2 });
    }

    #[test]
    fn a_web_page_is_no_cache() {
        let page = "<!DOCTYPE html>\n<html>\n";
        let refusal = CacheInfo::parse(page.as_bytes()).unwrap_err();
        assert_eq!(refusal, CacheInfoError::NotAField { line: 1 });
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CacheInfo::parse(&bytes);
        }
    }
}
