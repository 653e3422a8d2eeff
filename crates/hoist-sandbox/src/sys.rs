//! The system calls that have no safe wrapper elsewhere.
//!
//! Everything here but [`set_mount_attributes`] is called in the init alone: the process that
//! [`init_if_asked`](crate::init_if_asked) takes over before it has a second thread or an open
//! file of its own.

use std::ffi::{CStr, CString, c_int, c_uint};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;
use std::{io, mem, ptr};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// The highest signal number of Linux.
const LAST_SIGNAL: c_int = 64;

/// Forks; `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the init has one thread (its `main` has not gone past `init_if_asked`), so the child
    // inherits no lock that another thread holds.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Moves the calling process into new namespaces.
pub(crate) fn unshare(namespaces: UnshareFlags) -> rustix::io::Result<()> {
    debug_assert!(!namespaces.intersects(UnshareFlags::FILES | UnshareFlags::FS));
    // SAFETY: unsafe only for `FILES`, which could give two threads different open files; callers
    // pass namespaces.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// Closes every open file from number `first` on.
pub(crate) fn close_from(first: c_uint) -> io::Result<()> {
    close_range(first, 0)
}

/// Makes every open file from number `first` on close when the process executes a program.
pub(crate) fn close_on_exec_from(first: c_uint) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: c_uint, flags: c_uint) -> io::Result<()> {
    // SAFETY: no `OwnedFd` loses its file: the closing call runs first thing in the init, which
    // has opened nothing yet, and the other one closes nothing until the process image is gone.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, flags) }).map(drop)
}

/// Adds `MOUNT_ATTR_*` flags to a mount, and with `recursive` to all mounts below it.
pub(crate) fn set_mount_attributes(
    mount: impl AsFd,
    recursive: bool,
    attributes: u64,
) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace_fd: u64,
    }
    let wanted = MountAttr { set: attributes, clear: 0, propagation: 0, user_namespace_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a C string, `wanted` has the layout of `struct mount_attr` and its size
    // is passed along; the kernel only reads both.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const wanted,
            mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Gives every signal its default effect.
///
/// An ignored signal stays ignored over `execve`, and the C library's own `signal` refuses to touch
/// the two that it uses for threads; some launchers leave those ignored.
pub(crate) fn default_signals() {
    /// `SIG_DFL`, no flags, an empty mask: all zeroes on every architecture, and none is longer.
    const DEFAULT: [u64; 8] = [0; 8];
    const MASK_BYTES: usize = 8;
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the kernel reads `DEFAULT`, which installs no handler. For the signals that
        // cannot be changed the call fails, which is what is wanted.
        unsafe {
            let old = ptr::null_mut::<libc::c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), old, MASK_BYTES);
        }
    }
}

/// Lets all signals through again, for a child that [`watch_children`]'s block was inherited by.
pub(crate) fn unblock_signals() -> io::Result<()> {
    set_signal_mask(&signal_set(&[]))
}

/// Blocks `SIGCHLD` and returns a file that is readable while one is pending.
pub(crate) fn watch_children() -> io::Result<OwnedFd> {
    let set = signal_set(&[libc::SIGCHLD]);
    set_signal_mask(&set)?;
    // SAFETY: `set` outlives the call; -1 asks for a new file.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    check(fd.into())?;
    // SAFETY: the call succeeded, so `fd` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: `sigemptyset` fills in the set that `zeroed` only gives room to, and a set of
    // integers may be all zeroes; the numbers are valid signals.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

fn set_signal_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is initialised, and the old mask is not asked for.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, ptr::null_mut()) }.into()).map(drop)
}

/// What the children of this process used that have ended and been waited for, with theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) max_rss_bytes: u64,
}

/// Reads [`Usage`] from the kernel.
pub(crate) fn children_usage() -> io::Result<Usage> {
    // SAFETY: `rusage` is plain integers, which may be all zeroes.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: `usage` is a whole `rusage` to write to.
    check(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) }.into())?;
    Ok(Usage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024, // the kernel says KiB
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Executes a program in place of this one; returns only the reason why it could not.
pub(crate) fn execve(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<_> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end with a null pointer, and what they point to outlives the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process at once, without the exit handlers of the process it was forked from.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
