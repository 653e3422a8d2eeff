//! Holding a store against its database.

mod contents;

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use hoist_nix::{Sha256Hash, StorePath};

use self::contents::{Subject, hash_all};
use crate::lock::PathLock;
use crate::tree::{Oddity, TreeRead};
use crate::{FileError, PathInfo, Store, StoreError, TreeError};

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
    /// A registered path with the right contents, in which a file may be written, or has another
    /// mode that no store path has.
    NotCanonical {
        /// The path.
        path: StorePath,
        /// The first such file, where it lies on disk.
        file: PathBuf,
        /// The mode it has, and what was wanted.
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
    /// adding it again replaces it. Nor are contents lost that are right.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Unregistered { .. } | Self::NotCanonical { .. })
    }

    /// The path that is registered and not as it was.
    fn registered_path(&self) -> Option<&StorePath> {
        match self {
            Self::Missing { path }
            | Self::Modified { path, .. }
            | Self::Unreadable { path, .. }
            | Self::NotCanonical { path, .. } => Some(path),
            Self::Unregistered { .. } => None,
        }
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
            Self::NotCanonical { path, file, why } => {
                let file = file.display();
                write!(f, "`{path}` has the registered contents, but `{file}` has {why}")
            }
            Self::Unregistered { name } => write!(f, "`{name}` is there, but not registered"),
        }
    }
}

/// How far hashing the paths of a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// How many paths are done.
    pub paths: usize,
    /// How many there are.
    pub paths_total: usize,
    /// How many bytes of NARs are done.
    pub bytes: u64,
    /// How many there are.
    pub bytes_total: u64,
}

impl Store {
    /// Returns everything in which the store is not as its database says; with `contents`, every
    /// path is hashed.
    ///
    /// What another process is adding or removing is no problem.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database or the store directory cannot be read.
    pub fn verify(&self, contents: bool) -> Result<Vec<Problem>, StoreError> {
        self.verify_with(contents, |_| {})
    }

    /// As [`verify`](Self::verify), telling after each path how far it has come. Paths are hashed
    /// several at a time, the largest first.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_with(
        &self,
        contents: bool,
        progress: impl FnMut(VerifyProgress),
    ) -> Result<Vec<Problem>, StoreError> {
        // Listed before the database is asked: what is added in between is registered then.
        let names = self.names_on_disk()?;
        let infos = self.list()?;
        let is_there = |info: &&PathInfo| fs::symlink_metadata(self.physical(&info.path)).is_ok();
        let (there, missing): (Vec<&PathInfo>, Vec<&PathInfo>) = infos.iter().partition(is_there);
        let mut problems: Vec<Problem> =
            missing.iter().map(|info| Problem::Missing { path: info.path.clone() }).collect();
        if contents {
            problems.extend(self.verify_contents(&there, progress)?);
        }
        problems.sort_by(|left, right| left.registered_path().cmp(&right.registered_path()));
        problems = self.still_registered(problems)?;
        let registered: HashSet<&str> = infos.iter().map(|info| info.path.as_str()).collect();
        for name in names.into_iter().filter(|name| !registered.contains(name.as_str())) {
            if !self.is_being_added(&name)? {
                problems.push(Problem::Unregistered { name });
            }
        }
        Ok(problems)
    }

    fn verify_contents(
        &self,
        infos: &[&PathInfo],
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Vec<Problem>, FileError> {
        let subject = |info: &&PathInfo| Subject {
            tree: self.physical(&info.path),
            nar_size: info.nar_size.unwrap_or(0),
        };
        let subjects: Vec<Subject> = infos.iter().map(subject).collect();
        let mut so_far = VerifyProgress {
            paths: 0,
            paths_total: subjects.len(),
            bytes: 0,
            bytes_total: subjects
                .iter()
                .fold(0, |sum, subject| sum.saturating_add(subject.nar_size)),
        };
        let mut problems = Vec::new();
        hash_all(&subjects, |index, read| {
            problems.extend(judge(infos[index], read));
            so_far.paths += 1;
            so_far.bytes = so_far.bytes.saturating_add(subjects[index].nar_size);
            progress(so_far);
        })?;
        Ok(problems)
    }

    /// Leaves out the problems of paths that were removed meanwhile.
    fn still_registered(&self, problems: Vec<Problem>) -> Result<Vec<Problem>, StoreError> {
        let mut left = Vec::with_capacity(problems.len());
        for problem in problems {
            match problem.registered_path() {
                Some(path) if !self.database()?.is_valid(path)? => {}
                _ => left.push(problem),
            }
        }
        Ok(left)
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

/// What is wrong with a path that was read.
fn judge(info: &PathInfo, read: Result<TreeRead, TreeError>) -> Option<Problem> {
    let path = info.path.clone();
    match read {
        Err(error) => Some(Problem::Unreadable { path, why: chain(&error) }),
        Ok(read) if read.nar_hash != info.nar_hash => {
            Some(Problem::Modified { path, expected: info.nar_hash, found: read.nar_hash })
        }
        Ok(read) => {
            read.oddity.map(|Oddity { file, why }| Problem::NotCanonical { path, file, why })
        }
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
