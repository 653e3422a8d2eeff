//! Holding a store against its database.

use std::collections::HashSet;
use std::fmt;
use std::fs;

use hoist_nix::{Sha256Hash, StorePath};

use crate::lock::PathLock;
use crate::tree::hash_tree;
use crate::{FileError, Store, StoreError};

/// One thing in which a store is not as its database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A registered path that is not there.
    Missing {
        /// The path.
        path: StorePath,
    },
    /// A registered path with other contents.
    Modified {
        /// The path.
        path: StorePath,
        /// SHA-256 of the NAR that was registered.
        expected: Sha256Hash,
        /// SHA-256 of the NAR that is there.
        found: Sha256Hash,
    },
    /// A registered path that cannot be read.
    Unreadable {
        /// The path.
        path: StorePath,
        /// What kept it from being read.
        why: String,
    },
    /// Something in the store directory that is not registered.
    Unregistered {
        /// Its file name.
        name: String,
    },
}

impl Problem {
    /// Whether something is lost. What is not registered is no loss: nothing leads to it, and
    /// adding it again replaces it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Unregistered { .. })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "`{path}` is registered, but not there"),
            Self::Modified { path, expected, found } => {
                write!(f, "`{path}` was modified: its hash is {found}, registered is {expected}")
            }
            Self::Unreadable { path, why } => write!(f, "`{path}` cannot be read: {why}"),
            Self::Unregistered { name } => write!(f, "`{name}` is there, but not registered"),
        }
    }
}

impl Store {
    /// Returns everything in which the store is not as its database says; with `contents`, every
    /// path is hashed.
    ///
    /// What another process is adding is no problem.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database or the store directory cannot be read.
    pub fn verify(&self, contents: bool) -> Result<Vec<Problem>, StoreError> {
        // Listed before the database is asked: what is added in between is registered then.
        let names = self.names_on_disk()?;
        let infos = self.list()?;
        let mut problems = Vec::new();
        for info in &infos {
            let physical = self.physical(&info.path);
            if fs::symlink_metadata(&physical).is_err() {
                problems.push(Problem::Missing { path: info.path.clone() });
            } else if contents {
                problems.extend(match hash_tree(&physical) {
                    Ok((found, _)) if found == info.nar_hash => None,
                    Ok((found, _)) => {
                        let (path, expected) = (info.path.clone(), info.nar_hash);
                        Some(Problem::Modified { path, expected, found })
                    }
                    Err(error) => {
                        let (path, why) = (info.path.clone(), chain(&error));
                        Some(Problem::Unreadable { path, why })
                    }
                });
            }
        }
        let registered: HashSet<&str> = infos.iter().map(|info| info.path.as_str()).collect();
        for name in names.into_iter().filter(|name| !registered.contains(name.as_str())) {
            if !self.is_being_added(&name)? {
                problems.push(Problem::Unregistered { name });
            }
        }
        Ok(problems)
    }

    /// The names in the store directory, sorted, but for locks and Nix's own folder of links.
    fn names_on_disk(&self) -> Result<Vec<String>, StoreError> {
        let dir = self.layout.store();
        let listed = || FileError::at("list", &dir);
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(listed())? {
            let name = entry.map_err(listed())?.file_name().to_string_lossy().into_owned();
            let is_lock = name.strip_suffix(".lock").is_some() && !dir.join(&name).is_dir();
            if name != ".links" && !is_lock {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether a process holds the lock of `name`, or registered it meanwhile.
    fn is_being_added(&self, name: &str) -> Result<bool, StoreError> {
        let Ok(path) = StorePath::parse(name) else { return Ok(false) };
        // Where no lock can be made, nobody can be adding.
        let held = PathLock::try_acquire(&self.physical(&path)).is_ok_and(|lock| lock.is_none());
        Ok(held || self.database()?.is_valid(&path)?)
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
