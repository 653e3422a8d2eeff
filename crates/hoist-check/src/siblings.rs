//! The files beside a library in its artifact.

use std::collections::BTreeMap;

/// The files of an artifact, which the loader may find beside the library.
pub trait Siblings {
    /// The bytes of the regular file at `path`, relative to the artifact's root and without `.`
    /// or `..`; `None` when there is none.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// A library that is alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSiblings;

impl Siblings for NoSiblings {
    fn read(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }
}

impl Siblings for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path).cloned()
    }
}

/// `path` without `.`, `..` and doubled `/`; `None` when it leads out of the artifact.
pub(crate) fn normalize(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The folder of a file, without a final `/`; empty at the root.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
