//! Where the libraries of an artifact lie, and what repairs put there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::siblings::{Siblings, folder_of, normalize};

/// Most bytes of a library that is repaired or bundled.
const MOST_BYTES: u64 = 1 << 30;

/// The artifact as it will be: what is on disk, and over it what repairs changed.
///
/// A file that is repaired alone lies in the artifact `/`, at the place where it is written.
#[derive(Debug)]
pub(crate) struct Site {
    root: PathBuf,
    /// Paths of the libraries that a folder holds, by file name; none for a file alone.
    by_name: BTreeMap<String, Vec<String>>,
    /// What is there after the repairs, by path.
    pub(crate) changed: BTreeMap<String, Vec<u8>>,
}

impl Site {
    pub(crate) fn new(root: PathBuf, libraries: impl Iterator<Item = String>) -> Self {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in libraries {
            by_name.entry(name_of(&path).to_owned()).or_default().push(path);
        }
        Self { root, by_name, changed: BTreeMap::new() }
    }

    /// Whether there is a file at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.changed.contains_key(path) || self.root.join(path).is_file()
    }

    /// The path of the library called `name` that lies nearest to `from`, anywhere in the artifact.
    pub(crate) fn find(&self, name: &str, from: &str) -> Option<&str> {
        let beside = |path: &&String| folder_of(path) == folder_of(from);
        let paths = self.by_name.get(name)?;
        paths
            .iter()
            .filter(|path| *path != from)
            .min_by_key(|path| (!beside(path), path.len()))
            .map(String::as_str)
    }
}

impl Siblings for Site {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        if let Some(bytes) = self.changed.get(path) {
            return Some(bytes.clone());
        }
        let root = self.root.canonicalize().ok()?;
        let path = root.join(normalize(path)?).canonicalize().ok()?;
        path.starts_with(&root).then(|| read_library(&path)).flatten()
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
    use super::*;

    #[test]
    fn origin_leads_up_and_down() {
        assert_eq!(origin_to("lib/libx.so", "lib"), "$ORIGIN");
        assert_eq!(origin_to("lib/libx.so", "lib/x.libs"), "$ORIGIN/x.libs");
        assert_eq!(origin_to("a/b/libx.so", "a/c/d"), "$ORIGIN/../c/d");
        assert_eq!(origin_to("libx.so", ""), "$ORIGIN");
        assert_eq!(origin_to("lib/libx.so", ""), "$ORIGIN/..");
    }

    #[test]
    fn the_nearest_library_of_a_name_is_found() {
        let paths = ["far/away/libd.so", "lib/libd.so", "other/libd.so"].map(str::to_owned);
        let site = Site::new(PathBuf::from("/nonexistent"), paths.into_iter());
        assert_eq!(site.find("libd.so", "other/libx.so"), Some("other/libd.so"));
        assert_eq!(site.find("libd.so", "bin/libx.so"), Some("lib/libd.so"));
        assert_eq!(site.find("libd.so", "lib/libd.so"), Some("other/libd.so"));
        assert_eq!(site.find("libe.so", "lib/libx.so"), None);
    }
}
