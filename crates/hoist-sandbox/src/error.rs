//! Why there is no outcome.

use std::io;
use std::path::PathBuf;

use crate::level::{Level, Obstacle};
use crate::wire::Failure;

/// Why a command was not run, or why nothing is known of how it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum SandboxError {
    /// Without it the program would start itself over and over.
    #[error("this program cannot start a sandbox: its main does not call `init_if_asked`")]
    NoInit,

    /// A value that no sandbox can have.
    #[error("`{field}` of the sandbox is `{value}`, wanted {wanted}")]
    BadSpec { field: &'static str, value: String, wanted: &'static str },

    /// The machine gives less than was asked for.
    #[error("this machine gives a sandbox of level `{best}`, wanted `{wanted}`: {obstacle}")]
    Unavailable { wanted: Level, best: Level, obstacle: Obstacle },

    /// A declared input or system directory is not on this host.
    #[error("cannot mount `{}` at `{}` in the sandbox", source_path.display(), target.display())]
    MountSource { source_path: PathBuf, target: PathBuf, source: io::Error },

    /// No directory on the command's own `PATH` has it.
    #[error("command `{command}` not found{}", searched(path.as_deref()))]
    CommandNotFound { command: String, path: Option<String> },

    /// The file is there, the program that runs it is not.
    #[error("`{}` is in the sandbox, but its interpreter or loader is not", program.display())]
    LoaderNotFound { program: PathBuf },

    /// The file is there and is no program for this machine and user.
    #[error("cannot execute `{}`", program.display())]
    NotExecutable { program: PathBuf, source: io::Error },

    /// A step of the set-up failed that works on a machine in order.
    #[error("cannot {step} `{}` for the sandbox", path.display())]
    Setup { step: String, path: PathBuf, source: io::Error },

    /// hoist's own end could not be set up.
    #[error("cannot start the sandbox")]
    Start { source: io::Error },

    /// It was killed from outside, or it has a bug; `said` is what it printed last.
    #[error("the sandbox ended without a report{}", quoted(said))]
    Lost { said: String },
}

impl SandboxError {
    /// What the reader can do about it; the CLI prints it after `hint:`.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unavailable { obstacle, .. } => return Some(obstacle.hint()),
            Self::MountSource { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "create it, or remove it from the declared inputs"
            }
            Self::CommandNotFound { .. } => {
                "install it, or declare the directory that has it as a system path"
            }
            Self::LoaderNotFound { .. } => {
                "declare the directory of its `#!` interpreter or of its ELF loader \
                 (`readelf -l` names it) as a system path"
            }
            Self::NotExecutable { source, .. } => match source.raw_os_error() {
                Some(libc::EACCES) => "make it executable with `chmod +x`",
                Some(libc::ENOEXEC) => {
                    "give it a `#!` line, or a binary for this machine's architecture"
                }
                _ => return None,
            },
            Self::Lost { .. } => {
                "see `dmesg` for the out-of-memory killer; else this is a bug in hoist"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<Failure> for SandboxError {
    fn from(failure: Failure) -> Self {
        let cause = io::Error::from_raw_os_error;
        match failure {
            Failure::Obstacle(obstacle) => {
                Self::Unavailable { wanted: Level::Hermetic, best: Level::None, obstacle }
            }
            Failure::MountSource { source, target, errno } => {
                Self::MountSource { source_path: source, target, source: cause(errno) }
            }
            Failure::CommandNotFound { command, path } => Self::CommandNotFound { command, path },
            Failure::LoaderNotFound { program } => Self::LoaderNotFound { program },
            Failure::NotExecutable { program, errno } => {
                Self::NotExecutable { program, source: cause(errno) }
            }
            Failure::Step { step, path, errno } => Self::Setup { step, path, source: cause(errno) },
        }
    }
}

fn searched(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| format!("; its PATH is `{path}`"))
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; its last words: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Barrier;

    #[test]
    fn a_level_that_is_not_given_is_said_with_its_obstacle() {
        let obstacle = Obstacle { barrier: Barrier::Proc, errno: libc::EPERM };
        let error = SandboxError::Unavailable {
            wanted: Level::Hermetic,
            best: Level::SharedProc,
            obstacle,
        };
        assert_eq!(
            error.to_string(),
            "this machine gives a sandbox of level `shared-proc`, wanted `hermetic`: \
             the kernel refused a /proc of its own: Operation not permitted (os error 1)"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_lost_sandbox_quotes_what_it_said() {
        assert_eq!(
            SandboxError::Lost { said: String::new() }.to_string(),
            "the sandbox ended without a report"
        );
        assert!(SandboxError::Lost { said: "boom".to_owned() }.to_string().ends_with("boom"));
    }
}
