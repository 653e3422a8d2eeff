//! hoist's end: start the init, pass on the log, read the report.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::retry_on_intr;
use rustix::pipe::fcntl_getpipe_size;
use rustix::process::geteuid;

use crate::error::SandboxError;
use crate::init;
use crate::level::{Availability, Barrier, Level, Obstacle};
use crate::spec::{HostSpec, Outcome, SLATE_MAX_BYTES, Spec};
use crate::wire::{Failure, Report, Request};

/// How long to wait for the end of the output when the init has ended and so should everybody who
/// writes it.
const DRAIN: Duration = Duration::from_millis(200);

/// A report is a few hundred bytes and a slate as JSON; more than this is no report.
const REPORT_MAX_BYTES: usize = 4096 + 4 * SLATE_MAX_BYTES;

const LOG_CHUNK_BYTES: usize = 64 * 1024;

/// Runs a command in a sandbox and returns how it ended.
///
/// - `log`: gets standard output and error of the command, interleaved as written, in pieces of at
///   most 64 KiB; a slow one slows the command down.
///
/// Where the kernel forbids a part of the sandbox, the run goes on with less, but never with less
/// than [`Spec::require`], and never without a sandbox: for that the caller, whose paths are then
/// others, decides to call [`run_on_host`]. [`Outcome::level`] tells what it was.
///
/// The calling thread must live until this returns, as it does unless it is killed: its end is the
/// end of the run.
///
/// # Errors
///
/// [`SandboxError::Unavailable`] when the machine gives less than [`Spec::require`], or no sandbox;
/// [`SandboxError::CommandNotFound`] and its neighbours when the command cannot be executed. A
/// command that ran and failed is an [`Outcome`].
pub fn run(spec: &Spec, log: &mut dyn FnMut(&[u8])) -> Result<Outcome, SandboxError> {
    spec.check()?;
    let mut attempt =
        |user_namespace| converse(&Request::Run { spec: Cow::Borrowed(spec), user_namespace }, log);
    let report = match attempt(true)? {
        Report::Failed(Failure::Obstacle(obstacle))
            if spec.require <= Level::NoUserNamespace && may_do_without(&obstacle) =>
        {
            match attempt(false)? {
                Report::Failed(Failure::Obstacle(_)) => Report::Failed(Failure::Obstacle(obstacle)),
                report => report,
            }
        }
        report => report,
    };
    outcome(report, spec.require)
}

/// Runs a command as a plain child process in a session of its own: the last rung of the ladder.
///
/// It sees all of the host with the rights of the user who runs hoist, so the caller passes paths
/// of the host where it passes paths of the sandbox to [`run`]. Its environment, standard input,
/// umask, limits, clock, end and log are treated as in a sandbox; processes that it leaves behind
/// are found and killed as far as a user can: one that outlives a killed init is not.
///
/// # Errors
///
/// As for [`run`], but never [`SandboxError::Unavailable`].
pub fn run_on_host(spec: &HostSpec, log: &mut dyn FnMut(&[u8])) -> Result<Outcome, SandboxError> {
    spec.check()?;
    let report = converse(&Request::RunOnHost { spec: Cow::Borrowed(spec) }, log)?;
    outcome(report, Level::None)
}

/// Finds out what this machine gives by setting up a sandbox and throwing it away.
///
/// # Errors
///
/// [`SandboxError`] when even the attempt could not be made, or failed at a step that no kernel
/// forbids.
pub fn available() -> Result<Availability, SandboxError> {
    let mut obstacles = Vec::new();
    for user_namespace in [true, false] {
        match converse(&Request::Probe { user_namespace }, &mut |_| ())? {
            Report::Reached { level, obstacle } => {
                obstacles.extend(obstacle);
                return Ok(Availability { level, obstacles });
            }
            Report::Failed(Failure::Obstacle(obstacle)) => {
                let go_on = user_namespace && may_do_without(&obstacle);
                obstacles.push(obstacle);
                if !go_on {
                    break;
                }
            }
            report => return Err(unexpected(report)),
        }
    }
    Ok(Availability { level: Level::None, obstacles })
}

