//! How much of a sandbox a machine gives, and what stands in the way of more.

use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

/// How isolated a run is, from least to most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// A plain child process that sees the host.
    None,
    /// As hermetic, but `/proc` is the host's, read-only, because the kernel forbids a new one
    /// (containers that mask parts of theirs do): processes of the host can be seen there.
    SharedProc,
    /// As hermetic, but without a user namespace, which only root can have: the command keeps
    /// root's number, without its capabilities.
    NoUserNamespace,
    /// Own user, mount, process, network, IPC and host-name namespaces.
    #[default]
    Hermetic,
}

impl fmt::Display for Level {
    /// The text that `serde` writes too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::SharedProc => "shared-proc",
            Self::NoUserNamespace => "no-user-namespace",
            Self::Hermetic => "hermetic",
        })
    }
}

/// What this machine gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// The highest level that works here.
    pub level: Level,
    /// What stands in the way of more; empty at [`Level::Hermetic`].
    pub obstacles: Vec<Obstacle>,
}

/// Something that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// What it was.
    pub barrier: Barrier,
    /// The kernel's answer, an `errno` value.
    pub errno: i32,
}

/// The steps at which kernels, containers and security modules refuse a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Barrier {
    /// A new user namespace.
    UserNamespace,
    /// The numbers of the user and the group in the new user namespace.
    IdMap,
    /// The mount, process, IPC, host-name and network namespaces.
    Namespaces,
    /// A new root file system.
    Mount,
    /// A `/proc` of its own.
    Proc,
}

impl fmt::Display for Obstacle {
    /// What was refused and the kernel's reason, as a fragment for a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.barrier {
            Barrier::UserNamespace => "a user namespace",
            Barrier::IdMap => "the user number inside a user namespace",
            Barrier::Namespaces => "mount, process and network namespaces",
            Barrier::Mount => "a root file system of its own",
            Barrier::Proc => "a /proc of its own",
        };
        write!(f, "the kernel refused {what}: {}", io::Error::from_raw_os_error(self.errno))
    }
}

impl Obstacle {
    /// How to remove it on this machine; reads the kernel's switches under `/proc/sys`.
    #[must_use]
    pub fn hint(&self) -> String {
        self.hint_for(|name| fs::read_to_string(format!("/proc/sys/{name}")).ok())
    }

    /// - `switch`: the text of a file under `/proc/sys`, by its name there.
    fn hint_for(&self, switch: impl Fn(&str) -> Option<String>) -> String {
        let is = |name: &str, value: &str| switch(name).is_some_and(|text| text.trim() == value);
        if self.barrier == Barrier::Proc {
            return "the surrounding container masks parts of /proc; start it with /proc unmasked \
                    (docker: `--security-opt systempaths=unconfined`)"
                .to_owned();
        }
        if self.errno == libc::ENOSYS {
            return "the sandbox needs Linux 5.12 or newer, or a container that lets its system \
                    calls through"
                .to_owned();
        }
        if self.barrier == Barrier::UserNamespace && self.errno == libc::EINVAL {
            return "this kernel was built without CONFIG_USER_NS; use another kernel, or root"
                .to_owned();
        }
        if is("user/max_user_namespaces", "0") {
            return "allow user namespaces: `sysctl -w user.max_user_namespaces=15000`".to_owned();
        }
        if is("kernel/unprivileged_userns_clone", "0") {
            return "allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1`"
                .to_owned();
        }
        if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
            return "allow user namespaces: \
                    `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or give hoist an \
                    AppArmor profile with `userns,`"
                .to_owned();
        }
        if matches!(self.errno, libc::ENOSPC | libc::EUSERS) {
            return "all allowed namespaces are in use or none is allowed: raise \
                    user.max_user_namespaces and its siblings with sysctl"
                .to_owned();
        }
        "a seccomp filter, a chroot or a security module forbids it; in a container allow \
         unprivileged user namespaces (docker: `--security-opt seccomp=unconfined \
         --security-opt apparmor=unconfined`)"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(barrier: Barrier, errno: i32, name: &str, value: &str) -> String {
        Obstacle { barrier, errno }.hint_for(|asked| (asked == name).then(|| format!("{value}\n")))
    }

    #[test]
    fn levels_are_ordered_by_isolation() {
        assert!(Level::None < Level::SharedProc);
        assert!(Level::SharedProc < Level::NoUserNamespace);
        assert!(Level::NoUserNamespace < Level::Hermetic);
    }

    #[test]
    fn a_level_reads_the_same_in_json_and_in_text() {
        for level in [Level::None, Level::SharedProc, Level::NoUserNamespace, Level::Hermetic] {
            assert_eq!(serde_json::to_value(level).unwrap(), level.to_string());
        }
    }

    #[test]
    fn an_obstacle_names_what_was_refused_and_why() {
        let obstacle = Obstacle { barrier: Barrier::UserNamespace, errno: libc::EPERM };
        assert_eq!(
            obstacle.to_string(),
            "the kernel refused a user namespace: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn each_switch_that_forbids_user_namespaces_is_named() {
        let refused = |name| hint(Barrier::UserNamespace, libc::EPERM, name, "0");
        assert!(refused("user/max_user_namespaces").contains("user.max_user_namespaces="));
        assert!(
            refused("kernel/unprivileged_userns_clone").contains("unprivileged_userns_clone=1")
        );
        let apparmor = "kernel/apparmor_restrict_unprivileged_userns";
        let restricted = hint(Barrier::IdMap, libc::EACCES, apparmor, "1");
        assert!(restricted.contains("apparmor_restrict_unprivileged_userns=0"));
    }

    #[test]
    fn a_container_is_suspected_where_no_switch_explains_it() {
        assert!(hint(Barrier::UserNamespace, libc::EPERM, "", "").contains("seccomp"));
        assert!(hint(Barrier::Proc, libc::EPERM, "", "").contains("systempaths"));
    }

    #[test]
    fn an_old_kernel_is_named_as_such() {
        assert!(hint(Barrier::Mount, libc::ENOSYS, "", "").contains("Linux 5.12"));
    }
}
