//! Where repaired files go. They appear whole: each is written beside its place and renamed, the
//! library last, so that whoever finds it finds what it needs.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::fix::error::FixError;
use crate::fix::{Fixed, site};
use crate::tree::{MOST_DEPTH, MOST_ENTRIES, TreeError};

/// Whether something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The output is new.
    New,
    /// It was there, and is the same.
    AlreadyThere,
}

/// Where a repair goes.
#[derive(Debug)]
pub(crate) struct Destination {
    /// As the user named it.
    pub(crate) output: PathBuf,
    /// The path of the output in the site; empty for a folder.
    pub(crate) in_site: String,
    input: PathBuf,
    is_tree: bool,
}

impl Destination {
    pub(crate) fn file(input: &Path, output: &Path) -> Result<Self, FixError> {
        let name =
            output.file_name().ok_or_else(|| FixError::NoName { path: output.to_owned() })?;
        let folder = parent(output);
        // The output's folder may be reached through links, `$ORIGIN` goes by where it really is.
        let folder = folder.canonicalize().map_err(io_error("look at", folder))?;
        let place = folder.join(name);
        if input.canonicalize().is_ok_and(|input| input == place) {
            return Err(FixError::OutputIsInput { path: output.to_owned() });
        }
        let in_site = place.to_string_lossy().trim_start_matches('/').to_owned();
        let (output, input) = (output.to_owned(), input.to_owned());
        Ok(Self { output, in_site, input, is_tree: false })
    }

    pub(crate) fn tree(root: &Path, output: &Path) -> Result<Self, FixError> {
        let name =
            output.file_name().ok_or_else(|| FixError::NoName { path: output.to_owned() })?;
        let folder = parent(output);
        let folder = folder.canonicalize().map_err(io_error("look at", folder))?;
        let place = folder.join(name);
        let inside = root.canonicalize().map_err(io_error("look at", root))?;
        if place.starts_with(&inside) || inside.starts_with(&place) {
            return Err(FixError::OutputIsInput { path: output.to_owned() });
        }
        let (output, input) = (output.to_owned(), root.to_owned());
        Ok(Self { output, in_site: String::new(), input, is_tree: true })
    }

    /// The changed files by their paths below the output, or below the output file's folder.
    pub(crate) fn relative(&self, changed: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        changed.into_iter().map(|(path, bytes)| (self.below(&path).to_owned(), bytes)).collect()
    }

    /// How findings call a file of the site.
    pub(crate) fn shown(&self, path: &str) -> String {
        if self.is_tree {
            return path.to_owned();
        }
        if path == self.in_site {
            return self.output.display().to_string();
        }
        let below = self.below(path);
        match self.output.parent() {
            Some(folder) => folder.join(below).display().to_string(),
            None => below.to_owned(),
        }
    }

    fn below<'p>(&self, path: &'p str) -> &'p str {
        let folder = crate::siblings::folder_of(&self.in_site);
        path.strip_prefix(folder).map_or(path, |below| below.trim_start_matches('/'))
    }
}

impl Fixed {
    /// Writes the output: the input with the repairs in it, also where nothing had to be repaired.
    ///
    /// # Errors
    ///
    /// When something else is there already, and when it cannot be written.
    pub fn write(&self) -> Result<Written, FixError> {
        if self.destination.is_tree { self.write_tree() } else { self.write_file() }
    }

    fn write_tree(&self) -> Result<Written, FixError> {
        let Destination { output, input, .. } = &self.destination;
        let temporary = tempfile::Builder::new()
            .prefix(".hoist-fix-")
            .tempdir_in(parent(output))
            .map_err(io_error("make a folder beside", output))?;
        let new = temporary.path().join("output");
        copy_tree(input, &new)?;
        for (path, bytes) in &self.files {
            put(&new.join(path), bytes)?;
        }
        if output.symlink_metadata().is_ok() {
            if is_same(&new, output)? {
                return Ok(Written::AlreadyThere);
            }
            return Err(FixError::OutputExists { path: output.clone() });
        }
        fs::rename(&new, output).map_err(io_error("rename what was repaired to", output))?;
        Ok(Written::New)
    }

