//! Adding paths to a daemon's store.

use std::io::{BufReader, Read};
use std::path::Path;

use hoist_nix::wire::PathInfo as WireInfo;
use hoist_nix::wire::worker::{Operation, Request, Response};
use hoist_nix::{
    ContentAddress, NarCopyError, NarError, NarLimits, StorePathName, copy_nar,
    fixed_recursive_sha256,
};

use super::connection::{Connection, Failure};
use super::promised::{PromisedNar, Refusal};
use super::{DaemonError, DaemonStore};
use crate::add_nar::check_promise;
use crate::tree::{dump, hash_tree};
use crate::{AddNarError, Added, NewPath, StoreError, TreeError, Trust};

/// How much of a source is read at once.
const CHUNK_LEN: usize = 64 * 1024;

impl DaemonStore {
    /// Adds a path from its NAR: see [`Backend::add_nar`](crate::Backend::add_nar).
    pub(super) fn take_nar(
        &self,
        new: &NewPath,
        nar: &mut dyn Read,
        trust: Trust<'_>,
    ) -> Result<bool, StoreError> {
        check_promise(&self.dir, new, trust)?;
        let mut connection = self.connection()?;
        if is_there_with_references(&mut connection, new)? {
            return Ok(true);
        }
        send(&mut connection, new, |out| {
            // One byte more tells an archive that is too long; no more of it is read.
            let nar = nar.take(new.nar_size.saturating_add(1));
            let mut nar = BufReader::with_capacity(CHUNK_LEN, nar);
            let copied = copy_nar(&mut nar, NarLimits::default(), out);
            let ended = copied.map_err(|error| match error {
                NarCopyError::Nar(source) => self.not_an_archive(new, source),
                // What the other side had against it is told in its place.
                _ => StoreError::from(DaemonError::Ended),
            });
            ended.and_then(|size| self.expect_end(new, &mut nar, size))
        })?;
        Ok(false)
    }

    /// Adds a tree by its contents: see [`Backend::add_tree`](crate::Backend::add_tree).
    pub(super) fn take_tree(
        &self,
        name: &StorePathName,
        source: &Path,
    ) -> Result<Added, StoreError> {
        if name.is_derivation() {
            return Err(StoreError::DerivationName { name: name.as_str().to_owned() });
        }
        let (nar_hash, nar_size) = hash_tree(source)?;
        let path = fixed_recursive_sha256(&self.dir, name, &nar_hash);
        let new = NewPath {
            path: path.clone(),
            nar_hash,
            nar_size,
            deriver: None,
            references: Vec::new(),
            signatures: Vec::new(),
            content_address: Some(ContentAddress::Recursive(nar_hash.into())),
        };
        let mut connection = self.connection()?;
        let already_there = is_there_with_references(&mut connection, &new)?;
        if !already_there {
            let sent = send(&mut connection, &new, |out| Ok(dump(source, out)?));
            sent.map_err(|error| match error {
                // It was hashed before it was sent.
                StoreError::AddNar(_) => TreeError::Changed { path: source.to_owned() }.into(),
                error => error,
            })?;
        }
        Ok(Added { path, nar_hash, nar_size, already_there })
    }

    /// Checks that nothing follows an archive of `size` bytes.
    fn expect_end(&self, new: &NewPath, nar: &mut impl Read, size: u64) -> Result<(), StoreError> {
        let read = loop {
            match nar.read(&mut [0]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Ok(()),
            Ok(_) if size == new.nar_size => {
                let (path, wanted) = (new.path.clone(), new.nar_size);
                Err(AddNarError::TooLong { path, wanted }.into())
            }
            Ok(_) => Err(self.not_an_archive(new, NarError::Trailing { offset: size })),
            Err(source) => Err(self.not_an_archive(new, NarError::Read { offset: size, source })),
        }
    }

    fn not_an_archive(&self, new: &NewPath, source: NarError) -> StoreError {
        TreeError::Read { path: self.dir.print(&new.path).into(), source }.into()
    }
}

/// Keeps a path and its references for as long as the connection lasts, and returns whether the
/// path is valid; if not, its references must be.
fn is_there_with_references(
    connection: &mut Connection,
    new: &NewPath,
) -> Result<bool, StoreError> {
    let references = || new.references.iter().filter(|reference| **reference != new.path);
    let paths: Vec<_> = references().chain([&new.path]).cloned().collect();
    let keep = paths.iter().cloned().map(Request::AddTempRoot);
    let query = Request::QueryValidPaths { paths: paths.clone(), substitute: false };
    connection.ask_all(&keep.chain([query]).collect::<Vec<_>>())?;
    let Response::Paths(valid) = connection.answer(Operation::QueryValidPaths)? else {
        unreachable!("this operation is answered with paths");
    };
    if valid.contains(&new.path) {
        return Ok(true);
    }
    match references().find(|reference| !valid.contains(reference)) {
        None => Ok(false),
        Some(reference) => {
            let (path, reference) = (new.path.clone(), reference.clone());
            Err(AddNarError::Reference { path, reference }.into())
        }
    }
}

/// Sends a path and its NAR, which `fill` writes.
fn send(
    connection: &mut Connection,
    new: &NewPath,
    fill: impl FnOnce(&mut PromisedNar<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let operation = Operation::AddToStoreNar;
    connection.ask_all(&[request(new)])?;
    let mut out = PromisedNar::new(new, connection.raw().get_mut());
    let filled = fill(&mut out);
    let sent = match out.finish(filled.is_ok()) {
        Err(Refusal::Channel(error)) => {
            return Err(connection.fail(operation.name(), Failure::Write(error)).into());
        }
        Err(Refusal::Promise(refusal)) => Err(refusal.into()),
        Ok(()) => filled,
    };
    // The daemon answers even what was broken off; that it refuses it is then no news.
    let answer = connection.answer(operation);
    sent?;
    answer?;
    Ok(())
}

fn request(new: &NewPath) -> Request {
    let mut references = new.references.clone();
    references.sort_unstable();
    references.dedup();
    Request::AddToStoreNar {
        path: new.path.clone(),
        info: WireInfo {
            deriver: new.deriver.clone(),
            nar_hash: new.nar_hash,
            references,
            registered_unix: 0,
            nar_size: new.nar_size,
            ultimate: false,
            signatures: new.signatures.iter().map(ToString::to_string).collect(),
            content_address: new.content_address.as_ref().map(ToString::to_string),
        },
        repair: false,
        // Whoever vouches for it was asked here; a daemon that does not trust us asks again.
        dont_check_signatures: true,
    }
}
