//! Writing a tree into a directory that nobody else touches.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, fsync, futimens, mkdirat,
    openat, symlinkat, syncfs, utimensat,
};

use super::dirs::{DIRECTORY, DirStack};
use crate::FileError;

/// Up to this many files and directories are synced one by one; beyond, the file system is synced
/// once, which is cheaper then but also waits for what others wrote.
const SYNC_ONE_BY_ONE_MAX: usize = 64;

/// What Nix makes of every store path: nothing is known of when it was written.
const CANONICAL_TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
};

/// What the modes and times of a tree shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As any new file of the user.
    Plain,
    /// 0444, 0555 for executables and directories, modified at second 1: as in Nix's store. The
    /// root, when it is a directory, stays writable, since only so it can be moved: [`seal`] it
    /// behind that.
    Canonical,
}

/// Writes nodes in the order of an archive, each onto disk before the next.
///
/// A name that is there already is refused, so that no step can go through an earlier symlink.
#[derive(Debug)]
pub(super) struct TreeWriter {
    style: Style,
    root_name: OsString,
    /// The directory that holds the root, and those that are open below it.
    dirs: DirStack,
    /// The path of the directory at work, for messages.
    at: PathBuf,
    written: usize,
}

impl TreeWriter {
    /// Will write the root as `root_name` into the directory at `parent`.
    pub(super) fn new(parent: &Path, root_name: &OsStr, style: Style) -> Result<Self, FileError> {
        let fd = rustix::fs::open(parent, DIRECTORY, Mode::empty());
        let mut dirs = DirStack::new();
        fd.map_err(Into::into)
            .and_then(|fd| dirs.push(fd))
            .map_err(FileError::at("open", parent))?;
        let at = parent.to_owned();
        Ok(Self { style, root_name: root_name.to_owned(), dirs, at, written: 0 })
    }

    /// Creates a file, which the caller fills and hands to [`end_file`](Self::end_file).
    pub(super) fn file(&self, name: Option<&[u8]>, executable: bool) -> Result<NewFile, FileError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = match self.style {
            Style::Canonical => 0o600,
            Style::Plain if executable => 0o777,
            Style::Plain => 0o666,
        };
        let path = self.path(name);
        let fd = openat(self.top(), self.name(name), flags, Mode::from_raw_mode(mode))
            .map_err(FileError::at("create", &path))?;
        Ok(NewFile { file: fd.into(), executable, path })
    }

    /// Completes a file and writes it to disk.
    pub(super) fn end_file(&mut self, new: &NewFile) -> Result<(), FileError> {
        if self.style == Style::Canonical {
            let mode = if new.executable { 0o555 } else { 0o444 };
            fchmod(&new.file, Mode::from_raw_mode(mode))
                .and_then(|()| futimens(&new.file, &CANONICAL_TIMES))
                .map_err(FileError::at("finish", &new.path))?;
        }
        self.written += 1;
        if self.written <= SYNC_ONE_BY_ONE_MAX {
            fsync(&new.file).map_err(FileError::at("sync", &new.path))?;
        }
        Ok(())
    }

    pub(super) fn symlink(&self, name: Option<&[u8]>, target: &[u8]) -> Result<(), FileError> {
        let entry = self.name(name);
        symlinkat(target, self.top(), entry)
            .and_then(|()| match self.style {
                Style::Plain => Ok(()),
                Style::Canonical => {
                    utimensat(self.top(), entry, &CANONICAL_TIMES, AtFlags::SYMLINK_NOFOLLOW)
                }
            })
            .map_err(FileError::at("create", self.path(name)))
    }

    pub(super) fn directory(&mut self, name: Option<&[u8]>) -> Result<(), FileError> {
        let path = self.path(name);
        let mode = match self.style {
            Style::Canonical => 0o700,
            Style::Plain => 0o777,
        };
        let entry = self.name(name);
        let fd = mkdirat(self.top(), entry, Mode::from_raw_mode(mode))
            .and_then(|()| openat(self.top(), entry, DIRECTORY, Mode::empty()))
            .map_err(FileError::at("create", &path))?;
        self.dirs.push(fd).map_err(FileError::at("open", &path))?;
        self.at = path;
        Ok(())
    }

    /// Completes the innermost directory and writes it to disk.
    pub(super) fn end_directory(&mut self) -> Result<(), FileError> {
        let dir = self.dirs.pop().map_err(FileError::at("leave", &self.at))?;
        let is_root = self.dirs.len() == 1;
        if self.style == Style::Canonical && !is_root {
            make_canonical_dir(&dir).map_err(FileError::at("finish", &self.at))?;
        }
        self.written += 1;
        if self.written <= SYNC_ONE_BY_ONE_MAX {
            fsync(&dir).map_err(FileError::at("sync", &self.at))?;
        }
        self.at.pop();
        Ok(())
    }

    /// Completes the tree: all of it is on disk afterwards.
    pub(super) fn finish(self) -> Result<(), FileError> {
        if self.written > SYNC_ONE_BY_ONE_MAX {
            syncfs(self.top()).map_err(FileError::at("sync", &self.at))?;
        }
        Ok(())
    }

    fn top(&self) -> &OwnedFd {
        self.dirs.top().expect("the root's parent is never left")
    }

    fn name<'n>(&'n self, name: Option<&'n [u8]>) -> &'n OsStr {
        name.map_or(&self.root_name, OsStr::from_bytes)
    }

    fn path(&self, name: Option<&[u8]>) -> PathBuf {
        self.at.join(self.name(name))
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NewFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    executable: bool,
}

/// Gives the root of a canonical tree its mode and time, and writes them to disk.
pub(crate) fn seal(root: &Path) -> Result<(), FileError> {
    if root.is_symlink() || !root.is_dir() {
        return Ok(());
    }
    rustix::fs::open(root, DIRECTORY, Mode::empty())
        .and_then(|dir| make_canonical_dir(&dir).and_then(|()| fsync(&dir)))
        .map_err(FileError::at("finish", root))
}

/// Writes the entries of a directory to disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), FileError> {
    rustix::fs::open(dir, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())
        .and_then(fsync)
        .map_err(FileError::at("sync", dir))
}

fn make_canonical_dir(dir: &OwnedFd) -> rustix::io::Result<()> {
    fchmod(dir, Mode::from_raw_mode(0o555))?;
    futimens(dir, &CANONICAL_TIMES)
}