/// Whether a sandbox without a user namespace may get past an obstacle to one with it.
fn may_do_without(obstacle: &Obstacle) -> bool {
    obstacle.barrier != Barrier::Proc && geteuid().is_root()
}

fn outcome(report: Report, wanted: Level) -> Result<Outcome, SandboxError> {
    match report {
        Report::Ended(outcome) => Ok(outcome),
        Report::Failed(Failure::Obstacle(obstacle)) => {
            let wanted = wanted.max(Level::SharedProc); // the least that is a sandbox
            Err(SandboxError::Unavailable { wanted, best: available()?.level, obstacle })
        }
        report => Err(unexpected(report)),
    }
}

fn unexpected(report: Report) -> SandboxError {
    match report {
        Report::Failed(failure) => failure.into(),
        report => SandboxError::Lost { said: format!("{report:?}") },
    }
}

/// Starts an init, gives it a request and returns what it reports.
fn converse(request: &Request<'_>, log: &mut dyn FnMut(&[u8])) -> Result<Report, SandboxError> {
    if !init::is_offered() {
        return Err(SandboxError::NoInit);
    }
    let said = start_and_listen(request, log).map_err(|source| SandboxError::Start { source })?;
    let report =
        said.split(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok());
    report.ok_or_else(|| SandboxError::Lost {
        said: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

fn start_and_listen(request: &Request<'_>, log: &mut dyn FnMut(&[u8])) -> io::Result<Vec<u8>> {
    let mut stdin = File::from(memfd_create("hoist-sandbox", MemfdFlags::CLOEXEC)?);
    stdin.write_all(&serde_json::to_vec(request)?)?;
    stdin.rewind()?;
    let (output, stdout) = io::pipe()?;
    let (reports, stderr) = UnixStream::pair()?;
    let mut init = Command::new("/proc/self/exe")
        .arg0(init::MARKER)
        .env_clear()
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::from(OwnedFd::from(stderr)))
        .spawn()?;
    let said = listen(output, reports, log);
    let _ = init.wait(); // fails only where this process ignores SIGCHLD, and then there is no need
    said
}

/// Passes on the log until the init ends; returns what it said on the socket.
fn listen(
    mut output: PipeReader,
    mut reports: UnixStream,
    log: &mut dyn FnMut(&[u8]),
) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut chunk = vec![0; LOG_CHUNK_BYTES];
    let mut output_open = true;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(reports.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN),
        ];
        let open = 1 + usize::from(output_open);
        retry_on_intr(|| poll(&mut fds[..open], None))?;
        let [report_ready, output_ready] = fds.map(|fd| !fd.revents().is_empty());
        if output_ready {
            output_open = pass_on(&mut output, &mut chunk, log)? > 0;
        }
        if report_ready {
            let length = reports.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            let room = REPORT_MAX_BYTES.saturating_sub(said.len());
            said.extend_from_slice(&chunk[..length.min(room)]);
        }
    }
    // All that the command wrote is in the pipe by now; what somebody still adds is not of the run.
    let mut left = fcntl_getpipe_size(&output)?;
    while output_open && left > 0 && is_readable(&output)? {
        let length = pass_on(&mut output, &mut chunk, log)?;
        output_open = length > 0;
        left = left.saturating_sub(length);
    }
    Ok(said)
}

fn pass_on(
    output: &mut PipeReader,
    chunk: &mut [u8],
    log: &mut dyn FnMut(&[u8]),
) -> io::Result<usize> {
    let length = output.read(chunk)?;
    if length > 0 {
        log(&chunk[..length]);
    }
    Ok(length)
}

fn is_readable(output: &PipeReader) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: 0, tv_nsec: DRAIN.subsec_nanos().into() };
    let mut fds = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut fds, Some(&timeout)))? > 0)
}
