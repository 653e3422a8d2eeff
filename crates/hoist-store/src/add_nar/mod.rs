//! Adding paths from their NARs, as they come from a cache, a daemon or an export.

mod check;
mod error;

use std::ffi::OsStr;
use std::io::Read;

use hoist_nix::StorePath;

use self::check::check_content;
pub(crate) use self::check::{address_of, check_promise, is_vouched_for};
pub use self::error::AddNarError;
use crate::install::Staged;
use crate::temp::TempDir;
use crate::tree::unpack_canonical;
use crate::{NewPath, PathInfo, Store, StoreError, TreeError, Trust};

impl Store {
    /// Adds a path from its NAR: see [`Backend::add_nar`](crate::Backend::add_nar).
    ///
    /// The archive is unpacked while it is hashed and held against what was promised before it is
    /// moved to its path; ended at any moment, the store has all of it or does not know of it.
    pub(crate) fn take_nar(
        &self,
        new: &NewPath,
        nar: &mut dyn Read,
        trust: Trust<'_>,
    ) -> Result<bool, StoreError> {
        check_promise(self.dir(), new, trust)?;
        // Who may not write in the store cannot keep a path in it, but all of them.
        self.keep(new).or_else(|_| self.hold_off_collection())?;
        if self.is_there(&new.path)? {
            return Ok(true);
        }
        self.require_references(new, |_| false)?;
        let temp = TempDir::create(self)?;
        let staged = self.stage(new, nar, &temp, OsStr::new("tree"))?;
        Ok(self.install(&[staged], &temp)?[0])
    }

    /// Keeps a path and what it refers to from being collected before it is registered, and after.
    pub(crate) fn keep(&self, new: &NewPath) -> Result<(), StoreError> {
        let mut paths = new.references.iter().chain([&new.path]);
        Ok(paths.try_for_each(|path| self.keep_for_now(path))?)
    }

    /// Checks that all that a path refers to is valid, or will be.
    pub(crate) fn require_references(
        &self,
        new: &NewPath,
        will_be: impl Fn(&StorePath) -> bool,
    ) -> Result<(), StoreError> {
        for reference in new.references.iter().filter(|reference| **reference != new.path) {
            if !will_be(reference) && !self.database()?.is_valid(reference)? {
                let (path, reference) = (new.path.clone(), reference.clone());
                return Err(AddNarError::Reference { path, reference }.into());
            }
        }
        Ok(())
    }

    /// Unpacks a NAR to `name` in `temp` and holds it against what was promised.
    pub(crate) fn stage(
        &self,
        new: &NewPath,
        nar: &mut dyn Read,
        temp: &TempDir,
        name: &OsStr,
    ) -> Result<Staged, StoreError> {
        // One byte more tells an archive that is too long; no more of it is unpacked.
        let mut nar = nar.take(new.nar_size.saturating_add(1));
        let unpacked = unpack_canonical(&mut nar, temp.path(), name);
        if unpacked.is_err() && nar.limit() == 0 {
            let (path, wanted) = (new.path.clone(), new.nar_size);
            return Err(AddNarError::TooLong { path, wanted }.into());
        }
        let (nar_hash, nar_size) = unpacked.map_err(|error| match error {
            TreeError::Read { source, .. } => {
                TreeError::Read { path: self.physical(&new.path), source }
            }
            other => other,
        })?;
        let tree = temp.path().join(name);
        check_content(new, &tree, nar_hash, nar_size)?;
        Ok(Staged { info: registered(new), tree })
    }
}

/// What is registered of a path; nothing that was not checked here is said to be `ultimate`.
fn registered(new: &NewPath) -> PathInfo {
    PathInfo {
        path: new.path.clone(),
        nar_hash: new.nar_hash,
        nar_size: Some(new.nar_size),
        registered_unix: 0,
        deriver: new.deriver.clone(),
        references: new.references.clone(),
        ultimate: false,
        signatures: new.signatures.iter().map(ToString::to_string).collect(),
        content_address: new.content_address.as_ref().map(ToString::to_string),
    }
}
