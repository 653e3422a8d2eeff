//! Exit codes of the `hoist` command. They are part of the stable surface.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// The answer is no: a build failed, a check has errors, a gate is closed.
    No = 1,
    /// Wrong usage, or a manifest that cannot be used.
    Usage = 2,
    /// This machine cannot: a file, a permission, a missing tool, a full disk.
    Machine = 3,
    /// A host or a cache cannot.
    Remote = 4,
    /// A bug in hoist.
    Bug = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
