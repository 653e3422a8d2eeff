//! What running processes asked to keep for now: a file each in `nix/var/nix/temproots`, named by
//! the process and locked by it, with one path after the other, each with a zero byte behind it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hoist_nix::StorePath;

use super::{Root, RootKind, Roots};
use crate::layout::is_absent;
use crate::lock::try_exclusive;
use crate::{FileError, Store};

/// Adds what processes asked to keep.
///
/// - `clean`: whether to remove the files of processes that have ended.
pub(super) fn find(store: &Store, clean: bool, found: &mut Roots) -> Result<(), FileError> {
    let dir = store.layout.temp_roots();
    let listed = || FileError::at("list", &dir);
    let entries = match fs::read_dir(&dir) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries.map_err(listed())?,
    };
    for entry in entries {
        let path = entry.map_err(listed())?.path();
        let Some(pid) = process(&path) else { continue };
        let read = read_locked(&path, clean).map_err(FileError::at("read", &path))?;
        let Some(text) = read else {
            found.stale.push(path);
            continue;
        };
        found.roots.extend(
            paths(store, &text).map(|path| Root { path, kind: RootKind::Temporary { pid } }),
        );
    }
    Ok(())
}

/// The number that a name begins with: a process may have several files, `123` and `123.2`.
fn process(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let end = name.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(name.len());
    name[..end].parse().ok()
}

/// What a file says; `None` when nobody holds its lock, or it is gone.
fn read_locked(path: &Path, clean: bool) -> io::Result<Option<Vec<u8>>> {
    let opened = match OpenOptions::new().read(true).write(clean).open(path) {
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path),
        opened => opened,
    };
    let mut file = opened?;
    if try_exclusive(&file)? {
        if clean {
            remove_unheld(path, &mut file)?;
        }
        return Ok(None);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Removes the file at `path`, which is locked now, unless its owner did so just before: what lies
/// there then is another's.
fn remove_unheld(path: &Path, file: &mut File) -> io::Result<()> {
    let locked = file.metadata()?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.ino() == locked.ino()) {
        // In this order, and while it is locked: who waits for the lock finds the byte, and makes
        // another file.
        fs::remove_file(path)?;
        file.write_all(b"d")?;
    }
    Ok(())
}

/// The paths in a file; one without a zero byte behind it is not written to its end.
fn paths<'a>(store: &'a Store, text: &'a [u8]) -> impl Iterator<Item = StorePath> + 'a {
    let whole = text.iter().rposition(|&byte| byte == 0).unwrap_or(0);
    let lines = text[..whole].split(|&byte| byte == 0);
    lines.filter_map(|line| store.dir().parse_path(str::from_utf8(line).ok()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_removed_and_marked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1");
        fs::write(&path, "").unwrap();
        let mut waiting = File::open(&path).unwrap();
        assert_eq!(read_locked(&path, true).unwrap(), None);
        assert!(!path.exists());
        let mut mark = Vec::new();
        waiting.read_to_end(&mut mark).unwrap();
        assert_eq!(mark, b"d");
    }

    #[test]
    fn the_file_that_the_next_owner_made_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1");
        let mut of_the_first = File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        remove_unheld(&path, &mut of_the_first).unwrap();
        fs::write(&path, "of the next").unwrap();
        remove_unheld(&path, &mut of_the_first).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "of the next");
    }
}
