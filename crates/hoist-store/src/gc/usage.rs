//! How much disk becomes free when trees are removed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files by what is to be removed of their names; a file is gone with its last one.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// By device and inode.
    files: HashMap<(u64, u64), File>,
    directory_bytes: u64,
}

#[derive(Debug)]
struct File {
    names: u64,
    found: u64,
    bytes: u64,
}

impl Usage {
    /// Adds a tree that is to be removed. What cannot be looked at counts as nothing.
    pub(super) fn add_tree(&mut self, root: &Path) {
        let mut pending = vec![root.to_owned()];
        while let Some(path) = pending.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let bytes = metadata.blocks().saturating_mul(512); // whatever the file system's are
            if metadata.is_dir() {
                self.directory_bytes += bytes;
                pending.extend(entries(&path));
                continue;
            }
            let identity = (metadata.dev(), metadata.ino());
            let new = File { names: metadata.nlink(), found: 0, bytes };
            self.files.entry(identity).or_insert(new).found += 1;
        }
    }

    /// Adds the files in a folder of links: one that has no other name than those is removed.
    pub(super) fn add_shared_files(&mut self, dir: &Path) {
        for link in entries(dir) {
            self.add_tree(&link);
        }
    }

    /// The bytes that become free.
    pub(super) fn bytes(&self) -> u64 {
        let gone = self.files.values().filter(|file| file.found >= file.names);
        gone.map(|file| file.bytes).sum::<u64>() + self.directory_bytes
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()));
    entries.map(Iterator::collect).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::remove_tree_counting;

    #[test]
    fn a_file_is_gone_with_its_last_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["a", "b", "links"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("a/shared"), vec![1; 100_000]).unwrap();
        fs::hard_link(at("a/shared"), at("b/shared")).unwrap();
        fs::hard_link(at("a/shared"), at("links/x")).unwrap();
        fs::write(at("a/own"), vec![1; 50_000]).unwrap();

        let after = |trees: &[&str]| {
            let mut usage = Usage::default();
            for tree in trees {
                usage.add_tree(&at(tree));
            }
            usage.add_shared_files(&at("links"));
            usage.bytes()
        };
        let (one, both) = (after(&["a"]), after(&["a", "b"]));
        assert!((50_000..100_000).contains(&one), "{one}");
        assert!(both >= 150_000, "{both}");

        let mut freed = remove_tree_counting(&at("a")).unwrap();
        assert_eq!(freed, one);
        freed += remove_tree_counting(&at("b")).unwrap();
        freed += remove_tree_counting(&at("links/x")).unwrap();
        assert_eq!(freed, both);
    }
}
