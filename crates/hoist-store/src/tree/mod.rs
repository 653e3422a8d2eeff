//! Trees on disk: walked, archived, restored, copied and removed, always through directories that
//! are open, so that no symlink can lead a step outside.
//!
//! An archive goes through here in pieces of two megabytes that are filled, used and filled again: a
//! ring of a few of them is all the memory that a tree of any size takes. What does not fit into
//! one piece is worked on by several threads at once, each piece by one of them at a time:
//!
//! ```text
//!                    ╭──────────────────── empty pieces ───────────────────╮
//!                    ▼                                                     │
//! copy      walk, open, read ──▶ SHA-256 ──▶ create, write, start the way to the disk ──▶ sync
//! hash      walk, open, read ──▶ SHA-256
//! dump      walk, open, read ──▶ the caller's writer
//! unpack    the caller's reader ──▶ SHA-256 ──▶ parse, create, write ──▶ sync
//! ```
//!
//! What a copy creates, two threads create: the one that takes the pieces, and a helper.
//!
//! A part that fails lets go of its ends of the ring. Its neighbours find nothing to take and end,
//! and so do theirs; no thread outlives the call. Why it is so: ADRs 9 and 14.

mod archive;
mod copy;
mod crew;
mod dirs;
mod nodes;
mod piece;
mod pipeline;
mod read;
mod remove;
mod state;
mod sync;
mod walk;
mod write;

pub(crate) use archive::unpack_canonical;
pub use archive::{dump, hash_tree, restore};
pub(crate) use copy::{TreeRead, copy_canonical, read_tree, read_tree_here};
pub(crate) use nodes::seal;
pub(crate) use remove::{remove_tree, remove_tree_counting};
pub(crate) use state::{Oddity, TreeState, state_of};
pub(crate) use sync::sync_dir;

/// Most directories inside each other, the same as an archive's limit.
const DEPTH_LIMIT: usize = 1024;
