//! What to run, in which surroundings, and what came of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::level::Level;
use crate::wire;

/// One command and all that it may see.
///
/// Every path but [`Mount::source`] is a path inside the sandbox. `/proc`, `/dev`, `/tmp` (an empty
/// tmpfs) and `/dev/shm` are there without being asked for; a mount may cover them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Program and arguments; a program without `/` is searched on the `PATH` of [`Spec::env`].
    pub command: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    #[serde(with = "wire::pairs")]
    pub env: BTreeMap<OsString, OsString>,
    /// Working directory.
    #[serde(with = "wire::path")]
    pub cwd: PathBuf,
    /// What of the host is visible; outer targets are mounted before those inside them.
    pub mounts: Vec<Mount>,
    /// Symbolic links, made before the mounts: `/lib` → `usr/lib` and the like.
    pub symlinks: Vec<Symlink>,
    /// Small generated files such as `/etc/passwd`, written after the mounts.
    pub files: Vec<File>,
    /// Host name; at most 64 bytes.
    pub hostname: String,
    /// Whether the command shares the host's network; else it has an own, empty one.
    pub network: bool,
    /// What the command may use up.
    pub limits: Limits,
    /// A slate: memory that the command finds as file 3, holding these bytes, and that comes back
    /// as [`Outcome::slate`]. Neither it nor what the command starts can change its size, and no
    /// output can be taken for it. At most [`SLATE_MAX_BYTES`]; empty for none.
    pub slate: Vec<u8>,
    /// The least that will do; the run is refused when the machine gives less. [`Level::None`]
    /// means any sandbox here.
    pub require: Level,
}

/// One file or directory of the host, shown inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is on the host; symbolic links are followed.
    #[serde(with = "wire::path")]
    pub source: PathBuf,
    /// Where the command sees it; missing directories on the way are made.
    #[serde(with = "wire::path")]
    pub target: PathBuf,
    /// What the command may do with it and with everything mounted below it.
    pub access: Access,
}

/// What a command may do with a mount. Devices and set-user-id bits never work on either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Look only, for mounts below the source too.
    ReadOnly,
    /// Change what the user who runs hoist may change.
    ReadWrite,
}

/// A symbolic link inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symlink {
    /// The text of the link, relative or absolute; need not exist.
    #[serde(with = "wire::path")]
    pub target: PathBuf,
    /// Where the link is.
    #[serde(with = "wire::path")]
    pub link: PathBuf,
}

/// A file made for the run; read-only unless a mount or `/tmp` around it is writable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where the command sees it.
    #[serde(with = "wire::path")]
    pub path: PathBuf,
    /// All of its bytes.
    pub contents: Vec<u8>,
    /// Whether it may be executed: mode 0755 instead of 0644.
    pub executable: bool,
}

/// Upper bounds on one run; `None` leaves what hoist itself was given.
///
/// All but [`Limits::wall`] and [`Limits::scratch_bytes`] are per-process limits of the kernel (`setrlimit(2)`). Core dumps are
/// always off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time from the start of the command; then the whole tree is killed.
    pub wall: Option<Duration>,
    /// Private writable memory of one process (`RLIMIT_DATA`): an allocation beyond it fails.
    /// Address space that is only reserved does not count, as compilers reserve a lot.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of the run (`RLIMIT_NPROC`). Before Linux 5.14 the kernel counts all
    /// of the user's, and it exempts real root, with or without a user namespace.
    pub processes: Option<u64>,
    /// Size of one file (`RLIMIT_FSIZE`): the writer beyond it gets `SIGXFSZ`.
    pub file_size_bytes: Option<u64>,
    /// All that may be written to `/tmp`, and as much again to `/dev/shm`.
    pub scratch_bytes: Option<u64>,
    /// Open files of one process (`RLIMIT_NOFILE`).
    pub open_files: Option<u64>,
}

/// One command without a sandbox, for [`run_on_host`](crate::run_on_host): the paths are the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// Program and arguments; a program without `/` is searched on the `PATH` of
    /// [`HostSpec::env`].
    pub command: Vec<OsString>,
    /// The whole environment: nothing is inherited.
    #[serde(with = "wire::pairs")]
    pub env: BTreeMap<OsString, OsString>,
    /// Working directory.
    #[serde(with = "wire::path")]
    pub cwd: PathBuf,
    /// What the command may use up.
    pub limits: Limits,
}

/// What became of a command that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The level it ran at, for the provenance.
    pub level: Level,
    /// Time from the command's start to its end, without set-up and tear-down.
    pub wall: Duration,
    /// CPU time in user mode of all processes of the run, left-behind ones included.
    pub user: Duration,
    /// CPU time in the kernel of all processes of the run.
    pub system: Duration,
    /// Resident memory of the largest single process.
    pub max_rss_bytes: u64,
    /// What [`Spec::slate`] held when all processes of the run had ended; empty when there was none.
    pub slate: Vec<u8>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was killed at [`Limits::wall`].
    TimedOut,
}

