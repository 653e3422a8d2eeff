//! Where in which file something happened, in words.

use std::path::{Component, Path, PathBuf};

use hoist_elf::{ElfFacts, function_at};

use super::ARTIFACT;
use super::words::{Line, Told};
use crate::search::{MOST_FOLDERS, after_token};

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

/// How many folders above a library's own a search path may lead: `$ORIGIN/../../pkg.libs` is how
/// wheels are laid out.
const MOST_LEVELS: usize = 2;

/// Folders of Python packages, which a library deep in one may lead up to.
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Folders below `/` that hold what is of others as well.
const OF_THE_SYSTEM: [&str; 21] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "nix", "opt",
    "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];

/// The folder that is shown to a library: its own, or one above that holds what `runpath` names
/// through `$ORIGIN` from there. The library says what that is, so it gets no more than its package:
/// a search path that leads further, or into a home folder or one of the system, finds nothing.
///
/// - `folder`: where the library lies, absolute and without links.
/// - `home`: the home folder of the user, without links.
pub(super) fn common_root(folder: &Path, runpath: &str, home: Option<&Path>) -> PathBuf {
    let entries = runpath.split(':').take(MOST_FOLDERS);
    let named = entries
        .filter_map(|entry| climb(folder, after_token(entry, "ORIGIN")?.trim_start_matches('/')));
    let roots = named.filter_map(|named| {
        let (levels, root) =
            folder.ancestors().enumerate().find(|(_, it)| named.starts_with(it))?;
        let is_near = levels <= MOST_LEVELS || PACKAGES.iter().any(|name| root.ends_with(name));
        (is_near && may_be_shown(root, home)).then_some(root)
    });
    // They are all above `folder`, so the shortest holds the others.
    roots.chain([folder]).min_by_key(|root| root.as_os_str().len()).unwrap_or(folder).to_owned()
}

/// Whether a folder holds nothing but what belongs to one piece of software, as far as its place
/// tells.
fn may_be_shown(folder: &Path, home: Option<&Path>) -> bool {
    let is_or_holds_home = home.is_some_and(|home| home.starts_with(folder));
    let Some(parent) = folder.parent() else { return false };
    let is_of_the_system =
        parent.parent().is_none() && OF_THE_SYSTEM.iter().any(|name| folder.ends_with(name));
    !is_or_holds_home && !is_of_the_system && parent != Path::new("/home")
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
        common_root(Path::new(folder), runpath, Some(Path::new("/data/eve"))).display().to_string()
    }

    #[test]
    fn the_folder_is_enough_where_nothing_else_is_named() {
        assert_eq!(root("/a/b", ""), "/a/b");
        assert_eq!(root("/a/b", "/opt/lib:$ORIGIN"), "/a/b");
        assert_eq!(root("/a/b", "$ORIGIN/deps:${ORIGIN}/."), "/a/b");
        assert_eq!(root("/a/b/c", "$ORIGINAL/../../d:$ORIGIN_/..:x$ORIGIN/.."), "/a/b/c");
    }

    #[test]
    fn a_folder_beside_or_above_is_shown_too() {
        assert_eq!(root("/w/numpy/_core", "$ORIGIN/../../numpy.libs"), "/w");
        assert_eq!(root("/w/a/lib", "/opt:${ORIGIN}/../deps"), "/w/a");
        assert_eq!(root("/w/a/lib", "$ORIGIN/../deps:$ORIGIN/../../b:$ORIGIN"), "/w");
    }

    #[test]
    fn a_search_path_cannot_ask_for_more_than_a_package() {
        assert_eq!(root("/a/b/c/d", "$ORIGIN/../../../e"), "/a/b/c/d");
        assert_eq!(root("/a/b/c/d", "$ORIGIN/../../../e:$ORIGIN/../f"), "/a/b/c");
        assert_eq!(root("/v/site-packages/s/l/i", "$ORIGIN/../../../s.libs"), "/v/site-packages");
    }

    #[test]
    fn neither_a_home_nor_the_system_is_shown() {
        for (folder, runpath) in [
            ("/home/u/dl", "$ORIGIN/../../.."),
            ("/home/u/dl", "$ORIGIN/../../v"),
            ("/home/u/dl", "$ORIGIN/../.ssh"),
            ("/data/eve/dl", "$ORIGIN/../.ssh"),
            ("/data/eve/dl", "$ORIGIN/../../mallory"),
            ("/root/dl", "$ORIGIN/../.ssh"),
            ("/usr/local/lib", "$ORIGIN/../../share"),
            ("/tmp/x", "$ORIGIN/.."),
            ("/a/b", "$ORIGIN/../../lib"),
            ("/a/b", "$ORIGIN/../../../../lib"),
        ] {
            assert_eq!(root(folder, runpath), folder, "{runpath}");
        }
    }
}
