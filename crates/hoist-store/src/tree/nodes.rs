//! Creating the nodes of a tree, by several threads where that is worth it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, fcntl_setfl, fstat, fsync,
    futimens, mkdirat, openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, pwrite, retry_on_intr};

use super::dirs::DIRECTORY;
use super::sync::Syncer;
use crate::FileError;

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

/// Creates the nodes of one tree.
///
/// A name that is there already is refused, so that no step can go through an earlier symlink.
#[derive(Debug)]
pub(super) struct Nodes {
    style: Style,
    root_name: OsString,
    sync: Mutex<Syncer>,
    /// Bytes of contents in the page cache.
    cached: AtomicU64,
    /// Whether files can be written past the page cache here, as far as is known.
    can_be_direct: AtomicBool,
}

/// A directory in which nodes are created, and where it is, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a> {
    pub(super) fd: &'a OwnedFd,
    pub(super) path: &'a Path,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NewFile {
    fd: OwnedFd,
    path: PathBuf,
    executable: bool,
    /// Whether it is written past the page cache.
    is_direct: AtomicBool,
}

impl Nodes {
    /// For a tree whose root will be `root_name` in the directory `parent`.
    pub(super) fn new(
        parent: Folder<'_>,
        root_name: &OsStr,
        style: Style,
    ) -> Result<Self, FileError> {
        Ok(Self {
            style,
            root_name: root_name.to_owned(),
            sync: Mutex::new(Syncer::new(parent.fd, parent.path)?),
            cached: AtomicU64::new(0),
            can_be_direct: AtomicBool::new(true),
        })
    }

    /// Creates a file that will be `size` bytes long.
    pub(super) fn file(
        &self,
        folder: Folder<'_>,
        name: Option<&[u8]>,
        executable: bool,
        size: u64,
    ) -> Result<NewFile, FileError> {
        let name = self.name(name);
        let may_be_direct = size >= DIRECT_MIN
            && self.cached.load(Ordering::Relaxed).saturating_add(size) > CACHED_MAX;
        let mut is_direct = may_be_direct && self.can_be_direct.load(Ordering::Relaxed);
        let path = folder.path.join(name);
        let created = match self.create(folder, name, executable, is_direct) {
            Err(Errno::INVAL) if is_direct => {
                // Some file systems refuse only when the file is there already.
                let _ = unlinkat(folder.fd, name, AtFlags::empty());
                self.can_be_direct.store(false, Ordering::Relaxed);
                is_direct = false;
                self.create(folder, name, executable, false)
            }
            created => created,
        };
        let fd = created.map_err(FileError::at("create", &path))?;
        Ok(NewFile { fd, path, executable, is_direct: is_direct.into() })
    }

    fn create(
        &self,
        folder: Folder<'_>,
        name: &OsStr,
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
        openat(folder.fd, name, flags, Mode::from_raw_mode(mode))
    }

    /// Writes a part of a file to its place, whatever the others do.
    pub(super) fn contents(
        &self,
        file: &NewFile,
        mut bytes: &[u8],
        mut offset: u64,
    ) -> Result<(), FileError> {
        let failed = || FileError::at("write", &file.path);
        while !bytes.is_empty() {
            let mut is_direct = file.is_direct.load(Ordering::Relaxed);
            let is_aligned = bytes.as_ptr().align_offset(DIRECT_ALIGN) == 0;
            let direct_len = bytes.len() - bytes.len() % DIRECT_ALIGN;
            if is_direct && !(is_aligned && direct_len > 0) {
                // The last bytes of a file are no whole block.
                file.end_direct().map_err(failed())?;
                is_direct = false;
            }
            let part = if is_direct { &bytes[..direct_len] } else { bytes };
            match retry_on_intr(|| pwrite(&file.fd, part, offset)) {
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                    if !is_direct {
                        self.cached.fetch_add(count as u64, Ordering::Relaxed);
                        self.sync().wrote(&file.fd, count);
                    }
                }
                Err(Errno::INVAL) if is_direct => {
                    file.end_direct().map_err(failed())?;
                    self.can_be_direct.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(failed()(error)),
            }
        }
        Ok(())
    }

    /// Completes a file, all parts of which are written.
    pub(super) fn end_file(&self, file: NewFile) -> Result<(), FileError> {
        let NewFile { fd, path, executable, .. } = file;
        if self.style == Style::Canonical {
            make_canonical_file(&fd, executable).map_err(FileError::at("finish", &path))?;
        }
        self.complete(fd, path);
        Ok(())
    }

    pub(super) fn symlink(
        &self,
        folder: Folder<'_>,
        name: Option<&[u8]>,
        target: &[u8],
    ) -> Result<(), FileError> {
        let name = self.name(name);
        symlinkat(target, folder.fd, name)
            .and_then(|()| match self.style {
                Style::Plain => Ok(()),
                Style::Canonical => {
                    utimensat(folder.fd, name, &CANONICAL_TIMES, AtFlags::SYMLINK_NOFOLLOW)
                }
            })
            .map_err(FileError::at("create", folder.path.join(name)))
    }

    /// Creates a directory and opens it. Returns where it is, too.
    pub(super) fn directory(
        &self,
        folder: Folder<'_>,
        name: Option<&[u8]>,
    ) -> Result<(OwnedFd, PathBuf), FileError> {
        let name = self.name(name);
        let path = folder.path.join(name);
        let mode = match self.style {
            Style::Canonical => 0o700,
            Style::Plain => 0o777,
        };
        let fd = mkdirat(folder.fd, name, Mode::from_raw_mode(mode))
            .and_then(|()| openat(folder.fd, name, DIRECTORY, Mode::empty()))
            .map_err(FileError::at("create", &path))?;
        Ok((fd, path))
    }

    /// Completes a directory, all entries of which are there.
    pub(super) fn end_directory(&self, ended: EndedDir) -> Result<(), FileError> {
        let EndedDir { fd, path, is_root } = ended;
        if self.style == Style::Canonical && !is_root {
            make_canonical_dir(&fd).map_err(FileError::at("finish", &path))?;
        }
        self.complete(fd, path);
        Ok(())
    }

    fn complete(&self, node: impl Into<Arc<OwnedFd>>, path: PathBuf) {
        let unused = self.sync().add(node, path);
        drop(unused);
    }

    /// Waits until all of it is on disk.
    pub(super) fn finish(&self) -> Result<(), FileError> {
        self.sync().finish()
    }

    fn sync(&self) -> MutexGuard<'_, Syncer> {
        self.sync.lock().expect("nobody panics while holding it")
    }

    fn name<'n>(&'n self, name: Option<&'n [u8]>) -> &'n OsStr {
        name.map_or(&self.root_name, OsStr::from_bytes)
    }
}

impl NewFile {
    /// From now on, it is written through the page cache.
    fn end_direct(&self) -> rustix::io::Result<()> {
        fcntl_setfl(&self.fd, OFlags::empty())?;
        self.is_direct.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// A directory that gets no more entries.
#[derive(Debug)]
pub(super) struct EndedDir {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) path: PathBuf,
    /// Whether it is the root of the tree.
    pub(super) is_root: bool,
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
