//! NAR, Nix's archive: a tree of files, executable files, symlinks and directories, with nothing
//! else of a file system in it, so that equal trees are equal bytes.
//!
//! Source: the chapter “Nix Archive (NAR) format” of the Nix manual. Strings are a 64-bit
//! little-endian length, the bytes, and zeros up to a multiple of 8.

mod copy;
#[cfg(test)]
mod properties;
mod reader;
mod writer;

pub use copy::{NarCopyError, copy_nar};
pub use reader::{NarEvent, NarLimits, NarNode, NarReader};
pub use writer::NarWriter;

const MAGIC: &[u8] = b"nix-archive-1";

/// How many zeros follow a string of `len` bytes.
fn padding_len(len: u64) -> usize {
    usize::try_from(len.wrapping_neg() % 8).expect("below 8")
}

/// Whether a directory can hold an entry of this name, whatever the file system.
fn is_file_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Whether a symlink can have this target.
fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && !target.contains(&0)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
