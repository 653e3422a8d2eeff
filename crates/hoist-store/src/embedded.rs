//! The store below a root as one of those that [`Backend`] stands for.

use std::io::{BufWriter, Read, Write};
use std::path::Path;

use hoist_nix::{HashingWriter, NarWriteError, Signature, StoreDir, StorePath, StorePathName};

use crate::tree::dump;
use crate::{Added, Backend, NewPath, PathInfo, Store, StoreError, TreeError, Trust};

/// How much of an archive is handed on at once.
const CHUNK_LEN: usize = 64 * 1024;

impl Backend for Store {
    fn dir(&self) -> &StoreDir {
        self.dir()
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.database()?.is_valid(path)
    }

    fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        self.path_info(path)
    }

    fn paths(&self) -> Result<Vec<StorePath>, StoreError> {
        self.database()?.paths()
    }

    fn add_tree(&self, name: &StorePathName, source: &Path) -> Result<Added, StoreError> {
        self.add_tree(name, source)
    }

    fn add_nar(
        &self,
        new: &NewPath,
        nar: &mut dyn Read,
        trust: Trust<'_>,
    ) -> Result<bool, StoreError> {
        self.take_nar(new, nar, trust)
    }

    /// Hashes what it writes: [`StoreError::Modified`] tells, at the end, that it was not what had
    /// been registered.
    fn write_nar(&self, path: &StorePath, out: &mut dyn Write) -> Result<(), StoreError> {
        let Some(info) = self.path_info(path)? else {
            return Err(StoreError::NotInStore { path: path.clone() });
        };
        let mut out = HashingWriter::new(BufWriter::with_capacity(CHUNK_LEN, out));
        dump(&self.physical(path), &mut out)?;
        // Dropped unflushed, it would keep to itself that the last of it could not be written.
        out.flush().map_err(|source| TreeError::Write {
            path: self.physical(path),
            source: NarWriteError::Write(source),
        })?;
        let (_, found, _) = out.finish();
        if found == info.nar_hash {
            return Ok(());
        }
        let (path, expected) = (path.clone(), info.nar_hash);
        Err(StoreError::Modified { path, found, expected })
    }

    fn add_signatures(&self, path: &StorePath, signatures: &[Signature]) -> Result<(), StoreError> {
        self.database()?.add_signatures(path, signatures)
    }

    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError> {
        Ok(self.keep_for_now(path)?)
    }

    fn add_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        self.link_root(link, path)
    }
}
