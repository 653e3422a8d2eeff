//! Streams of several paths, as `nix-store --export` and `--import` have them.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use hoist_nix::{
    ContentAddress, ExportError, ExportReader, ExportWriter, ExportedPath, HashingWriter,
    NarLimits, StorePath,
};

use crate::add_nar::{address_of, is_vouched_for};
use crate::database::references_first;
use crate::install::Staged;
use crate::temp::TempDir;
use crate::{AddNarError, Backend, FileError, NewPath, PathInfo, Store, StoreError, Trust};

/// Archives up to this size are put aside in memory.
const SPOOL_MAX_LEN: usize = 1024 * 1024;

/// How many paths are registered in one transaction; each holds a lock meanwhile.
const TOGETHER: usize = 64;

impl Store {
    /// Writes paths to `out` in the order and the bytes of `nix-store --export`: each once,
    /// references first. What they refer to comes along only if it is among `paths`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInStore`] before anything is written; [`StoreError::Modified`] and others
    /// in the middle, so that `out` holds a stream without an end, which nobody imports.
    pub fn export(&self, paths: &[StorePath], out: &mut dyn Write) -> Result<(), StoreError> {
        let info = |path: &StorePath| {
            let info = self.path_info(path)?;
            info.ok_or_else(|| StoreError::NotInStore { path: path.clone() })
        };
        let mut infos: Vec<PathInfo> = paths.iter().map(info).collect::<Result<_, _>>()?;
        infos.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        infos.dedup_by(|one, other| one.path == other.path);

        let mut export = ExportWriter::new(BufWriter::new(out), self.dir().clone());
        for info in references_first(&infos)? {
            let PathInfo { path, references, deriver, .. } = info.clone();
            let said = ExportedPath { path, references, deriver };
            export.path(&said, |nar| self.write_nar(&info.path, nar))?;
        }
        export.finish()?.flush().map_err(|error| ExportError::Write(error).into())
    }

    /// Adds all paths of a stream that `nix-store --export` wrote. Returns them in its order, also
    /// those that the store had before.
    ///
    /// The stream says neither by what content a path is named nor who signed it. What is found to
    /// be named by its content is registered as such, and needs no trust; of the rest, `trust` must
    /// be the caller's. Nothing is added before all of the stream was read and found good; then
    /// paths appear with all that they refer to.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the stream is none, a path refers to one that is neither in it nor in the
    /// store, nobody trusted vouches for it, or the store cannot take it.
    pub fn import(
        &self,
        export: impl Read,
        trust: Trust<'_>,
    ) -> Result<Vec<StorePath>, StoreError> {
        let temp = TempDir::create(self)?;
        let limits = NarLimits::default();
        let mut export = ExportReader::new(BufReader::new(export), self.dir().clone(), limits);
        let (mut paths, mut staged) = (Vec::new(), Vec::new());
        let mut coming = HashSet::new();
        loop {
            let spool = tempfile::spooled_tempfile_in(SPOOL_MAX_LEN, temp.path());
            let mut spool = HashingWriter::new(spool);
            let Some(said) = export.next_path_into(&mut spool)? else { break };
            let (mut spool, nar_hash, nar_size) = spool.finish();
            let new = NewPath {
                path: said.path,
                nar_hash,
                nar_size,
                deriver: said.deriver,
                references: said.references,
                signatures: Vec::new(),
                content_address: None,
            };
            paths.push(new.path.clone());
            self.keep(&new).or_else(|_| self.hold_off_collection())?;
            if coming.contains(&new.path) || self.is_there(&new.path)? {
                continue;
            }
            self.require_references(&new, |reference| coming.contains(reference))?;
            spool.rewind().map_err(FileError::at("read a copy in", temp.path()))?;
            let name = OsString::from(format!("tree-{}", staged.len()));
            let mut new_tree = self.stage(&new, &mut spool, &temp, &name)?;
            self.name_by_content(&mut new_tree, &new, trust)?;
            coming.insert(new.path);
            staged.push(new_tree);
        }
        // Derivations are all right, or nothing appears; each part looks at its own again.
        self.outputs_of(&staged.iter().collect::<Vec<_>>())?;
        for together in staged.chunks(TOGETHER) {
            self.install(together, &temp)?;
        }
        Ok(paths)
    }

    /// Finds out by what content an imported path is named, or that somebody vouches for it.
    fn name_by_content(
        &self,
        staged: &mut Staged,
        new: &NewPath,
        trust: Trust<'_>,
    ) -> Result<(), StoreError> {
        let address = address_of(self.dir(), new, &staged.tree)?;
        if address.is_none() && !is_vouched_for(self.dir(), new, trust) {
            return Err(AddNarError::Untrusted { path: new.path.clone() }.into());
        }
        staged.info.content_address = address.as_ref().map(ContentAddress::to_string);
        Ok(())
    }
}