    fn write_file(&self) -> Result<Written, FixError> {
        let Destination { output, input, in_site, .. } = &self.destination;
        let folder = parent(output);
        let name = site::name_of(in_site).to_owned();
        let temporary = tempfile::Builder::new()
            .prefix(".hoist-fix-")
            .tempdir_in(folder)
            .map_err(io_error("make a folder beside", output))?;
        let mut tops: Vec<&str> = Vec::new();
        for (path, bytes) in self.files.iter().filter(|(path, _)| **path != name) {
            put(&temporary.path().join(path), bytes)?;
            let top = path.split('/').next().unwrap_or(path);
            if !tops.contains(&top) {
                tops.push(top);
            }
        }
        if !fs::metadata(input).is_ok_and(|metadata| metadata.is_file()) {
            return Err(FixError::NotAFile { path: input.clone() }); // reading a pipe waits
        }
        let library = temporary.path().join("library");
        fs::copy(input, &library).map_err(io_error("copy", input))?;
        if let Some(bytes) = self.files.get(&name) {
            put(&library, bytes)?;
        }
        // All of it is looked at before the first is put in its place.
        let mut moves = Vec::new();
        for (from, to) in tops
            .iter()
            .map(|top| (temporary.path().join(top), folder.join(top)))
            .chain([(library, output.clone())])
        {
            if to.symlink_metadata().is_err() {
                moves.push((from, to));
            } else if !is_same(&from, &to)? {
                return Err(FixError::OutputExists { path: to });
            }
        }
        for (from, to) in &moves {
            fs::rename(from, to).map_err(io_error("rename what was repaired to", to))?;
        }
        Ok(if moves.is_empty() { Written::AlreadyThere } else { Written::New })
    }
}

/// The folder of a path; `.` for a name alone.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FixError {
    let path = path.to_owned();
    move |source| FixError::Io { what, path, source }
}

/// Writes a file in a folder that is ours, keeping the permissions of one that is there.
fn put(path: &Path, bytes: &[u8]) -> Result<(), FixError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io_error("make", folder))?;
    }
    let mode = fs::metadata(path).map(|metadata| metadata.permissions()).ok();
    // A new file, not new bytes in an old one: that may be a link, or may not be written.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("replace", path)(error));
        }
        _ => {}
    }
    let mut file = fs::File::create_new(path).map_err(io_error("write", path))?;
    file.write_all(bytes).map_err(io_error("write", path))?;
    let mode: Option<Permissions> = mode;
    if let Some(mode) = mode {
        fs::set_permissions(path, mode).map_err(io_error("set the permissions of", path))?;
    }
    file.sync_all().map_err(io_error("write", path))
}

/// Copies a folder: files, folders and links as themselves.
fn copy_tree(from: &Path, to: &Path) -> Result<(), FixError> {
    for entry in walk(from) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(from).expect("a walk stays below its start");
        let copy = to.join(relative);
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir(&copy).map_err(io_error("make", &copy))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(io_error("read", entry.path()))?;
            std::os::unix::fs::symlink(target, &copy).map_err(io_error("make", &copy))?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &copy).map_err(io_error("copy", entry.path()))?;
        } else {
            return Err(FixError::Special { path: entry.path().to_owned() });
        }
    }
    Ok(())
}

/// Whether two files or folders hold the same.
fn is_same(new: &Path, old: &Path) -> Result<bool, FixError> {
    let mut count = 0;
    for entry in walk(new) {
        let entry = entry?;
        count += 1;
        let relative = entry.path().strip_prefix(new).expect("a walk stays below its start");
        let other =
            if relative.as_os_str().is_empty() { old.to_owned() } else { old.join(relative) };
        let Ok(metadata) = other.symlink_metadata() else { return Ok(false) };
        let kind = entry.file_type();
        if kind != metadata.file_type() {
            return Ok(false);
        }
        let is_equal = if kind.is_symlink() {
            fs::read_link(entry.path()).ok() == fs::read_link(&other).ok()
        } else if kind.is_file() {
            let length = entry.metadata().map(|metadata| metadata.len()).ok();
            length == Some(metadata.len())
                && fs::read(entry.path()).map_err(io_error("read", entry.path()))?
                    == fs::read(&other).map_err(io_error("read", &other))?
        } else {
            true
        };
        if !is_equal {
            return Ok(false);
        }
    }
    Ok(walk(old).count() == count)
}

fn walk(root: &Path) -> impl Iterator<Item = Result<walkdir::DirEntry, FixError>> {
    let root_path = root.to_owned();
    let entries = WalkDir::new(root).max_depth(MOST_DEPTH).follow_links(false).into_iter();
    entries.enumerate().map(move |(count, entry)| {
        if count >= MOST_ENTRIES {
            return Err(TreeError::TooMany { path: root_path.clone() }.into());
        }
        entry.map_err(|failure| {
            let path = failure.path().unwrap_or(&root_path).to_owned();
            TreeError::Read { path, source: failure.into() }.into()
        })
    })
}
