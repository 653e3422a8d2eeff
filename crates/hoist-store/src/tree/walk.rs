//! Reading a tree in the order of its archive.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::fs::{fstat, openat, readlinkat, statat};

use super::DEPTH_LIMIT;
use super::dirs::{DIRECTORY, DirStack};
use crate::{FileError, TreeError};

/// Walks a tree: each directory before its entries, entries sorted by their bytes as Nix sorts
/// them.
#[derive(Debug)]
pub(super) struct Walk {
    /// The root, until the first step took it.
    root: Option<PathBuf>,
    /// The path of the node that the last step found, for messages.
    at: PathBuf,
    dirs: DirStack,
    /// The entries of each open directory that are still to come, the next one last.
    pending: Vec<Vec<CString>>,
    /// Whether `at` names an entry of the directory at work instead of itself.
    at_entry: bool,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step {
    /// A node; `name` is none for the root.
    Node { name: Option<Vec<u8>>, node: Node },
    /// The innermost directory is complete.
    EndDirectory,
}

#[derive(Debug)]
pub(super) enum Node {
    File { file: File, executable: bool, size: u64 },
    Symlink { target: Vec<u8> },
    Directory,
}

impl Walk {
    /// A walk over the tree at `root`, which may be a file or a symlink, too.
    pub(super) fn new(root: &Path) -> Self {
        // Without a final slash, which would follow a symlink.
        let root: PathBuf = root.components().collect();
        Self {
            at: root.clone(),
            root: Some(root),
            dirs: DirStack::new(),
            pending: Vec::new(),
            at_entry: false,
        }
    }

    /// Where the last step was.
    pub(super) fn at(&self) -> &Path {
        &self.at
    }

    pub(super) fn next(&mut self) -> Result<Option<Step>, TreeError> {
        if let Some(root) = self.root.take() {
            let name = CString::new(root.into_os_string().into_encoded_bytes());
            let name = name.map_err(FileError::at("read", &self.at))?;
            let (node, opened) = self.open(CWD, &name)?;
            self.enter(opened)?;
            return Ok(Some(Step::Node { name: None, node }));
        }
        if self.at_entry {
            self.at.pop();
            self.at_entry = false;
        }
        let Some(names) = self.pending.last_mut() else { return Ok(None) };
        let Some(name) = names.pop() else {
            self.pending.pop();
            self.dirs.pop().map_err(FileError::at("leave", &self.at))?;
            self.at_entry = !self.pending.is_empty();
            return Ok(Some(Step::EndDirectory));
        };
        self.at.push(OsStr::from_bytes(name.to_bytes()));
        self.at_entry = true;
        let parent = self.dirs.top().expect("the names are of an open directory").as_fd();
        let (node, opened) = self.open(parent, &name)?;
        self.enter(opened)?;
        Ok(Some(Step::Node { name: Some(name.into_bytes()), node }))
    }

    /// Looks at one entry, and opens it unless it is a symlink.
    fn open(
        &self,
        parent: BorrowedFd<'_>,
        name: &CString,
    ) -> Result<(Node, Option<OwnedFd>), TreeError> {
        let failed = |action| FileError::at(action, &self.at);
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("read"))?;
        match file_type(&stat) {
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new()).map_err(failed("read"))?;
                Ok((Node::Symlink { target: target.into_bytes() }, None))
            }
            FileType::Directory => {
                let opened = openat(parent, name, DIRECTORY, Mode::empty());
                Ok((Node::Directory, Some(opened.map_err(failed("open"))?)))
            }
            FileType::RegularFile => {
                // Should a pipe have taken its place, opening it must not wait for a writer.
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let opened = openat(parent, name, flags, Mode::empty()).map_err(failed("open"))?;
                let stat = fstat(&opened).map_err(failed("read"))?;
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                if file_type(&stat) != FileType::RegularFile {
                    return Err(TreeError::Changed { path: self.at.clone() });
                }
                let executable = Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR);
                Ok((Node::File { file: opened.into(), executable, size }, None))
            }
            other => Err(TreeError::Unsupported { path: self.at.clone(), kind: kind_name(other) }),
        }
    }

    /// Goes into a directory that was opened.
    fn enter(&mut self, opened: Option<OwnedFd>) -> Result<(), TreeError> {
        let Some(dir) = opened else { return Ok(()) };
        if self.dirs.len() >= DEPTH_LIMIT {
            return Err(TreeError::TooDeep { path: self.at.clone(), limit: DEPTH_LIMIT });
        }
        let mut names = entry_names(&dir).map_err(FileError::at("list", &self.at))?;
        names.sort_unstable_by(|left, right| right.cmp(left));
        self.dirs.push(dir).map_err(FileError::at("read", &self.at))?;
        self.pending.push(names);
        self.at_entry = false;
        Ok(())
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