/// The largest slate, in bytes: it travels with the outcome.
pub const SLATE_MAX_BYTES: usize = 32 << 10;

/// The longest host name that `sethostname(2)` takes.
const HOSTNAME_MAX_BYTES: usize = 64;

impl Spec {
    /// An empty sandbox, to see whether there can be one.
    pub(crate) fn probe() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            cwd: "/".into(),
            mounts: Vec::new(),
            symlinks: Vec::new(),
            files: Vec::new(),
            hostname: "hoist".to_owned(),
            network: false,
            limits: Limits::default(),
            slate: Vec::new(),
            require: Level::None,
        }
    }

    /// Refuses what no kernel could run, before anything is started.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        check_command(&self.command, &self.env)?;
        check_inside("cwd", &self.cwd)?;
        for mount in &self.mounts {
            if !mount.source.is_absolute() {
                return Err(bad("mounts.source", &mount.source, "an absolute path"));
            }
            check_inside("mounts.target", &mount.target)?;
        }
        for symlink in &self.symlinks {
            check_inside("symlinks.link", &symlink.link)?;
        }
        for file in &self.files {
            check_inside("files.path", &file.path)?;
        }
        if self.hostname.len() > HOSTNAME_MAX_BYTES {
            return Err(bad("hostname", Path::new(&self.hostname), "at most 64 bytes"));
        }
        if self.slate.len() > SLATE_MAX_BYTES {
            let found = format!("{} bytes", self.slate.len());
            return Err(bad("slate", Path::new(&found), "at most 32 KiB"));
        }
        Ok(())
    }
}

impl HostSpec {
    /// Refuses what no kernel could run, before anything is started.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        check_command(&self.command, &self.env)?;
        check_inside("cwd", &self.cwd)
    }
}

fn check_command(
    command: &[OsString],
    env: &BTreeMap<OsString, OsString>,
) -> Result<(), SandboxError> {
    if command.first().is_none_or(|program| program.is_empty()) {
        return Err(bad("command", Path::new(""), "a program"));
    }
    if let Some(argument) = command.iter().find(|argument| argument.as_bytes().contains(&0)) {
        return Err(bad("command", Path::new(argument), "arguments without NUL"));
    }
    for (name, value) in env {
        if name.is_empty() || name.as_bytes().iter().any(|byte| matches!(byte, 0 | b'=')) {
            return Err(bad("env", Path::new(name), "names without NUL and `=`"));
        }
        if value.as_bytes().contains(&0) {
            return Err(bad("env", Path::new(value), "values without NUL"));
        }
    }
    Ok(())
}

/// A path that means the same place whatever the links on its way.
fn check_inside(field: &'static str, path: &Path) -> Result<(), SandboxError> {
    let stays = path.components().all(|part| part != Component::ParentDir);
    if path.is_absolute() && stays && !path.as_os_str().as_bytes().contains(&0) {
        return Ok(());
    }
    Err(bad(field, path, "an absolute path without `..`"))
}

fn bad(field: &'static str, value: &Path, wanted: &'static str) -> SandboxError {
    SandboxError::BadSpec { field, value: value.display().to_string(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec { command: vec!["true".into()], ..Spec::probe() }
    }

    #[test]
    fn a_minimal_spec_is_accepted() {
        spec().check().unwrap();
    }

    #[test]
    fn a_target_that_climbs_is_refused() {
        let climbing = Mount {
            source: "/usr".into(),
            target: "/build/../proc".into(),
            access: Access::ReadOnly,
        };
        let refusal = Spec { mounts: vec![climbing], ..spec() }.check().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "`mounts.target` of the sandbox is `/build/../proc`, wanted an absolute path without `..`"
        );
    }

    #[test]
    fn a_relative_working_directory_is_refused() {
        assert!(Spec { cwd: "build".into(), ..spec() }.check().is_err());
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(Spec { command: Vec::new(), ..spec() }.check().is_err());
        assert!(Spec { command: vec!["".into()], ..spec() }.check().is_err());
    }

    #[test]
    fn an_environment_name_with_an_equals_sign_is_refused() {
        let env = BTreeMap::from([("A=B".into(), "c".into())]);
        assert!(Spec { env, ..spec() }.check().is_err());
    }

    #[test]
    fn a_nul_in_an_argument_is_refused() {
        assert!(Spec { command: vec!["echo".into(), "a\0b".into()], ..spec() }.check().is_err());
    }
}
