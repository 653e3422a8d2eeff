//! Links anywhere on the machine that keep a path from being collected: indirect roots.
//!
//! The store has a link to each in `gcroots/auto`, named by its path; a collector follows it, and
//! removes it when there is nothing at its end.
//!
//! Source: `addPermRoot` and `addIndirectRoot` in `gc.cc` of Nix 2.8 and 2.26.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use hoist_nix::{HashAlgorithm, Hasher, StoreDir, StorePath, base32};

use crate::layout::{create_dir_all, is_absent};
use crate::tree::sync_dir;
use crate::{FileError, Store, StoreError};

impl Store {
    /// Makes a link that keeps `path`: see [`Backend::add_root`](crate::Backend::add_root).
    pub(crate) fn link_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        let link = absolute(link)?;
        if link.starts_with(self.layout.store()) {
            return Err(StoreError::Root { link, why: IN_STORE });
        }
        self.keep_for_now(path)?;
        if !self.is_there(path)? {
            return Err(StoreError::NotInStore { path: path.clone() });
        }
        place_link(self.dir(), &link, path, |link| {
            let auto = self.layout.auto_roots().join(auto_name(link));
            Ok(replace_link(&auto, link)?)
        })
    }
}

const IN_STORE: &str = "it lies in the store";

/// Makes a link at `link` to `path`, a valid one that is kept for now, and lets the store know of
/// it by `register`, which gets its absolute path. When that fails, what was there is put back.
pub(crate) fn place_link(
    dir: &StoreDir,
    link: &Path,
    path: &StorePath,
    register: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let link = absolute(link)?;
    let refused = |why| StoreError::Root { link: link.clone(), why };
    if link.starts_with(dir.as_str()) {
        return Err(refused(IN_STORE));
    }
    let before = match fs::read_link(&link) {
        Ok(target) if target.starts_with(dir.as_str()) => Some(target),
        Err(error) if is_absent(&error) => None,
        _ => return Err(refused("something else lies there")),
    };
    replace_link(&link, Path::new(&dir.print(path)))?;
    let registered = register(&link);
    if registered.is_err() {
        // A link that keeps nothing must not look as if it did.
        let _ = match before {
            Some(target) => replace_link(&link, &target),
            None => fs::remove_file(&link).map_err(FileError::at("remove", &link)),
        };
    }
    registered
}

/// The name of the store's link to the link at `link`.
fn auto_name(link: &Path) -> String {
    let mut hasher = Hasher::new(HashAlgorithm::Sha1);
    hasher.update(link.as_os_str().as_encoded_bytes());
    base32::encode(hasher.finish().as_bytes())
}

/// The path from `/` on, without `.` and `..`; symlinks stay, as Nix's `canonPath` leaves them.
fn absolute(path: &Path) -> Result<PathBuf, FileError> {
    let from_root = std::path::absolute(path).map_err(FileError::at("find", path))?;
    let mut plain = PathBuf::new();
    for component in from_root.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

/// Makes a link by one rename, in the place of one that is there.
fn replace_link(link: &Path, target: &Path) -> Result<(), FileError> {
    let dir = link.parent().expect("a link is in a folder");
    create_dir_all(dir)?;
    let failed = || FileError::at("create", link);
    let make = |path: &Path| symlink(target, path);
    let new = tempfile::Builder::new().prefix(".hoist-root-").make_in(dir, make);
    let new = new.map_err(failed())?.into_temp_path();
    new.persist(link).map_err(|error| failed()(error.error))?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_before_it_is_named() {
        let found = absolute(Path::new("/a/./b/../../../c//d")).unwrap();
        assert_eq!(found, Path::new("/c/d"));
    }
}
