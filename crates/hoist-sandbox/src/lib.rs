//! Namespaces, mounts and limits for one build: the one crate of hoist with `unsafe`.
//!
//! ```text
//! hoist ──re-exec──▶ outer init ──fork──▶ inner init (PID 1) ──fork──▶ the command (PID 2)
//!   ▲ log, report      enters the           builds the root,             no capabilities,
//!   ╰─ pipe, socket    namespaces           reaps, watches the clock     limits, fds 0 to 2,
//!                                                                       and 3 for a slate
//! ```
//!
//! hoist may have many threads, and a forked copy of such a process may do next to nothing safely.
//! So [`run`] starts the same executable again under another `argv[0]`; the new process has one
//! thread and may fork, unshare and mount at leisure. That is why a program that calls [`run`]
//! must call [`init_if_asked`] as the first line of `main`.
//!
//! What holds of every run:
//!
//! - The command sees the declared mounts, symlinks and files, a minimal `/dev`, its own `/proc`,
//!   an empty `/tmp`, and nothing else; only read-write mounts, `/tmp` and `/dev/shm` take writes.
//! - A run ends when the command ends, never at the end of its output: whatever it left behind
//!   gets [`GRACE`] to finish and is then killed.
//! - When hoist dies, in whatever way, every process of the run dies.
//!
//! Deliberately absent: cgroups (no machine hands them to every user), overlay mounts, and a root
//! file system of hoist's own making: what the command may see is the caller's list. [`System`]
//! is the part of that list which this machine's own programs and libraries need.
//!
//! Needs Linux 5.12 (`mount_setattr`) for anything above [`Level::None`].

mod command;
mod error;
mod init;
mod level;
mod limits;
mod namespaces;
mod root;
mod run;
mod slate;
mod spec;
mod supervise;
#[expect(unsafe_code, reason = "the system calls that have no safe wrapper live here")]
mod sys;
mod system;
mod wire;

pub use error::SandboxError;
pub use init::init_if_asked;
pub use level::{Availability, Barrier, Level, Obstacle};
pub use run::{available, run, run_on_host};
pub use spec::{
    Access, End, File, HostSpec, Limits, Mount, Outcome, SLATE_MAX_BYTES, Spec, Symlink,
};
pub use supervise::GRACE;
pub use system::System;
