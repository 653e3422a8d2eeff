//! Where repaired files go. They appear whole: each is written beside its place and renamed, the
//! library last, so that whoever finds it finds what it needs.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use walkdir::WalkDir;

use crate::fix::error::FixError;
use crate::fix::{Fixed, site};
use crate::tree::{MOST_DEPTH, MOST_ENTRIES, TreeError};

/// How much of two files is compared at a time.
const COMPARED_BYTES: usize = 64 << 10;

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
            put(&new, path, bytes)?;
        }
        if output.symlink_metadata().is_ok() {
            if is_same(&new, output)? {
                return Ok(Written::AlreadyThere);
            }
            return Err(FixError::OutputExists { path: output.clone() });
        }
        move_new(&new, output)?;
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
            put(temporary.path(), path, bytes)?;
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
            put(temporary.path(), "library", bytes)?;
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
            move_new(from, to)?;
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

/// Gives a file or folder its place, which nothing may have: also not what came there just now.
fn move_new(from: &Path, to: &Path) -> Result<(), FixError> {
    let exists = || FixError::OutputExists { path: to.to_owned() };
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => return Err(exists()),
        // Not every file system can promise that.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        Err(failure) => return Err(io_error("rename what was repaired to", to)(failure.into())),
    }
    if to.symlink_metadata().is_ok() {
        return Err(exists());
    }
    fs::rename(from, to).map_err(io_error("rename what was repaired to", to))
}

/// Writes the file `path` below the folder `root`, which is ours, keeping the permissions of one
/// that is there. It is not written through a link: a copied one may lead anywhere.
fn put(root: &Path, path: &str, bytes: &[u8]) -> Result<(), FixError> {
    let file = root.join(path);
    let mut folder = root.to_owned();
    for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        match fs::symlink_metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                let place = folder.strip_prefix(root).unwrap_or(&folder).to_owned();
                return Err(FixError::NotAFolder { path: PathBuf::from(path), place });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&folder).map_err(io_error("make", &folder))?;
            }
            Err(error) => return Err(io_error("look at", &folder)(error)),
        }
    }
    let path = file.as_path();
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
            length == Some(metadata.len()) && holds_same(entry.path(), &other)?
        } else {
            true
        };
        if !is_equal {
            return Ok(false);
        }
    }
    Ok(walk(old).count() == count)
}

/// Whether two files hold the same bytes; neither is in memory as a whole.
fn holds_same(new: &Path, old: &Path) -> Result<bool, FixError> {
    let open = |path: &Path| -> Result<_, FixError> {
        let file = File::open(path).map_err(io_error("read", path))?;
        Ok(BufReader::with_capacity(COMPARED_BYTES, file))
    };
    let (mut left, mut right) = (open(new)?, open(old)?);
    loop {
        let a = left.fill_buf().map_err(io_error("read", new))?;
        let b = right.fill_buf().map_err(io_error("read", old))?;
        let length = a.len().min(b.len());
        if length == 0 {
            return Ok(a.is_empty() && b.is_empty());
        }
        if a[..length] != b[..length] {
            return Ok(false);
        }
        left.consume(length);
        right.consume(length);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_to_a_place_in_between_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for name in ["new", "taken"] {
            fs::create_dir(path(name)).unwrap(); // an empty one is what `rename` replaces
        }
        fs::write(path("new/file"), "new").unwrap();
        fs::write(path("file"), "mine").unwrap();
        for (from, to) in [("new", "taken"), ("new/file", "file")] {
            let refusal = move_new(&path(from), &path(to)).unwrap_err();
            assert!(matches!(refusal, FixError::OutputExists { .. }), "{refusal}");
        }
        assert_eq!(fs::read(path("file")).unwrap(), b"mine");
        move_new(&path("new"), &path("free")).unwrap();
        assert_eq!(fs::read(path("free/file")).unwrap(), b"new");
    }

    #[test]
    fn files_are_compared_to_their_ends() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = home.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let mut bytes = vec![7; 3 * COMPARED_BYTES + 1];
        let whole = file("whole", &bytes);
        assert!(holds_same(&whole, &file("same", &bytes)).unwrap());
        assert!(!holds_same(&whole, &file("cut", &bytes[1..])).unwrap());
        assert!(!holds_same(&file("empty", &[]), &whole).unwrap());
        *bytes.last_mut().unwrap() = 8;
        assert!(!holds_same(&whole, &file("other", &bytes)).unwrap());
    }
}
