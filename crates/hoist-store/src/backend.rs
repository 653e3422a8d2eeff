//! What every store can do, wherever it is kept.

use std::io::{Read, Write};
use std::path::Path;

use hoist_nix::{
    ContentAddress, NarInfo, Sha256Hash, Signature, StoreDir, StorePath, StorePathName,
};

use crate::{Added, PathInfo, StoreError};

/// A store: the embedded one below a root ([`Store`](crate::Store)), or a Nix daemon's.
///
/// Every method either does all it says or changes nothing that others can see.
pub trait Backend {
    /// The directory that store paths are named by.
    fn dir(&self) -> &StoreDir;

    /// Whether the store vouches for `path`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot answer.
    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError>;

    /// Returns what the store knows of `path`; `None` when it does not vouch for it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot answer.
    fn path_info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError>;

    /// Returns all valid paths, sorted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot answer.
    fn paths(&self) -> Result<Vec<StorePath>, StoreError>;

    /// Adds the tree at `source` by its contents, without references, as
    /// `nix-store --add-fixed --recursive sha256` does.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the tree cannot be read or the store cannot take it.
    fn add_tree(&self, name: &StorePathName, source: &Path) -> Result<Added, StoreError>;

    /// Adds a path from its NAR, which must have the promised hash and size, end where the archive
    /// ends, and fit its content address where it has one. Its references must be valid already.
    /// Returns whether the store had it before; `nar` is then left unread.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the archive is not what was promised, nobody trusted vouches for it, a
    /// reference is missing, or the store cannot take it.
    fn add_nar(
        &self,
        new: &NewPath,
        nar: &mut dyn Read,
        trust: Trust<'_>,
    ) -> Result<bool, StoreError>;

    /// Writes `path` as a NAR to `out`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store does not vouch for `path`, or either side fails.
    fn write_nar(&self, path: &StorePath, out: &mut dyn Write) -> Result<(), StoreError>;

    /// Adds signatures to those that `path` has; each is kept once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store does not vouch for `path` or cannot be written.
    fn add_signatures(&self, path: &StorePath, signatures: &[Signature]) -> Result<(), StoreError>;

    /// Keeps `path` from being collected as long as this process has the store open.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be written.
    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError>;

    /// Makes a link at `link`, outside the store, that keeps `path` from being collected as long as
    /// it is there (an indirect root of Nix).
    ///
    /// # Errors
    ///
    /// [`StoreError`] when something else lies at `link`, or either cannot be written.
    fn add_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError>;
}

/// A path that is to be added from its NAR, and all that is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPath {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: Sha256Hash,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// The derivation that it is an output of.
    pub deriver: Option<StorePath>,
    /// The paths that it needs; itself among them when it holds its own path.
    pub references: Vec<StorePath>,
    /// Signatures by those who vouch for it.
    pub signatures: Vec<Signature>,
    /// By what content it is named.
    pub content_address: Option<ContentAddress>,
}

/// What a cache says of a path, less what it says of the file in the cache.
impl From<NarInfo> for NewPath {
    fn from(info: NarInfo) -> Self {
        Self {
            path: info.store_path,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
            deriver: info.deriver,
            references: info.references,
            signatures: info.signatures,
            content_address: info.content_address,
        }
    }
}

/// Whose word is good enough for a path that is not named by its content.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'k> {
    /// The caller's: whoever hands over the path was asked before.
    Caller,
    /// That of the owners of these keys, given by a signature; a path that is named by its content
    /// needs none.
    Keys(&'k [hoist_nix::PublicKey]),
}
