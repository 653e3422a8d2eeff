//! The parts of the host that every build sees read-only, whatever its toolchain.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the distribution. `/usr/local`, `/usr/src` and `/opt` are left out: what a machine's
/// owner put there differs from host to host.
const FOLDERS: [&str; 9] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/include",
    "/usr/share",
    "/etc/alternatives",
];

/// Single files the loader and the linker go by.
const FILES: [&str; 1] = ["/etc/ld.so.cache"];

/// Top-level names that are links into `/usr` on merged systems and folders on others.
const TOP_LEVEL: [&str; 5] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// Where every build's programs lie, after the toolchain's own folders: the end of its `PATH`.
pub(crate) const PATH: [&str; 2] = ["/usr/bin", "/bin"];

/// What of the system is mounted and what is linked.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// Paths to mount read-only at the same place.
    pub(crate) mounts: Vec<PathBuf>,
    /// Links to make: target, link.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
}

impl System {
    /// Looks at this host.
    pub(crate) fn of_this_host() -> Self {
        let mut system = Self::default();
        for path in FOLDERS.into_iter().chain(FILES).map(Path::new) {
            if path.exists() {
                system.mounts.push(path.to_owned());
            }
        }
        for path in TOP_LEVEL.into_iter().map(Path::new) {
            match fs::read_link(path) {
                Ok(target) => system.links.push((target, path.to_owned())),
                Err(_) if path.is_dir() => system.mounts.push(path.to_owned()),
                Err(_) => {}
            }
        }
        system
    }

    /// Whether a path of the host is at the same place in the sandbox.
    pub(crate) fn shows(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mounted| path.starts_with(mounted))
    }
}
