//! A daemon's store as one of those that [`Backend`] stands for.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use hoist_nix::wire::WireError;
use hoist_nix::wire::worker::{Operation, Request, Response};
use hoist_nix::{
    HashingWriter, NarCopyError, NarError, NarLimits, NarWriteError, Signature, StoreDir,
    StorePath, StorePathName, copy_nar,
};

use super::connection::{Connection, Failure};
use super::{DaemonError, DaemonStore};
use crate::{Added, Backend, NewPath, PathInfo, StoreError, TreeError, Trust};

/// How much of an archive is handed on at once.
const CHUNK_LEN: usize = 64 * 1024;

impl Backend for DaemonStore {
    fn dir(&self) -> &StoreDir {
        &self.dir
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        match self.ask(&Request::IsValidPath(path.clone()))? {
            Response::Flag(is_valid) => Ok(is_valid),
            _ => unreachable!("this operation is answered with a flag"),
        }
    }

    fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        let Response::Info(info) = self.ask(&Request::QueryPathInfo(path.clone()))? else {
            unreachable!("this operation is answered with what is known of a path");
        };
        Ok(info.map(|mut info| {
            info.references.sort_unstable();
            PathInfo {
                path: path.clone(),
                nar_hash: info.nar_hash,
                nar_size: Some(info.nar_size).filter(|&size| size > 0),
                registered_unix: info.registered_unix,
                deriver: info.deriver,
                references: info.references,
                ultimate: info.ultimate,
                signatures: info.signatures,
                content_address: info.content_address,
            }
        }))
    }

    fn paths(&self) -> Result<Vec<StorePath>, StoreError> {
        let Response::Paths(mut paths) = self.ask(&Request::QueryAllValidPaths)? else {
            unreachable!("this operation is answered with paths");
        };
        paths.sort_unstable();
        Ok(paths)
    }

    /// The tree is read twice: hashed, and sent when the daemon does not have it.
    fn add_tree(&self, name: &StorePathName, source: &Path) -> Result<Added, StoreError> {
        self.take_tree(name, source)
    }

    /// The end of the archive is kept back until all of it was found to be as promised, so that the
    /// daemon never gets what it might read more leniently.
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
        let mut connection = self.connection()?;
        connection.ask(&Request::NarFromPath(path.clone()))?;
        let out = ToTheEnd { out, error: None };
        let mut out = HashingWriter::new(BufWriter::with_capacity(CHUNK_LEN, out));
        let copied = copy_nar(connection.raw(), NarLimits::default(), &mut out);
        copied.map_err(|error| broken_off(&mut connection, path, error))?;
        let (out, found, _) = out.finish();
        let out = out.into_inner().map_err(io::IntoInnerError::into_error);
        out.and_then(ToTheEnd::finish).map_err(|error| TreeError::Write {
            path: self.dir.print(path).into(),
            source: NarWriteError::Write(error),
        })?;
        if found == info.nar_hash {
            return Ok(());
        }
        let (path, expected) = (path.clone(), info.nar_hash);
        Err(StoreError::Modified { path, found, expected })
    }

    fn add_signatures(&self, path: &StorePath, signatures: &[Signature]) -> Result<(), StoreError> {
        if !self.is_valid(path)? {
            return Err(StoreError::NotInStore { path: path.clone() });
        }
        let signatures = signatures.iter().map(ToString::to_string).collect();
        self.ask(&Request::AddSignatures { path: path.clone(), signatures })?;
        Ok(())
    }

    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError> {
        self.ask(&Request::AddTempRoot(path.clone()))?;
        Ok(())
    }

    fn add_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        self.link_root(link, path)
    }
}

/// Takes all of an archive even when the writer below fails, so that the connection stands behind
/// it.
struct ToTheEnd<'o> {
    out: &'o mut dyn Write,
    error: Option<io::Error>,
}

impl ToTheEnd<'_> {
    fn finish(self) -> io::Result<()> {
        self.error.map_or_else(|| self.out.flush(), Err)
    }
}

impl Write for ToTheEnd<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.error.is_none() {
            self.error = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What it means that an archive could not be read to its end.
fn broken_off(connection: &mut Connection, path: &StorePath, error: NarCopyError) -> DaemonError {
    let wire = match error {
        NarCopyError::Nar(NarError::Read { offset, source }) => WireError::Read { offset, source },
        NarCopyError::Nar(NarError::Truncated { offset }) => WireError::Ended { offset },
        NarCopyError::Nar(source) => {
            connection.end();
            return DaemonError::Archive { path: path.clone(), source };
        }
        _ => unreachable!("what writes to the end never fails"),
    };
    connection.fail(Operation::NarFromPath.name(), Failure::Wire(wire))
}
