//! Where the libraries of an artifact lie, and what repairs put there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hoist_elf::Identity;

use crate::siblings::{Neighbour, Siblings, folder_of};
use crate::tree::Folder;

/// Most bytes of a library that is repaired or bundled.
const MOST_BYTES: u64 = 1 << 30;

/// The artifact as it will be: what is on disk, and over it what repairs changed.
///
/// A file that is repaired alone lies in the artifact `/`, at the place where it is written.
#[derive(Debug)]
pub(crate) struct Site {
    folder: Folder,
    /// Paths of the libraries that a folder holds, by file name; none for a file alone.
    by_name: BTreeMap<String, Vec<String>>,
    /// What is there after the repairs, by path.
    changed: BTreeMap<String, Vec<u8>>,
    /// Changed libraries that were read because others need them, by path.
    known: Mutex<BTreeMap<String, Arc<Neighbour>>>,
}

impl Site {
    /// - `libraries`: the paths of those that are looked for by their name alone.
    pub(crate) fn new(folder: Folder, libraries: impl Iterator<Item = String>) -> Self {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in libraries {
            by_name.entry(name_of(&path).to_owned()).or_default().push(path);
        }
        Self { folder, by_name, changed: BTreeMap::new(), known: Mutex::default() }
    }

    /// Puts what a repair made in its place.
    pub(crate) fn change(&mut self, path: String, bytes: Vec<u8>) {
        self.known.get_mut().unwrap_or_else(PoisonError::into_inner).remove(&path);
        self.changed.insert(path, bytes);
    }

    /// What repairs put at `path`.
    pub(crate) fn changed(&self, path: &str) -> Option<&Vec<u8>> {
        self.changed.get(path)
    }

    /// All that repairs changed, by path.
    pub(crate) fn into_changed(self) -> BTreeMap<String, Vec<u8>> {
        self.changed
    }

    /// Whether the loader would take the file at `path` for a process like `identity`.
    pub(crate) fn serves(&self, path: &str, identity: Identity) -> bool {
        let is_like =
            |other: Identity| (other.machine, other.class) == (identity.machine, identity.class);
        self.library(path).is_some_and(|found| found.identity.is_none_or(is_like))
    }

    /// The path of the library called `name` that lies nearest to `from`, anywhere in the artifact,
    /// and serves a process like `identity`.
    pub(crate) fn find(&self, name: &str, from: &str, identity: Identity) -> Option<&str> {
        let beside = |path: &&String| folder_of(path) == folder_of(from);
        let paths = self.by_name.get(name)?;
        paths
            .iter()
            .filter(|path| *path != from && self.serves(path, identity))
            .min_by_key(|path| (!beside(path), path.len()))
            .map(String::as_str)
    }
}

impl Siblings for Site {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.changed(path).cloned().or_else(|| self.folder.read(path))
    }

    fn holds(&self, path: &str) -> bool {
        self.changed.contains_key(path) || self.folder.holds(path)
    }

    fn library(&self, path: &str) -> Option<Arc<Neighbour>> {
        let Some(bytes) = self.changed(path) else { return self.folder.library(path) };
        // A thread that panicked left the map as it was.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(neighbour) = known().get(path) {
            return Some(Arc::clone(neighbour));
        }
        let neighbour = Arc::new(Neighbour::read(bytes));
        known().insert(path.to_owned(), Arc::clone(&neighbour));
        Some(neighbour)
    }
}

/// The bytes of a regular file of no more than a library's size.
pub(crate) fn read_library(path: &Path) -> Option<Vec<u8>> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The last part of a path.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// How `$ORIGIN` of the library at `from` leads to the folder `to`.
pub(crate) fn origin_to(from: &str, to: &str) -> String {
    let parts = |folder: &str| -> Vec<String> {
        folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (from, to) = (parts(folder_of(from)), parts(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - common);
    let down = to[common..].iter().map(String::as_str);
    ["$ORIGIN"].into_iter().chain(up).chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use hoist_elf::Machine;
    use hoist_elf::testing::Library;
    use tempfile::TempDir;

    use super::*;
    use crate::{Contract, Target};

    #[test]
    fn origin_leads_up_and_down() {
        assert_eq!(origin_to("lib/libx.so", "lib"), "$ORIGIN");
        assert_eq!(origin_to("lib/libx.so", "lib/x.libs"), "$ORIGIN/x.libs");
        assert_eq!(origin_to("a/b/libx.so", "a/c/d"), "$ORIGIN/../c/d");
        assert_eq!(origin_to("libx.so", ""), "$ORIGIN");
        assert_eq!(origin_to("lib/libx.so", ""), "$ORIGIN/..");
    }

    fn identity() -> Identity {
        Identity::read(&Library::new().build()).unwrap()
    }

    /// A site with libraries at `paths`, and its folder.
    fn site(paths: &[&str]) -> (Site, TempDir) {
        let home = tempfile::tempdir().unwrap();
        for path in paths {
            let file = home.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, Library::new().build()).unwrap();
        }
        let folder = Folder::new(home.path(), &Contract::new(Target::X86_64_LINUX));
        (Site::new(folder, paths.iter().map(|&path| path.to_owned())), home)
    }

    #[test]
    fn the_nearest_library_of_a_name_is_found() {
        let (site, _home) = site(&["far/away/libd.so", "lib/libd.so", "other/libd.so"]);
        let find = |name, from| site.find(name, from, identity());
        assert_eq!(find("libd.so", "other/libx.so"), Some("other/libd.so"));
        assert_eq!(find("libd.so", "bin/libx.so"), Some("lib/libd.so"));
        assert_eq!(find("libd.so", "lib/libd.so"), Some("other/libd.so"));
        assert_eq!(find("libe.so", "lib/libx.so"), None);
        let arm = Identity { machine: Machine::AARCH64, ..identity() };
        assert_eq!(site.find("libd.so", "lib/libx.so", arm), None);
    }

    #[test]
    fn a_library_is_read_once_until_it_changes() {
        let (mut site, _home) = site(&["lib/libd.so"]);
        let read = |site: &Site| site.library("lib/libd.so").unwrap();
        let soname = |it: &Neighbour| it.facts.as_ref().unwrap().dynamic.soname.clone();
        let first = read(&site);
        assert!(Arc::ptr_eq(&first, &read(&site)));
        for name in ["libnew.so", "libnewer.so"] {
            let changed = Library { soname: Some(name), ..Library::new() };
            site.change("lib/libd.so".to_owned(), changed.build());
            let now = read(&site);
            assert_eq!(soname(&now).as_deref(), Some(name));
            assert!(Arc::ptr_eq(&now, &read(&site)));
        }
    }
}
