//! Writing a tree into a directory that nobody else touches.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, fcntl_setfl, fstat, fsync,
    futimens, mkdirat, openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, pwrite, retry_on_intr};

use super::dirs::{DIRECTORY, DirStack};
use super::piece::{Piece, PieceStep};
use super::pipeline::Stage;
use super::sync::Syncer;
use crate::{FileError, TreeError};

/// How much of a tree may fill the page cache. Larger ones are no libraries that are loaded next,
/// and fresh pages cost more than the disk: see ADR 9.
const CACHED_MAX: u64 = 64 * 1024 * 1024;

/// A file shorter than this always goes through the page cache: past it, each is a disk access that
/// is waited for.
const DIRECT_MIN: u64 = 256 * 1024;

/// Where direct writes begin and end, in memory and in the file.
const DIRECT_ALIGN: usize = 4096;

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

/// Writes nodes in the order of an archive; with [`finish`](Self::finish) all of them are on disk.
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
    /// The file that is being written.
    file: Option<NewFile>,
    sync: Syncer,
    /// Bytes of contents in the page cache.
    cached: u64,
    /// Whether files can be written past the page cache here, as far as is known.
    can_be_direct: bool,
}

#[derive(Debug)]
struct NewFile {
    fd: OwnedFd,
    name: OsString,
    executable: bool,
    len: u64,
    /// Whether it is written past the page cache.
    is_direct: bool,
}

impl TreeWriter {
    /// Will write the root as `root_name` into the directory at `parent`.
    pub(super) fn new(parent: &Path, root_name: &OsStr, style: Style) -> Result<Self, FileError> {
        let fd = rustix::fs::open(parent, DIRECTORY, Mode::empty());
        let fd = fd.map_err(FileError::at("open", parent))?;
        let sync = Syncer::new(&fd, parent)?;
        let mut dirs = DirStack::new();
        dirs.push(fd).map_err(FileError::at("open", parent))?;
        let (root_name, at) = (root_name.to_owned(), parent.to_owned());
        Ok(Self { style, root_name, dirs, at, file: None, sync, cached: 0, can_be_direct: true })
    }

    /// Begins a file that will be `size` bytes long; [`contents`](Self::contents) and
    /// [`end_file`](Self::end_file) follow.
    pub(super) fn file(
        &mut self,
        name: Option<&[u8]>,
        executable: bool,
        size: u64,
    ) -> Result<(), FileError> {
        let is_direct = self.can_be_direct
            && size >= DIRECT_MIN
            && self.cached.saturating_add(size) > CACHED_MAX;
        let created = match self.create(name, executable, is_direct) {
            Err(Errno::INVAL) if is_direct => {
                // Some file systems refuse only when the file is there already.
                let _ = unlinkat(self.top(), self.name(name), AtFlags::empty());
                self.can_be_direct = false;
                self.create(name, executable, false)
            }
            created => created,
        };
        let name = self.name(name).to_owned();
        let fd = created.map_err(FileError::at("create", self.at.join(&name)))?;
        let is_direct = is_direct && self.can_be_direct;
        self.file = Some(NewFile { fd, name, executable, len: 0, is_direct });
        Ok(())
    }

    fn create(
        &self,
        name: Option<&[u8]>,
        executable: bool,
        is_direct: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let mut flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        flags.set(OFlags::DIRECT, is_direct);
        let mode = match self.style {
            Style::Canonical => canonical_mode(executable),
            Style::Plain if executable => 0o777,
            Style::Plain => 0o666,
        };
        openat(self.top(), self.name(name), flags, Mode::from_raw_mode(mode))
    }

