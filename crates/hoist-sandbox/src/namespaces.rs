//! New namespaces, and who the command is in them.

use std::fs;

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use crate::level::{Barrier, Obstacle};
use crate::sys;
use crate::wire::{Failure, errno};

/// The user and group number that every command has inside, so that no output depends on who ran
/// it.
const ID_INSIDE: u32 = 1000;

/// Moves this process into new namespaces; its next child is PID 1 in the new process namespace.
///
/// - `user`: with a user namespace; without one this takes `CAP_SYS_ADMIN`.
/// - `network`: keep the surrounding network.
pub(crate) fn enter(user: bool, network: bool, hostname: &str) -> Result<(), Failure> {
    if user {
        enter_user_namespace()?;
    }
    let mut namespaces =
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !network {
        namespaces |= UnshareFlags::NEWNET;
    }
    sys::unshare(namespaces).map_err(refused(Barrier::Namespaces))?;
    rustix::system::sethostname(hostname.as_bytes())
        .map_err(Failure::step("set the host name", hostname))?;
    rustix::system::setdomainname(b"(none)").map_err(Failure::step("set the domain name", "(none)"))
}

fn enter_user_namespace() -> Result<(), Failure> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    // Only root may drop its groups, and only before; others keep theirs, shown as 65534 inside.
    let _ = rustix::thread::set_thread_groups(&[]);
    sys::unshare(UnshareFlags::NEWUSER).map_err(refused(Barrier::UserNamespace))?;
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).map_err(refused(Barrier::IdMap))
    };
    // The kernel lets a user without privileges map a group only after this (CVE-2014-8989).
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{ID_INSIDE} {uid} 1"))?;
    write("gid_map", format!("{ID_INSIDE} {gid} 1"))
}

/// A barrier that was hit, to be given to `map_err`.
pub(crate) fn refused<E: Into<std::io::Error>>(barrier: Barrier) -> impl Fn(E) -> Failure {
    move |error| Failure::Obstacle(Obstacle { barrier, errno: errno(error) })
}
