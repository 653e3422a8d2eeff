//! Roots that are links.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;

use super::{Root, RootKind, Roots};
use crate::layout::is_absent;
use crate::{FileError, Store};

/// Adds what the links below `gcroots` and `profiles` lead to.
///
/// - `clean`: whether to remove links of `gcroots/auto` that lead nowhere.
pub(super) fn find(store: &Store, clean: bool, found: &mut Roots) -> Result<(), FileError> {
    let mut search = Search { store, clean, found };
    let mut pending = vec![store.layout.gc_roots(), store.layout.profiles()];
    while let Some(dir) = pending.pop() {
        for path in search.list(&dir)? {
            let file_type = match fs::symlink_metadata(&path) {
                Err(error) if is_absent(&error) => continue,
                metadata => metadata.map_err(FileError::at("read", &path))?.file_type(),
            };
            if file_type.is_dir() {
                pending.push(path);
            } else if file_type.is_symlink() {
                search.follow(&path)?;
            } else if file_type.is_file() {
                search.note_file(&path);
            }
        }
    }
    Ok(())
}

struct Search<'a> {
    store: &'a Store,
    clean: bool,
    found: &'a mut Roots,
}

impl Search<'_> {
    /// What lies in a folder; nothing when it is not there, or closed to this user.
    fn list(&mut self, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
        let listed = || FileError::at("list", dir);
        let entries = match fs::read_dir(dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.found.unreadable_links.push(dir.to_owned());
                return Ok(Vec::new());
            }
            entries => entries.map_err(listed())?,
        };
        entries.map(|entry| Ok(entry.map_err(listed())?.path())).collect()
    }

    /// A link to a store path, or to a link to one.
    fn follow(&mut self, link: &Path) -> Result<(), FileError> {
        let target = fs::read_link(link).map_err(FileError::at("read", link))?;
        if let Some(path) = self.store_path(&target) {
            self.found.roots.push(Root { path, kind: self.kind(link) });
            return Ok(());
        }
        let next = link.parent().unwrap_or(link).join(target);
        match fs::read_link(&next) {
            Ok(target) => {
                // The profile itself leads to a generation, which is a root in its own right.
                let is_listed = [link, &next].iter().all(|link| self.is_of_profile(link));
                if !is_listed && let Some(path) = self.store_path(&target) {
                    let kind = RootKind::Indirect { link: next, through: link.to_owned() };
                    self.found.roots.push(Root { path, kind });
                }
            }
            Err(error) if is_absent(&error) => {
                if link.starts_with(self.store.layout.auto_roots()) {
                    self.note_stale(link)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.found.unreadable_links.push(link.to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {} // it is no link
            Err(error) => return Err(FileError::at("read", next)(error)),
        }
        Ok(())
    }

    fn note_stale(&mut self, link: &Path) -> Result<(), FileError> {
        self.found.stale.push(link.to_owned());
        if !self.clean {
            return Ok(());
        }
        match fs::remove_file(link) {
            Err(error) if !is_absent(&error) => Err(FileError::at("remove", link)(error)),
            _ => Ok(()),
        }
    }

    /// A file is a root of the path that has its name.
    fn note_file(&mut self, file: &Path) {
        let name = file.file_name().and_then(|name| name.to_str());
        if let Some(path) = name.and_then(|name| StorePath::parse(name).ok()) {
            self.found.roots.push(Root { path, kind: self.kind(file) });
        }
    }

    fn kind(&self, link: &Path) -> RootKind {
        let layout = &self.store.layout;
        let pin = link.strip_prefix(layout.pins()).ok().and_then(Path::to_str);
        match pin {
            Some(name) => RootKind::Pin { name: name.to_owned() },
            None if self.is_of_profile(link) => RootKind::Profile { link: link.to_owned() },
            None => RootKind::Link { link: link.to_owned() },
        }
    }

    fn is_of_profile(&self, link: &Path) -> bool {
        link.starts_with(self.store.layout.profiles())
    }

    /// The store path that a link leads to or into: by the name that it has for Nix, or where it
    /// lies.
    fn store_path(&self, target: &Path) -> Option<StorePath> {
        let logical = Path::new(self.store.dir().as_str());
        let physical = self.store.layout.store();
        let inside =
            target.strip_prefix(logical).or_else(|_| target.strip_prefix(physical)).ok()?;
        let name = inside.components().next()?.as_os_str().to_str()?;
        StorePath::parse(name).ok()
    }
}
