//! Walking a tree in the order of its archive.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawDir, Stat};
use rustix::fs::{fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::DEPTH_LIMIT;
use super::dirs::{DIRECTORY, DirStack};
use crate::{FileError, TreeError};

/// Room for what the system tells of a directory at once.
const LISTING_LEN: usize = 32 * 1024;

/// Walks a tree: each directory before its entries, entries sorted by their bytes as Nix sorts
/// them.
///
/// What kind of node comes next the directory has told; whoever needs more of it asks for it at
/// that step, so that no node is looked at twice.
#[derive(Debug)]
pub(super) struct Walk {
    /// The root's path, without a final slash, which would follow a symlink.
    root: CString,
    started: bool,
    /// The path of the node that the last step found, for messages.
    at: PathBuf,
    /// Whether `at` names an entry of the directory at work instead of itself.
    at_entry: bool,
    /// Where the last step's name is in the listing of the directory at work; none for the root.
    entry: Option<Range<usize>>,
    dirs: DirStack,
    /// One for each open directory.
    listings: Vec<Listing>,
    listing_room: Vec<MaybeUninit<u8>>,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step {
    File,
    Symlink,
    /// A directory that is open now; its entries follow.
    Directory(Stat),
    /// The innermost directory is complete.
    EndDirectory,
}

impl Walk {
    /// A walk over the tree at `root`, which may be a file or a symlink, too.
    pub(super) fn new(root: &Path) -> Result<Self, TreeError> {
        let at: PathBuf = root.components().collect();
        let root = CString::new(at.as_os_str().as_bytes()).map_err(FileError::at("read", root))?;
        Ok(Self {
            root,
            started: false,
            at,
            at_entry: false,
            entry: None,
            dirs: DirStack::new(),
            listings: Vec::new(),
            listing_room: Vec::new(),
        })
    }

    /// Where the last step was.
    pub(super) fn at(&self) -> &Path {
        &self.at
    }

    /// The name of the node that the last step found; none for the root.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.entry.as_ref().map(|_| self.at.file_name().expect("an entry has a name").as_bytes())
    }

    pub(super) fn next(&mut self) -> Result<Option<Step>, TreeError> {
        if !self.started {
            self.started = true;
            let kind = file_type(&self.stat()?);
            return self.step(kind).map(Some);
        }
        if self.at_entry {
            self.at.pop();
            self.at_entry = false;
        }
        let Some(listing) = self.listings.last_mut() else { return Ok(None) };
        let Some(entry) = listing.entries.pop() else {
            self.listings.pop();
            self.dirs.pop().map_err(FileError::at("leave", &self.at))?;
            // The path is that of the directory, which is itself an entry unless it is the root.
            self.at_entry = !self.listings.is_empty();
            return Ok(Some(Step::EndDirectory));
        };
        let name = entry.name();
        self.at.push(OsStr::from_bytes(&listing.names[name.clone()]));
        self.at_entry = true;
        self.entry = Some(name);
        let kind = match entry.kind {
            // Some file systems do not tell.
            FileType::Unknown => file_type(&self.stat()?),
            known => known,
        };
        self.step(kind).map(Some)
    }

    fn step(&mut self, kind: FileType) -> Result<Step, TreeError> {
        match kind {
            FileType::RegularFile => Ok(Step::File),
            FileType::Symlink => Ok(Step::Symlink),
            FileType::Directory => self.enter().map(Step::Directory),
            other => Err(TreeError::Unsupported { path: self.at.clone(), kind: kind_name(other) }),
        }
    }

    /// What the system says of the node that the last step found, which is no directory.
    pub(super) fn stat(&self) -> Result<Stat, TreeError> {
        let (parent, name) = self.here();
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(stat.map_err(FileError::at("read", &self.at))?)
    }

    /// Opens the file that the last step found.
    pub(super) fn open_file(&self) -> Result<(File, Stat), TreeError> {
        let (parent, name) = self.here();
        // Should a pipe have taken its place, opening it must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(parent, name, flags, Mode::empty());
        let opened = opened.map_err(FileError::at("open", &self.at))?;
        let stat = fstat(&opened).map_err(FileError::at("read", &self.at))?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(TreeError::Changed { path: self.at.clone() });
        }
        Ok((opened.into(), stat))
    }

    /// Where the symlink points to that the last step found.
    pub(super) fn read_link(&self) -> Result<Vec<u8>, TreeError> {
        let (parent, name) = self.here();
        let target = readlinkat(parent, name, Vec::new());
        Ok(target.map_err(FileError::at("read", &self.at))?.into_bytes())
    }

    /// The directory and the name of the node that the last step found.
    fn here(&self) -> (BorrowedFd<'_>, &CStr) {
        let Some(name) = self.entry.clone() else { return (CWD, &self.root) };
        let parent = self.dirs.top().expect("the entry is of an open directory");
        let names = &self.listings.last().expect("each open directory was listed").names;
        let name = CStr::from_bytes_with_nul(&names[name.start..=name.end]);
        (parent.as_fd(), name.expect("the system's names end with NUL"))
    }

    /// Opens and lists the directory that was found.
    fn enter(&mut self) -> Result<Stat, TreeError> {
        if self.dirs.len() >= DEPTH_LIMIT {
            return Err(TreeError::TooDeep { path: self.at.clone(), limit: DEPTH_LIMIT });
        }
        let (parent, name) = self.here();
        let dir = openat(parent, name, DIRECTORY, Mode::empty());
        let dir = dir.map_err(FileError::at("open", &self.at))?;
        self.listing_room.resize(LISTING_LEN, MaybeUninit::uninit());
        let listing = Listing::read(&dir, &mut self.listing_room);
        self.listings.push(listing.map_err(FileError::at("list", &self.at))?);
        self.at_entry = false;
        Ok(self.dirs.push(dir).map_err(FileError::at("read", &self.at))?)
    }
}

/// The entries of a directory that are still to come.
#[derive(Debug, Default)]
struct Listing {
    /// All names, each with a NUL behind it.
    names: Vec<u8>,
    /// The next one last.
    entries: Vec<Entry>,
}

/// Small, since a directory may have millions of them.
#[derive(Debug)]
struct Entry {
    /// Where its name begins in those of its listing, and how long that is without the NUL.
    start: u32,
    len: u16,
    kind: FileType,
}

const _: () = assert!(size_of::<Entry>() == 8, "a million of them are 8 MB");

impl Entry {
    fn name(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + usize::from(self.len)
    }
}

impl Listing {
    fn read(dir: &OwnedFd, room: &mut [MaybeUninit<u8>]) -> rustix::io::Result<Self> {
        let mut listing = Self::default();
        let mut found = RawDir::new(dir, room);
        while let Some(entry) = found.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes_with_nul();
            if matches!(name, b".\0" | b"..\0") {
                continue;
            }
            // The names of no directory take 4 GiB.
            let start = u32::try_from(listing.names.len()).map_err(|_| Errno::OVERFLOW)?;
            let len = u16::try_from(name.len() - 1).map_err(|_| Errno::NAMETOOLONG)?;
            listing.names.extend_from_slice(name);
            listing.entries.push(Entry { start, len, kind: entry.file_type() });
        }
        let Self { names, entries } = &mut listing;
        let name = |entry: &Entry| &names[entry.name()];
        entries.sort_unstable_by(|left, right| name(right).cmp(name(left)));
        Ok(listing)
    }
}

/// The names in a directory, in no order.
pub(super) fn entry_names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "named pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "file of unknown kind",
    }
}
