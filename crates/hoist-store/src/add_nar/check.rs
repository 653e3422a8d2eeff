//! Holding a path that is offered against what is said of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_nix::{
    ContentAddress, HashAlgorithm, Hasher, Sha256Hash, Sha256Hasher, StoreDir, fingerprint,
};

use crate::tree::dump;
use crate::{AddNarError, FileError, NewPath, StoreError, Trust};

/// Checks all that can be known before the archive is read.
pub(crate) fn check_promise(
    dir: &StoreDir,
    new: &NewPath,
    trust: Trust<'_>,
) -> Result<(), AddNarError> {
    if let Some(address) = &new.content_address {
        let fits = address.check_path(dir, &new.path, &new.references);
        return fits.map_err(|source| AddNarError::Address { path: new.path.clone(), source });
    }
    if is_vouched_for(dir, new, trust) {
        return Ok(());
    }
    Err(AddNarError::Untrusted { path: new.path.clone() })
}

/// Whether somebody trusted says that the path has this content.
pub(crate) fn is_vouched_for(dir: &StoreDir, new: &NewPath, trust: Trust<'_>) -> bool {
    let Trust::Keys(keys) = trust else { return true };
    let NewPath { path, nar_hash, nar_size, references, .. } = new;
    let fingerprint = fingerprint(dir, path, nar_hash, *nar_size, references);
    let vouches =
        |signature| keys.iter().any(|key| key.verifies(fingerprint.as_bytes(), signature));
    new.signatures.iter().any(vouches)
}

/// By what content a path is named, of those that Nix names most by: a tree, a text or a file, by
/// its SHA-256. `tree` has the NAR that is said of it.
pub(crate) fn address_of(
    dir: &StoreDir,
    new: &NewPath,
    tree: &Path,
) -> Result<Option<ContentAddress>, StoreError> {
    let fits =
        |address: &ContentAddress| address.check_path(dir, &new.path, &new.references).is_ok();
    let unknown = Sha256Hash([0; 32]);
    let kinds = [
        ContentAddress::Recursive(unknown.into()),
        ContentAddress::Text(unknown),
        ContentAddress::Flat(unknown.into()),
    ];
    for kind in kinds {
        if let Content::Address(address) = content_of(&kind, tree, new.nar_hash)?
            && fits(&address)
        {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// Checks what was unpacked to `tree`.
pub(super) fn check_content(
    new: &NewPath,
    tree: &Path,
    nar_hash: Sha256Hash,
    nar_size: u64,
) -> Result<(), StoreError> {
    let path = || new.path.clone();
    if nar_size != new.nar_size {
        let (found, wanted) = (nar_size, new.nar_size);
        return Err(AddNarError::Size { path: path(), found, wanted }.into());
    }
    if nar_hash != new.nar_hash {
        let (found, wanted) = (nar_hash, new.nar_hash);
        return Err(AddNarError::Hash { path: path(), found, wanted }.into());
    }
    let Some(address) = &new.content_address else { return Ok(()) };
    let found = match content_of(address, tree, nar_hash)? {
        Content::Address(found) if found == *address => return Ok(()),
        Content::Address(found) => format!("`{found}`"),
        Content::Other(kind) => kind.to_owned(),
    };
    let content_address = address.to_string();
    Err(AddNarError::Content { path: path(), content_address, found }.into())
}

/// What lies in a tree, in the terms of a content address.
enum Content {
    Address(ContentAddress),
    /// Nothing that such an address can name.
    Other(&'static str),
}

/// Returns the address of the same kind that `tree` has.
fn content_of(
    address: &ContentAddress,
    tree: &Path,
    nar_hash: Sha256Hash,
) -> Result<Content, StoreError> {
    if let Some(kind) = cannot_be_named(address, tree)? {
        return Ok(Content::Other(kind));
    }
    let found = match address {
        ContentAddress::Text(_) => {
            let mut hasher = Sha256Hasher::new();
            copy_file(tree, &mut hasher)?;
            ContentAddress::Text(hasher.finish().0)
        }
        ContentAddress::Flat(hash) => {
            let mut hasher = Hasher::new(hash.algorithm());
            copy_file(tree, &mut hasher)?;
            ContentAddress::Flat(hasher.finish())
        }
        ContentAddress::Recursive(hash) if hash.algorithm() == HashAlgorithm::Sha256 => {
            ContentAddress::Recursive(nar_hash.into())
        }
        ContentAddress::Recursive(hash) => {
            let mut hasher = Hasher::new(hash.algorithm());
            dump(tree, &mut hasher)?;
            ContentAddress::Recursive(hasher.finish())
        }
    };
    Ok(Content::Address(found))
}

/// What keeps a tree from being named by its bytes. These say nothing of the executable bit, which
/// `nix-store --add-fixed` keeps, and which a text never has.
fn cannot_be_named(
    address: &ContentAddress,
    tree: &Path,
) -> Result<Option<&'static str>, FileError> {
    let metadata = fs::symlink_metadata(tree).map_err(FileError::at("read", tree))?;
    let (kind, executable) = (metadata.file_type(), metadata.permissions().mode() & 0o100 != 0);
    Ok(match address {
        ContentAddress::Recursive(_) => None,
        _ if kind.is_dir() => Some("a directory"),
        _ if kind.is_symlink() => Some("a symlink"),
        ContentAddress::Text(_) if executable => Some("an executable file"),
        ContentAddress::Text(_) | ContentAddress::Flat(_) => None,
    })
}

fn copy_file(file: &Path, hasher: &mut impl Write) -> Result<(), FileError> {
    File::open(file)
        .and_then(|mut opened| io::copy(&mut opened, hasher))
        .map(|_| ())
        .map_err(FileError::at("read", file))
}
