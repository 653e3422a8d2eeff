//! What derivations say of their outputs, which Nix looks up in the database.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use hoist_nix::{Derivation, DerivationError, OutputPaths, StorePath, StorePathName};
use rustix::fs::OFlags;

use crate::database::OutputOf;
use crate::install::Staged;
use crate::{AddNarError, FileError, Store, StoreError};

/// Beyond what is read as a derivation.
const MAX_LEN: u64 = 32 * 1024 * 1024;

impl Store {
    /// Returns the outputs of the derivations among `staged`, after checking that these have the
    /// paths that follow from them, and so have their outputs.
    pub(crate) fn outputs_of(&self, staged: &[&Staged]) -> Result<Vec<OutputOf>, StoreError> {
        let mut outputs = Vec::new();
        let mut known = OutputPaths::new(self.dir().clone());
        for new in staged.iter().filter(|new| is_derivation(&new.info.path)) {
            let path = &new.info.path;
            let derivation = self.read_derivation(path, staged)?;
            let named = derivation.store_path(self.dir());
            let named =
                named.map_err(|source| AddNarError::Address { path: path.clone(), source })?;
            if named != *path {
                return Err(AddNarError::OtherDerivation { path: path.clone(), named }.into());
            }
            let lookup = |input: &StorePath| Ok(self.read_derivation(input, staged)?);
            let paths = known.check(&derivation, lookup);
            let paths = paths.and_then(|()| known.of(&derivation, lookup));
            let paths = paths.map_err(|failure| match failure {
                Failure::Store(error) => error,
                Failure::Outputs(source) => refused(path, source),
            })?;
            // Some are known only when they are built.
            for (name, path) in paths.into_iter().filter_map(|(name, path)| Some((name, path?))) {
                let (derivation, name) = (new.info.path.clone(), name.to_string());
                outputs.push(OutputOf { derivation, name, path });
            }
        }
        Ok(outputs)
    }

    /// Reads a derivation that is being added, or was before.
    fn read_derivation(
        &self,
        path: &StorePath,
        staged: &[&Staged],
    ) -> Result<Derivation, StoreError> {
        let coming = staged.iter().find(|new| new.info.path == *path);
        let file = coming.map_or_else(|| self.physical(path), |new| new.tree.clone());
        let name = path.name().strip_suffix(".drv").unwrap_or(path.name());
        let name = StorePathName::parse(name)
            .map_err(|source| AddNarError::Address { path: path.clone(), source })?;
        let text = read(file)?;
        Derivation::parse(self.dir(), &name, &text).map_err(|source| refused(path, source))
    }
}

/// Why the outputs of a derivation could not be checked.
enum Failure {
    Store(StoreError),
    Outputs(DerivationError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DerivationError> for Failure {
    fn from(error: DerivationError) -> Self {
        Self::Outputs(error)
    }
}

fn refused(path: &StorePath, source: DerivationError) -> StoreError {
    AddNarError::Derivation { path: path.clone(), source: source.into() }.into()
}

/// Whether Nix parses what is at this path as a derivation.
fn is_derivation(path: &StorePath) -> bool {
    path.name().strip_suffix(".drv").is_some()
}

/// Reads a file, but never through a symlink that came as a derivation.
fn read(file: PathBuf) -> Result<Vec<u8>, FileError> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open is an int");
    let mut text = Vec::new();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&file)
        .and_then(|opened| opened.take(MAX_LEN).read_to_end(&mut text))
        .map_err(FileError::at("read", file))?;
    Ok(text)
}
