//! What a tree looks like to `stat`: enough to know it again without reading its files.

use std::path::{Path, PathBuf};

use hoist_nix::{Sha256Hash, Sha256Hasher};
use rustix::fs::{FileType, Stat};

use super::walk::{Step, Walk, file_type};
use crate::TreeError;

/// What a tree looked like. Two equal digests are of the same files, none of which was changed in
/// between, as far as the file system tells: see the notes on what it does not in
/// [`stat_cache`](crate::stat_cache).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeState {
    /// SHA-256 over every node in the order of the archive: its name, mode, size, device, inode and
    /// the times of its last modification and change. A symlink that gets another target is another
    /// inode.
    pub(crate) digest: Sha256Hash,
    /// The last time that anything in the tree was modified or changed: seconds since 1970 and
    /// nanoseconds.
    pub(crate) newest: (i64, i64),
    /// Whether no file changed while it was read, and all nodes are on one file system.
    pub(crate) is_steady: bool,
}

/// Looks at every node of the tree at `root`, and opens none but the directories.
pub(crate) fn state_of(root: &Path) -> Result<TreeState, TreeError> {
    let mut walk = Walk::new(root)?;
    let mut state = StateHasher::new();
    while let Some(step) = walk.next()? {
        match step {
            Step::EndDirectory => state.end_directory(),
            Step::Directory(stat) => state.node(walk.name(), &stat),
            Step::File | Step::Symlink => state.node(walk.name(), &walk.stat()?),
        }
    }
    Ok(state.finish())
}

#[derive(Debug)]
pub(super) struct StateHasher {
    hasher: Sha256Hasher,
    newest: (i64, i64),
    is_steady: bool,
    /// The file system that the root is on.
    device: Option<u64>,
}

impl StateHasher {
    pub(super) fn new() -> Self {
        let newest = (i64::MIN, 0);
        Self { hasher: Sha256Hasher::new(), newest, is_steady: true, device: None }
    }

    pub(super) fn node(&mut self, name: Option<&[u8]>, stat: &Stat) {
        let name = name.unwrap_or_default();
        let [mtime, ctime] = times(stat);
        let words = [
            name.len().try_into().unwrap_or(i64::MAX),
            stat.st_mode.into(),
            stat.st_size,
            stat.st_dev.cast_signed(),
            stat.st_ino.cast_signed(),
            mtime.0,
            mtime.1,
            ctime.0,
            ctime.1,
        ];
        let mut bytes = [0; 9 * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.hasher.update(&bytes);
        self.hasher.update(name);
        self.newest = self.newest.max(mtime).max(ctime);
        self.is_steady &= *self.device.get_or_insert(stat.st_dev) == stat.st_dev;
    }

    pub(super) fn end_directory(&mut self) {
        // No node begins like this: no name is that long.
        self.hasher.update(&[0xff; 8]);
    }

    /// Says that something changed while the tree was read.
    pub(super) fn set_unsteady(&mut self) {
        self.is_steady = false;
    }

    pub(super) fn finish(self) -> TreeState {
        let (digest, _) = self.hasher.finish();
        TreeState { digest, newest: self.newest, is_steady: self.is_steady }
    }
}

/// A file whose mode is none that a store has. Its times are no sign of anything: Nix 2.8 leaves
/// those of some folders as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oddity {
    pub(crate) file: PathBuf,
    /// The mode it has, and what was wanted.
    pub(crate) why: String,
}

impl Oddity {
    pub(super) fn of(file: &Path, stat: &Stat) -> Option<Self> {
        let mode = stat.st_mode & 0o7777;
        let wanted = match file_type(stat) {
            FileType::RegularFile if !matches!(mode, 0o444 | 0o555) => "0444 or 0555",
            FileType::Directory if mode != 0o555 => "0555",
            _ => return None,
        };
        let why = format!("mode {mode:04o}, wanted {wanted}");
        Some(Self { file: file.to_owned(), why })
    }
}

/// Whether a file is as it was.
pub(super) fn is_same(before: &Stat, after: &Stat) -> bool {
    before.st_size == after.st_size && times(before) == times(after)
}

/// When it was modified, and when it was changed.
fn times(stat: &Stat) -> [(i64, i64); 2] {
    let nanos = |nanos: u64| nanos.try_into().unwrap_or(0);
    [(stat.st_mtime, nanos(stat.st_mtime_nsec)), (stat.st_ctime, nanos(stat.st_ctime_nsec))]
}
