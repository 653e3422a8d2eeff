//! Pins: paths that are kept because somebody said so, each as a link
//! `nix/var/nix/gcroots/hoist/NAME` → `/nix/store/…`, which Nix takes for a root as well.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use hoist_nix::StorePath;

use super::GcError;
use crate::layout::{create_dir_all, is_absent};
use crate::tree::sync_dir;
use crate::{FileError, Store, StoreError};

/// So that it is a file name.
const MAX_LEN: usize = 255;

/// A name, and the path that it keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// The name.
    pub name: String,
    /// The path.
    pub path: StorePath,
}

impl Store {
    /// Keeps `path`, and all that it needs, until [`unpin`](Self::unpin). Returns whether the pin
    /// was there before.
    ///
    /// - `name`: at most 255 letters, digits and `+-._?=`, not beginning with `.`.
    ///
    /// # Errors
    ///
    /// [`GcError::PinName`], [`GcError::PinTaken`] when another path has that name,
    /// [`StoreError::NotInStore`], and [`GcError::File`] when the link cannot be made.
    pub fn pin(&self, path: &StorePath, name: &str) -> Result<bool, GcError> {
        check_name(name)?;
        self.keep_for_now(path)?;
        if !self.is_there(path)? {
            return Err(StoreError::NotInStore { path: path.clone() }.into());
        }
        let dir = self.layout.pins();
        create_dir_all(&dir)?;
        let link = dir.join(name);
        let target = self.dir().print(path);
        match symlink(&target, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let pinned = fs::read_link(&link).unwrap_or_default().display().to_string();
                if pinned == target {
                    return Ok(true);
                }
                let (name, wanted) = (name.to_owned(), path.clone());
                Err(GcError::PinTaken { name, pinned, wanted })
            }
            made => {
                made.map_err(FileError::at("create", &link))?;
                sync_dir(&dir)?;
                Ok(false)
            }
        }
    }

    /// Removes a pin and returns what it kept.
    ///
    /// # Errors
    ///
    /// [`GcError::NoPin`], and [`GcError::File`] when the link cannot be removed.
    pub fn unpin(&self, name: &str) -> Result<Pin, GcError> {
        let found = self.pins()?.into_iter().find(|pin| pin.name == name);
        let pin = found.ok_or_else(|| GcError::NoPin { name: name.to_owned() })?;
        let link = self.layout.pins().join(name);
        fs::remove_file(&link).map_err(FileError::at("remove", &link))?;
        Ok(pin)
    }

    /// Returns all pins, sorted by name.
    ///
    /// # Errors
    ///
    /// [`GcError::File`] when their folder cannot be read.
    pub fn pins(&self) -> Result<Vec<Pin>, GcError> {
        let dir = self.layout.pins();
        let listed = || FileError::at("list", &dir);
        let entries = match fs::read_dir(&dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            entries => entries.map_err(listed())?,
        };
        let mut pins = Vec::new();
        for entry in entries {
            let entry = entry.map_err(listed())?;
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let path = target.to_str().and_then(|target| self.dir().parse_path(target).ok());
            if let (Ok(name), Some(path)) = (entry.file_name().into_string(), path) {
                pins.push(Pin { name, path });
            }
        }
        pins.sort_unstable();
        Ok(pins)
    }
}

fn check_name(name: &str) -> Result<(), GcError> {
    let refused = |why| Err(GcError::PinName { name: name.to_owned(), why });
    let is_allowed = |found: char| found.is_ascii_alphanumeric() || "+-._?=".contains(found);
    if name.is_empty() {
        refused("it is empty")
    } else if name.len() > MAX_LEN {
        refused("it has more than 255 characters")
    } else if name.starts_with('.') {
        refused("it begins with `.`")
    } else if !name.chars().all(is_allowed) {
        refused("it has a character that is not allowed")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_could_be_other_files() {
        for name in ["", ".", "..", ".hidden", "a/b", "a b", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["before-the-fair", "9lmb9zc64dc71qv5z0yjqdm0a3d0fj13-apkg-1.0", "1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let refusal = check_name("a/b").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "`a/b` cannot name a pin: it has a character that is not allowed"
        );
    }
}
