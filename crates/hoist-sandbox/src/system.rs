//! The parts of the host that programs and libraries of its distribution need, read-only.

use std::fs;
use std::path::Path;

use crate::spec::{Access, Mount, Symlink};

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

/// What of the system is mounted and what is linked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct System {
    /// Folders and files to mount read-only at the same place.
    pub mounts: Vec<Mount>,
    /// Links to make, e.g. `/lib` → `usr/lib` on merged systems.
    pub symlinks: Vec<Symlink>,
}

impl System {
    /// Programs for a command's `PATH`, in order.
    pub const PATH: [&str; 2] = ["/usr/bin", "/bin"];

    /// Looks at this host.
    #[must_use]
    pub fn of_this_host() -> Self {
        let mut system = Self::default();
        for path in FOLDERS.into_iter().chain(FILES).map(Path::new) {
            if path.exists() {
                system.mounts.push(same_place(path));
            }
        }
        for path in TOP_LEVEL.into_iter().map(Path::new) {
            match fs::read_link(path) {
                Ok(target) => system.symlinks.push(Symlink { target, link: path.to_owned() }),
                Err(_) if path.is_dir() => system.mounts.push(same_place(path)),
                Err(_) => {}
            }
        }
        system
    }

    /// Whether a path of the host is at the same place in the sandbox.
    #[must_use]
    pub fn shows(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| path.starts_with(&mount.source))
    }
}

fn same_place(path: &Path) -> Mount {
    Mount { source: path.to_owned(), target: path.to_owned(), access: Access::ReadOnly }
}
