//! Trees on disk: walked, archived, restored, copied and removed, always through directories that
//! are open, so that no symlink can lead a step outside.

mod archive;
mod copy;
mod dirs;
mod remove;
mod walk;
mod write;

pub(crate) use archive::unpack_canonical;
pub use archive::{dump, hash_tree, restore};
pub(crate) use copy::copy_canonical;
pub(crate) use remove::{remove_tree, remove_tree_counting};
pub(crate) use write::{seal, sync_dir};

/// Most directories inside each other, the same as an archive's limit.
const DEPTH_LIMIT: usize = 1024;
