//! A small piece of memory that the command finds as file 3 and hoist reads when all is over.
//!
//! A pipe would have to be drained while the command runs, and could fill up or be held open by
//! what the command leaves behind. Memory of a sealed size can do neither, and a command that maps
//! it can close the file and still write to it from a crash.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::wire::Failure;

/// Its number in the command: the first that no standard stream has.
pub(crate) const FILE: u32 = 3;

/// The init's hold on it.
pub(crate) struct Slate {
    file: File,
    size_bytes: usize,
}

impl Slate {
    /// Makes one that holds `contents`; `None` when those are empty.
    ///
    /// Called before the init opens any other file, so that it gets the number [`FILE`].
    pub(crate) fn open(contents: &[u8]) -> Result<Option<Self>, Failure> {
        if contents.is_empty() {
            return Ok(None);
        }
        let memory = memfd_create("hoist-slate", MemfdFlags::ALLOW_SEALING)
            .map_err(Failure::step("make", "slate"))?;
        let mut file = File::from(memory);
        file.write_all(contents).map_err(Failure::step("write", "slate"))?;
        file.rewind().map_err(Failure::step("rewind", "slate"))?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
            .map_err(Failure::step("seal", "slate"))?;
        if file.as_raw_fd().cast_unsigned() != FILE {
            return Err(Failure::step("give file 3 to", "slate")(rustix::io::Errno::BUSY));
        }
        Ok(Some(Self { file, size_bytes: contents.len() }))
    }

    /// What it holds now.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut contents = vec![0; self.size_bytes];
        self.file.read_exact_at(&mut contents, 0).map_err(Failure::step("read", "slate"))?;
        Ok(contents)
    }
}
