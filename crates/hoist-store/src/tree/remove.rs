//! Removing a tree whose directories may be read-only, deep, or both.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Stat, fchmod, openat, statat, unlinkat};

use super::dirs::{DIRECTORY, DirStack};
use super::walk::{entry_names, file_type};
use crate::FileError;

/// Removes the tree at `root`; nothing being there is fine.
pub(crate) fn remove_tree(root: &Path) -> Result<(), FileError> {
    remove_tree_counting(root).map(|_| ())
}

/// Removes the tree at `root`, and returns how many bytes that gave back to the disk: a file that
/// has other names gives none.
pub(crate) fn remove_tree_counting(root: &Path) -> Result<u64, FileError> {
    let mut at = PathBuf::new();
    remove(root, &mut at).map_err(|source| FileError { action: "remove", path: at, source })
}

/// `at` says where it was, for messages.
fn remove(root: &Path, at: &mut PathBuf) -> io::Result<u64> {
    // Without a final slash, which would follow a symlink.
    let root: PathBuf = root.components().collect();
    let root = CString::new(root.into_os_string().into_encoded_bytes())?;
    let mut freed = 0;
    let mut dirs = DirStack::new();
    // What is left of each open directory, the one at work last; the root is alone in the first.
    let mut pending = vec![vec![root]];
    while let Some(names) = pending.last_mut() {
        let parent = dirs.top().map_or(CWD, AsFd::as_fd);
        let Some(name) = names.last() else {
            pending.pop();
            let Some(siblings) = pending.last_mut() else { break };
            let name = siblings.pop().expect("a directory is last until it is empty");
            dirs.pop()?;
            unlinkat(dirs.top().map_or(CWD, AsFd::as_fd), &name, AtFlags::REMOVEDIR)?;
            at.pop();
            continue;
        };
        at.push(OsStr::from_bytes(name.to_bytes()));
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_dir = stat.is_some_and(|stat| file_type(&stat) == FileType::Directory);
        let is_last_name = is_dir || stat.is_some_and(|stat| stat.st_nlink == 1);
        freed += stat.filter(|_| is_last_name).map_or(0, |stat| bytes_on_disk(&stat));
        if is_dir {
            let dir = openat(parent, name, DIRECTORY, Mode::empty())?;
            fchmod(&dir, Mode::RWXU)?;
            let entries = entry_names(&dir)?;
            dirs.push(dir)?;
            pending.push(entries);
            continue;
        }
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        names.pop();
        at.pop();
    }
    Ok(freed)
}

fn bytes_on_disk(stat: &Stat) -> u64 {
    const BLOCK: u64 = 512; // whatever the file system's own blocks are
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK)
}
