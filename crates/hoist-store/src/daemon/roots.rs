//! What a daemon keeps, and what it may delete.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;
use hoist_nix::wire::worker::{Collect, Operation, Request, Response};

use super::DaemonStore;
use crate::StoreError;
use crate::auto_roots::place_link;

/// What a collection of garbage found or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonCollected {
    /// Files of the store directory, as absolute paths; not all of them are store paths.
    pub paths: Vec<PathBuf>,
    /// How many bytes it freed.
    pub freed_bytes: u64,
}

impl DaemonStore {
    /// Makes a link that keeps `path`: see [`Backend::add_root`](crate::Backend::add_root).
    pub(super) fn link_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        let asked = [Request::AddTempRoot(path.clone()), Request::IsValidPath(path.clone())];
        let answer = {
            let mut connection = self.connection()?;
            connection.ask_all(&asked)?;
            connection.answer(Operation::IsValidPath)?
        };
        if answer != Response::Flag(true) {
            return Err(StoreError::NotInStore { path: path.clone() });
        }
        place_link(&self.dir, link, path, |link| {
            self.ask(&Request::AddIndirectRoot(link.as_os_str().as_bytes().to_owned()))?;
            Ok(())
        })
    }

    /// Returns the roots that the daemon knows: where each lies, and which path it keeps.
    ///
    /// What only running processes hold has a place in `/proc`; to users that it does not trust, a
    /// daemon tells no places.
    ///
    /// # Errors
    ///
    /// [`StoreError::Daemon`] when the daemon cannot answer.
    pub fn roots(&self) -> Result<Vec<(PathBuf, StorePath)>, StoreError> {
        let Response::Roots(roots) = self.ask(&Request::FindRoots)? else {
            unreachable!("this operation is answered with roots");
        };
        Ok(roots.into_iter().map(|(link, path)| (OsString::from_vec(link).into(), path)).collect())
    }

    /// Lets the daemon collect garbage, or say what it would collect.
    ///
    /// # Errors
    ///
    /// [`StoreError::Daemon`] when the daemon cannot or will not.
    pub fn collect(&self, what: &Collect) -> Result<DaemonCollected, StoreError> {
        let request = Request::CollectGarbage(what.clone());
        let Response::Collected { paths, freed_bytes } = self.ask(&request)? else {
            unreachable!("this operation is answered with what was collected");
        };
        let paths = paths.into_iter().map(|path| OsString::from_vec(path).into()).collect();
        Ok(DaemonCollected { paths, freed_bytes })
    }
}
