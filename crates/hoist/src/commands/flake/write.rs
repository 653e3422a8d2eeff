//! The files of a flake: written where they are not as they should be.

use std::path::Path;

use hoist_schema::lock::{LOCK_FILE, LockedPath, LockedSystem};
use hoist_schema::{Exit, Lock};

use crate::error::CliError;
use crate::settings::system;
use crate::ship::{Landed, is_copy, vendor, write_whole};

/// Writes into a project, and remembers what.
pub(super) struct Writing<'a> {
    project: &'a Path,
    before: Option<&'a Lock>,
    force: bool,
    wrote: Vec<String>,
}

impl<'a> Writing<'a> {
    /// - `project`: its folder.
    /// - `before`: its lock as it is on disk.
    /// - `force`: whether folders may be replaced that this lock does not name.
    pub(super) fn new(project: &'a Path, before: Option<&'a Lock>, force: bool) -> Self {
        Self { project, before, force, wrote: Vec::new() }
    }

    /// What was written, relative to the project.
    pub(super) fn wrote(self) -> Vec<String> {
        self.wrote
    }

    /// Copies the artifact to where `locked` says, if it does, and the static hoist beside it.
    ///
    /// - `hoist`: where that lies on this machine; a copy made elsewhere stays as it is.
    pub(super) fn copies(
        &mut self,
        locked: &mut LockedSystem,
        landed: &Landed,
        hoist: Option<&Path>,
    ) -> Result<(), CliError> {
        let Some(copy) = locked.artifact.path.clone() else { return Ok(()) };
        self.copy(&landed.path, &copy, &locked.artifact)?;
        if let (Some(entry), Some(hoist)) = (&mut locked.hoist, hoist) {
            let folder = copy.rsplit_once('/').map_or("", |(folder, _)| folder);
            let copy = format!("{folder}/hoist");
            entry.path = Some(copy.clone());
            self.copy(hoist, &copy, entry)?;
        }
        Ok(())
    }

    fn copy(&mut self, from: &Path, copy: &str, locked: &LockedPath) -> Result<(), CliError> {
        let to = self.project.join(copy);
        if is_copy(&to, &locked.nar_hash) {
            return Ok(());
        }
        let known = self.before.and_then(|before| before.systems.get(&system()));
        let is_ours = known.is_some_and(|known| {
            [Some(&known.artifact), known.hoist.as_ref()]
                .into_iter()
                .flatten()
                .any(|known| known.path.as_deref() == Some(copy))
        });
        if to.symlink_metadata().is_ok() && !is_ours && !self.force {
            let message = format!("{} is there, and hoist.lock does not name it", to.display());
            return Err(CliError::new(Exit::No, message)
                .hint("name another folder with --vendor, or replace it with --force"));
        }
        vendor(from, self.project, copy)?;
        self.wrote.push(copy.to_owned());
        Ok(())
    }

    /// Writes the lock, unless it says that already.
    pub(super) fn lock(&mut self, lock: &Lock) -> Result<(), CliError> {
        if self.before != Some(lock) {
            write_whole(&self.project.join(LOCK_FILE), &lock.to_string())?;
            self.wrote.push(LOCK_FILE.to_owned());
        }
        Ok(())
    }

    /// Writes the flake: last, so that it never reads a lock that is not there.
    pub(super) fn flake(&mut self, name: &str, text: &str) -> Result<(), CliError> {
        write_whole(&self.project.join(name), text)?;
        self.wrote.push(name.to_owned());
        Ok(())
    }
}