    /// Writes the next part of the file that was begun.
    pub(super) fn contents(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        let file = self.file.as_mut().expect("a file was begun");
        let failed = |name: &OsStr| FileError::at("write", self.at.join(name));
        while !bytes.is_empty() {
            let is_aligned = bytes.as_ptr().align_offset(DIRECT_ALIGN) == 0;
            let direct_len = bytes.len() - bytes.len() % DIRECT_ALIGN;
            if file.is_direct && !(is_aligned && direct_len > 0) {
                // The last bytes of a file are no whole block.
                fcntl_setfl(&file.fd, OFlags::empty()).map_err(failed(&file.name))?;
                file.is_direct = false;
            }
            let part = if file.is_direct { &bytes[..direct_len] } else { bytes };
            match retry_on_intr(|| pwrite(&file.fd, part, file.len)) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    file.len += count as u64;
                    if !file.is_direct {
                        self.cached += count as u64;
                        self.sync.wrote(&file.fd, count);
                    }
                }
                Err(Errno::INVAL) if file.is_direct => {
                    fcntl_setfl(&file.fd, OFlags::empty()).map_err(failed(&file.name))?;
                    (file.is_direct, self.can_be_direct) = (false, false);
                }
                Err(error) => return Err(failed(&file.name)(error)),
            }
        }
        Ok(())
    }

    /// Completes the file that was begun.
    pub(super) fn end_file(&mut self) -> Result<(), FileError> {
        let NewFile { fd, name, executable, .. } = self.file.take().expect("a file was begun");
        if self.style == Style::Canonical {
            make_canonical_file(&fd, executable)
                .map_err(FileError::at("finish", self.at.join(&name)))?;
        }
        self.sync.add(fd, || self.at.join(name));
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
            .map_err(FileError::at("create", self.at.join(entry)))
    }

    pub(super) fn directory(&mut self, name: Option<&[u8]>) -> Result<(), FileError> {
        let entry = self.name(name);
        let path = self.at.join(entry);
        let mode = match self.style {
            Style::Canonical => 0o700,
            Style::Plain => 0o777,
        };
        let fd = mkdirat(self.top(), entry, Mode::from_raw_mode(mode))
            .and_then(|()| openat(self.top(), entry, DIRECTORY, Mode::empty()))
            .map_err(FileError::at("create", &path))?;
        self.dirs.push(fd).map_err(FileError::at("open", &path))?;
        self.at = path;
        Ok(())
    }

    /// Completes the innermost directory.
    pub(super) fn end_directory(&mut self) -> Result<(), FileError> {
        let dir = self.dirs.pop().map_err(FileError::at("leave", &self.at))?;
        let is_root = self.dirs.len() == 1;
        if self.style == Style::Canonical && !is_root {
            make_canonical_dir(&dir).map_err(FileError::at("finish", &self.at))?;
        }
        self.sync.add(dir, || self.at.clone());
        self.at.pop();
        Ok(())
    }

    /// Completes the tree: all of it is on disk afterwards.
    pub(super) fn finish(self) -> Result<(), FileError> {
        self.sync.finish()
    }

    fn top(&self) -> &OwnedFd {
        self.dirs.top().expect("the root's parent is never left")
    }

    fn name<'n>(&'n self, name: Option<&'n [u8]>) -> &'n OsStr {
        name.map_or(&self.root_name, OsStr::from_bytes)
    }
}

impl Stage for TreeWriter {
    fn take(&mut self, piece: &Piece) -> Result<(), TreeError> {
        let text = |text: &std::ops::Range<usize>| &piece.texts[text.clone()];
        for step in &piece.steps {
            match step {
                PieceStep::File { name, executable, size } => {
                    self.file(name.as_ref().map(text), *executable, *size)
                }
                PieceStep::Contents(range) => self.contents(&piece.bytes.as_slice()[range.clone()]),
                PieceStep::EndFile => self.end_file(),
                PieceStep::Symlink { name, target } => {
                    self.symlink(name.as_ref().map(text), text(target))
                }
                PieceStep::Directory { name } => self.directory(name.as_ref().map(text)),
                PieceStep::EndDirectory => self.end_directory(),
            }?;
        }
        Ok(())
    }
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

fn canonical_mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}

fn make_canonical_file(file: &OwnedFd, executable: bool) -> rustix::io::Result<()> {
    let mode = canonical_mode(executable);
    // It was created with that mode, unless the user's mask or the folder's ACL took some of it. A
    // look is cheaper than a change that goes into the journal.
    if fstat(file)?.st_mode & 0o7777 != mode {
        fchmod(file, Mode::from_raw_mode(mode))?;
    }
    futimens(file, &CANONICAL_TIMES)
}

fn make_canonical_dir(dir: &OwnedFd) -> rustix::io::Result<()> {
    fchmod(dir, Mode::from_raw_mode(0o555))?;
    futimens(dir, &CANONICAL_TIMES)
}
