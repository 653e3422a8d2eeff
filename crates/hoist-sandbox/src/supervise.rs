//! The inner init's watch: reap, look at the clock and at hoist, and leave nobody behind.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait as wait_any,
};

use crate::command::Command;
use crate::level::Level;
use crate::spec::{End, Outcome};
use crate::sys;
use crate::wire::Failure;

/// How long what a command leaves behind may go on after its end: enough for a `tee` to finish,
/// little enough that nobody notices a daemon.
pub const GRACE: Duration = Duration::from_millis(100);

/// How long to hunt for processes that start others faster than they are killed.
const HUNT: Duration = Duration::from_secs(5);

/// Which processes belong to a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tree {
    /// All that this process, PID 1 of its namespace, can see.
    Namespace,
    /// The descendants of this process, which adopts the orphans among them.
    Descendants,
}

/// Runs a command to its end and ends whatever it left behind.
///
/// - `wall`: how long it may take.
/// - `lifelines`: sockets or pipes whose other end is hoist's or the outer init's; when one hangs
///   up, nobody wants the outcome any more: the tree is killed and this process exits.
pub(crate) fn supervise(
    command: &Command<'_>,
    wall: Option<Duration>,
    level: Level,
    tree: Tree,
    lifelines: &[BorrowedFd<'_>],
) -> Result<Outcome, Failure> {
    let children = sys::watch_children().map_err(Failure::step("watch", "children"))?;
    let pid = command.start()?;
    let started = Instant::now();

    let mut ended: Option<(End, Instant)> = None;
    loop {
        let deadline = match ended {
            Some((_, at)) => Some(at + GRACE),
            None => wall.and_then(|wall| started.checked_add(wall)),
        };
        match wait(&children, lifelines, deadline).map_err(Failure::step("watch", "children"))? {
            Event::HoistIsGone => {
                tree.kill(pid);
                process::exit(1);
            }
            Event::Deadline => break,
            Event::Children => {}
        }
        let anybody_left = reap(|child, status| {
            if child == pid {
                ended = Some((end(status), Instant::now()));
            }
        });
        if !anybody_left {
            break;
        }
    }
    let (end, at) = ended.unwrap_or_else(|| (End::TimedOut, Instant::now()));
    tree.kill(pid);
    let usage = sys::children_usage().map_err(Failure::step("read", "resource usage"))?;
    Ok(Outcome {
        end,
        level,
        wall: at.duration_since(started),
        user: usage.user,
        system: usage.system,
        max_rss_bytes: usage.max_rss_bytes,
        slate: Vec::new(),
    })
}

/// Whether the process at the other end of a socket or pipe is gone.
pub(crate) fn has_hung_up(lifeline: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(lifeline, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
}

enum Event {
    Children,
    Deadline,
    HoistIsGone,
}

fn wait(
    children: &OwnedFd,
    lifelines: &[BorrowedFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<Event> {
    let mut fds = vec![PollFd::from_borrowed_fd(children.as_fd(), PollFlags::IN)];
    // No event is asked for: a hang-up is always told.
    fds.extend(lifelines.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::empty())));
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(Event::Deadline),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if fds[1..].iter().any(|fd| !fd.revents().is_empty()) {
        return Ok(Event::HoistIsGone);
    }
    let mut pending = [0; 1024];
    while rustix::io::read(children, &mut pending).is_ok() {}
    Ok(Event::Children)
}

/// Collects all children that have ended; returns whether others are left.
fn reap(mut on_end: impl FnMut(Pid, WaitStatus)) -> bool {
    loop {
        match wait_any(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => on_end(pid, status),
            Ok(None) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false, // ECHILD
        }
    }
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Code(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => unreachable!("without WUNTRACED a reported child has ended: {status:?}"),
    }
}

impl Tree {
    /// Kills and collects all of it. `command` leads a session and process group of its own.
    fn kill(self, command: Pid) {
        match self {
            // To process group 1 means kill(-1): everybody but this process, at one instant, so
            // that no fork escapes.
            Self::Namespace => {
                let _ = kill_process_group(Pid::INIT, Signal::KILL);
                while !matches!(wait_any(WaitOptions::empty()), Err(Errno::CHILD)) {}
            }
            // Each killed child hands its own children to this process, for the next round.
            Self::Descendants => {
                let _ = kill_process_group(command, Signal::KILL);
                let hunt_ends = Instant::now() + HUNT;
                while reap(|_, _| ()) && Instant::now() < hunt_ends {
                    for child in children() {
                        let _ = kill_process(child, Signal::KILL);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}

/// The direct children of this process, which has one thread.
fn children() -> Vec<Pid> {
    let text = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
