//! The files beside a library: those of its artifact, and those of the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hoist_elf::{Binding, ElfError, ElfFacts, Identity, Symbol};

/// The folder of store paths. An absolute path under it means the same on every machine.
const STORE: &str = "/nix/store/";

/// The files that the loader may find beside a library.
pub trait Siblings {
    /// The bytes of the regular file at `path`; `None` when there is none.
    ///
    /// The path is relative to the artifact's root, or absolute: under `/nix/store`, or where the
    /// library itself has such a path. It has no `.` or `..`.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// Whether there is anything at `path`, a folder included.
    fn holds(&self, path: &str) -> bool {
        self.read(path).is_some()
    }

    /// Whether the file at `path` is checked as well, so that what it alone is to blame for is said
    /// there.
    fn is_checked(&self, _path: &str) -> bool {
        false
    }

    /// The library at `path`. Where many libraries need the same one, it pays to keep it.
    fn library(&self, path: &str) -> Option<Arc<Neighbour>> {
        self.read(path).map(|bytes| Arc::new(Neighbour::read(&bytes)))
    }
}

/// A library that others need.
#[derive(Debug)]
pub struct Neighbour {
    /// What machine it is for; absent when the file does not even say that.
    pub identity: Option<Identity>,
    /// What it says, or why the loader could not use it.
    pub facts: Result<ElfFacts, ElfError>,
    /// Places in `facts.symbols` of its exports, by name.
    exports: HashMap<Arc<str>, Vec<usize>>,
    /// Places in `facts.symbols` of what others must provide.
    wanted: Vec<usize>,
}

impl Neighbour {
    /// Reads the bytes of a file.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let facts = ElfFacts::read(bytes);
        let mut exports: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (index, symbol) in facts.iter().flat_map(|facts| &facts.symbols).enumerate() {
            if symbol.is_export() {
                exports.entry(Arc::clone(&symbol.name)).or_default().push(index);
            }
        }
        let symbols = facts.iter().flat_map(|facts| &facts.symbols).enumerate();
        let wanted = symbols
            .filter(|(_, symbol)| is_strong_wish(symbol) && !exports.contains_key(&symbol.name))
            .map(|(index, _)| index)
            .collect();
        Self { identity: Identity::read(bytes).ok(), facts, exports, wanted }
    }

    /// The symbols that others must provide.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &str> {
        let symbols = self.facts.as_ref().map_or(&[][..], |facts| &facts.symbols);
        self.wanted.iter().filter_map(|&index| symbols.get(index)).map(|symbol| &*symbol.name)
    }

    /// What it exports under `name`, once for each version.
    pub fn exports<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Symbol> {
        let symbols = self.facts.as_ref().map_or(&[][..], |facts| &facts.symbols);
        let indices = self.exports.get(name).into_iter().flatten();
        indices.filter_map(|&index| symbols.get(index))
    }
}

/// Whether the loader gives up where nobody defines a symbol.
pub(crate) fn is_strong_wish(symbol: &Symbol) -> bool {
    !symbol.is_defined() && symbol.binding == Binding::Global
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

    fn holds(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.contains_key(path)
            || self.range(below.clone()..).next().is_some_and(|(key, _)| key.starts_with(&below))
    }
}

/// Whether an absolute path lies in the store.
pub(crate) fn is_in_store(path: &str) -> bool {
    path.strip_prefix(STORE).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// The store path that a path lies in: `/nix/store/HASH-NAME`.
pub(crate) fn store_path_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(STORE)?;
    let name = rest.split('/').next()?;
    path.get(..STORE.len() + name.len())
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
