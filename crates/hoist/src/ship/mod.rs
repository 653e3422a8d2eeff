//! The main job, stage by stage: build → check → pack → store → bench → lock → switch. Nothing
//! lands unchecked, and the profile moves last: a closed gate leaves it where it was.

mod bench;
mod bench_python;
mod lock;
mod stages;
mod vendor;

pub(crate) use bench::bench;
pub(crate) use lock::{LockUpdate, has_text, locked_anew, read_lock, write_whole};
pub(crate) use stages::{Landed, Maker, Making, ms};
pub(crate) use vendor::{is_copy, vendor, vendored_files};
