//! The processes between hoist and the command.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Mode;
use rustix::process::{
    Pid, Signal, WaitOptions, geteuid, set_child_subreaper, set_parent_process_death_signal,
    setsid, umask, waitpid,
};

use crate::command::Command;
use crate::level::{Level, Obstacle};
use crate::slate::Slate;
use crate::spec::{HostSpec, Spec};
use crate::supervise::{Tree, has_hung_up, supervise};
use crate::wire::{Failure, Report, Request};
use crate::{namespaces, root, sys};

/// The `argv[0]` that asks this executable to be the init of a sandbox.
///
/// Its standard input is the request, its standard output the log, and its standard error a socket
/// for the report, which also tells it when hoist is gone.
pub(crate) const MARKER: &str = "hoist-sandbox-init";

/// Whether [`run`](crate::run) may start this executable again.
static OFFERED: AtomicBool = AtomicBool::new(false);

/// Becomes the init of a sandbox, if that is what this process was started for.
///
/// Call it as the first line of `main`, before there are threads: [`run`](crate::run) starts the
/// same executable again, and this is where that ends up. Then it never returns; otherwise it
/// returns at once.
pub fn init_if_asked() {
    OFFERED.store(true, Ordering::Relaxed);
    if std::env::args_os().next().is_some_and(|name| name == MARKER) {
        // A session of its own: Ctrl-C is for hoist, whose end is the end of the sandbox.
        let _ = setsid();
        let report = serve().unwrap_or_else(Report::Failed);
        tell(&report);
        process::exit(0);
    }
}

pub(crate) fn is_offered() -> bool {
    OFFERED.load(Ordering::Relaxed)
}

/// What the init does; `Ok` and `Err` are told to hoist alike.
fn serve() -> Result<Report, Failure> {
    sys::close_from(3).map_err(Failure::step("close", "inherited files"))?;
    sys::default_signals();
    umask(Mode::WGRP | Mode::WOTH);
    let mut json = Vec::new();
    io::stdin().read_to_end(&mut json).map_err(Failure::step("read", "request"))?;
    let request = serde_json::from_slice(&json)
        .map_err(io::Error::from)
        .map_err(Failure::step("parse", "request"))?;
    match request {
        Request::RunOnHost { spec } => run_on_host(&spec),
        Request::Run { spec, user_namespace } => {
            let read_only_proc = geteuid().is_root();
            let slate = Slate::open(&spec.slate)?; // before other files take its number
            namespaces::enter(user_namespace, spec.network, &spec.hostname)?;
            let outer = fork_inner_init()?;
            let (level, _) = enter_root(&spec, user_namespace, read_only_proc)?;
            run_inside(&spec, level, outer.as_fd(), slate.as_ref())
        }
        Request::Probe { user_namespace } => {
            let read_only_proc = geteuid().is_root();
            let spec = Spec::probe();
            namespaces::enter(user_namespace, spec.network, &spec.hostname)?;
            let _outer = fork_inner_init()?;
            let (level, obstacle) = enter_root(&spec, user_namespace, read_only_proc)?;
            Ok(Report::Reached { level, obstacle })
        }
    }
}

/// Forks the inner init, PID 1 of the new process namespace, in which alone this returns.
///
/// The outer init waits for its end. Returns a pipe that hangs up when the outer init is gone.
fn fork_inner_init() -> Result<io::PipeReader, Failure> {
    die_with_parent(|| has_hung_up(io::stderr().as_fd()))?;
    let (lifeline, held_by_outer) = io::pipe().map_err(Failure::step("open", "pipe"))?;
    if let Some(inner) = sys::fork().map_err(Failure::step("fork", "init"))? {
        wait_for(inner);
    }
    drop(held_by_outer);
    die_with_parent(|| has_hung_up(lifeline.as_fd()))?;
    Ok(lifeline)
}

/// Ties this process to its parent, which may have died before: `gone` tells.
fn die_with_parent(gone: impl FnOnce() -> bool) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(Failure::step("tie to its parent", "init"))?;
    if gone() {
        process::exit(1);
    }
    Ok(())
}

fn wait_for(inner: Pid) -> ! {
    while matches!(waitpid(Some(inner), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
    process::exit(0)
}

fn enter_root(
    spec: &Spec,
    user_namespace: bool,
    read_only_proc: bool,
) -> Result<(Level, Option<Obstacle>), Failure> {
    let obstacle = root::enter(spec, read_only_proc)?;
    let level = match obstacle {
        Some(_) => Level::SharedProc,
        None if user_namespace => Level::Hermetic,
        None => Level::NoUserNamespace,
    };
    Ok((level, obstacle))
}

fn run_inside(
    spec: &Spec,
    level: Level,
    outer: BorrowedFd<'_>,
    slate: Option<&Slate>,
) -> Result<Report, Failure> {
    let hoist = io::stderr();
    let lifelines = [hoist.as_fd(), outer];
    let command = Command::confined(spec);
    let mut outcome = supervise(&command, spec.limits.wall, level, Tree::Namespace, &lifelines)?;
    outcome.slate = slate.map(Slate::read).transpose()?.unwrap_or_default();
    Ok(Report::Ended(outcome))
}

fn run_on_host(spec: &HostSpec) -> Result<Report, Failure> {
    set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Failure::step("adopt", "orphans"))?;
    let hoist = io::stderr();
    let command = Command::on_host(spec);
    supervise(&command, spec.limits.wall, Level::None, Tree::Descendants, &[hoist.as_fd()])
        .map(Report::Ended)
}

/// One line of JSON; when hoist is gone there is nobody to tell.
fn tell(report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = io::stderr().write_all(&line);
    }
}
