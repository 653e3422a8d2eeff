//! Where in which file something happened, in words.

use std::path::{Component, Path, PathBuf};

use hoist_elf::{ElfFacts, function_at};

use super::ARTIFACT;
use super::words::{Line, Told};

/// The library that was loaded, to name its functions.
pub(super) struct Library<'a> {
    /// Its path in the artifact.
    path: String,
    bytes: &'a [u8],
}

/// Where something happened.
pub(super) struct Place {
    /// In words: ``in `boom` of lib/libx.so``.
    pub(super) text: String,
    /// The function of the library, where that is known.
    pub(super) function: Option<String>,
}

impl<'a> Library<'a> {
    pub(super) fn new(path: &Path, bytes: &'a [u8]) -> Self {
        Self { path: path.display().to_string(), bytes }
    }

    /// What the supervisor said of the place where the process ended or hung.
    pub(super) fn place(&self, told: &Told) -> Option<Place> {
        let at = told.first("at")?;
        let Some(caller) = told.first("caller") else { return Some(self.point(at)) };
        let Place { text, function } = self.point(caller);
        let file = match at.value(0) {
            "-" => self.point(at).text,
            file => format!("in {}", Path::new(file).file_name()?.display()),
        };
        Some(Place {
            text: format!("{file}, called from {}", text.trim_start_matches("in ")),
            function,
        })
    }

    /// A file and an offset in it, or `-` and an address.
    fn point(&self, line: &Line) -> Place {
        let offset = u64::from_str_radix(line.value(1), 16).unwrap_or(0);
        if line.value(0) == "-" {
            let text = format!("at address {offset:#x}, where no file is mapped");
            return Place { text, function: None };
        }
        let file = in_artifact(line.value(0));
        let function = (file == self.path).then(|| self.function(offset)).flatten();
        let text = match &function {
            Some(name) => format!("in `{name}` of {file}"),
            None => format!("in {file} at offset {offset:#x}"),
        };
        Place { text, function }
    }

    fn function(&self, offset: u64) -> Option<String> {
        let facts = ElfFacts::read(self.bytes).ok()?;
        let address = facts.loads().find_map(|segment| {
            let at = offset.checked_sub(segment.offset)?;
            (at < segment.file_size_bytes).then(|| segment.address.checked_add(at))?
        })?;
        function_at(self.bytes, &facts, address)
    }
}

/// A file of the sandbox as the reader knows it: relative to the artifact when it is of it.
pub(super) fn in_artifact(path: &str) -> String {
    let inside = path.strip_prefix(ARTIFACT).and_then(|path| path.strip_prefix('/'));
    inside.unwrap_or(path).to_owned()
}

/// The folder that holds `folder` and all that `runpath` names through `$ORIGIN` from there; never
/// the root of the file system, of which nobody needs all.
pub(super) fn common_root(folder: &Path, runpath: &str) -> PathBuf {
    let mut root = folder.to_owned();
    let entries = runpath.split(':').filter_map(|entry| {
        entry.strip_prefix("$ORIGIN").or_else(|| entry.strip_prefix("${ORIGIN}"))
    });
    for entry in entries {
        let Some(named) = climb(folder, entry.trim_start_matches('/')) else { continue };
        let common: PathBuf = root
            .components()
            .zip(named.components())
            .take_while(|(ours, theirs)| ours == theirs)
            .map(|(part, _)| part)
            .collect();
        if common.parent().is_some() {
            root = common;
        }
    }
    root
}

/// `folder/path` with `..` resolved by its text, as far as there is something to leave.
fn climb(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut named = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => named.push(name),
            Component::ParentDir if !named.pop() => return None,
            _ => {}
        }
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(folder: &str, runpath: &str) -> String {
        common_root(Path::new(folder), runpath).display().to_string()
    }

    #[test]
    fn the_folder_is_enough_where_nothing_else_is_named() {
        assert_eq!(root("/a/b", ""), "/a/b");
        assert_eq!(root("/a/b", "/opt/lib:$ORIGIN"), "/a/b");
        assert_eq!(root("/a/b", "$ORIGIN/deps:${ORIGIN}/."), "/a/b");
    }

    #[test]
    fn a_folder_beside_or_above_is_shown_too() {
        assert_eq!(root("/w/numpy/_core", "$ORIGIN/../../numpy.libs"), "/w");
        assert_eq!(root("/w/a/lib", "/opt:${ORIGIN}/../deps"), "/w/a");
    }

    #[test]
    fn the_whole_file_system_is_never_shown() {
        assert_eq!(root("/a/b", "$ORIGIN/../../lib"), "/a/b");
        assert_eq!(root("/a/b", "$ORIGIN/../../../../lib"), "/a/b");
    }
}
