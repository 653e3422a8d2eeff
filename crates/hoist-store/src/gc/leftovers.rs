//! What lies in the store directory without being registered.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;
use rustix::fs::OFlags;

use crate::lock::{PathLock, try_exclusive};
use crate::{FileError, Store};

/// Something in the store directory that nobody vouches for and nobody is making.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) name: String,
    pub(super) path: PathBuf,
    _lock: Lock,
}

/// What keeps others from beginning to make it.
#[derive(Debug)]
enum Lock {
    Path { _lock: PathLock },
    File { _lock: File },
    None,
}

impl Store {
    /// Finds what is neither registered nor being made, sorted by name. The caller holds the store's
    /// lock alone.
    ///
    /// - `kept`: hash parts of paths that roots name. While a process makes a path, it keeps it by a
    ///   temporary root, and so the files beside it, such as its lock.
    /// - `take`: whether to take the locks of what is found, and to remove locks that nobody holds,
    ///   instead of only looking at them.
    pub(super) fn leftovers(
        &self,
        registered: &HashSet<&StorePath>,
        kept: &HashSet<&str>,
        take: bool,
    ) -> Result<Vec<Leftover>, FileError> {
        let mut leftovers: Vec<Leftover> = Vec::new();
        for path in sorted_entries(&self.layout.store())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let parsed = StorePath::parse(&name).ok();
            let lock = match (&parsed, locked_by(&path, &name)) {
                (None, _) if path == self.layout.shared_files() => None,
                (None, _) => lock_stray(&path, &name),
                (Some(parsed), _)
                    if registered.contains(parsed) || kept.contains(parsed.hash_part()) =>
                {
                    None
                }
                (Some(_), Some(target)) => {
                    // It goes with what it locks.
                    let is_listed = leftovers.iter().rev().any(|leftover| leftover.path == target);
                    let is_free = !is_listed && !is_held(&path);
                    is_free.then(|| drop_lock(&target, take)).transpose()?.flatten()
                }
                (Some(_), None) => lock_path(&path, take)?,
            };
            leftovers.extend(lock.map(|lock| Leftover { name, path, _lock: lock }));
        }
        Ok(leftovers)
    }
}

fn sorted_entries(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let listed = || FileError::at("list", dir);
    let entries = fs::read_dir(dir).map_err(listed())?;
    let paths = entries.map(|entry| Ok(entry.map_err(listed())?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, FileError>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// The path that a file is the lock of, if it is one.
fn locked_by(path: &Path, name: &str) -> Option<PathBuf> {
    let is_named_so = name.strip_suffix(".lock").is_some();
    (is_named_so && can_be_lock(path)).then(|| path.with_extension(""))
}

/// Whether a file can be a lock, and is not a path that happens to have such a name.
fn can_be_lock(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok_and(|found| found.is_file() && found.len() == 0)
}

fn is_held(lock_file: &Path) -> bool {
    File::open(lock_file).is_ok_and(|file| try_exclusive(&file).is_ok_and(|locked| !locked))
}

/// Removes a lock that nobody holds in the way that tells those who are about to.
fn drop_lock(target: &Path, take: bool) -> Result<Option<Lock>, FileError> {
    if take && PathLock::try_acquire(target)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Lock::None))
}

/// Takes the lock of what has the name of a store path; `None` when somebody holds it.
fn lock_path(path: &Path, take: bool) -> Result<Option<Lock>, FileError> {
    let lock_file = path.with_added_extension("lock");
    if fs::symlink_metadata(&lock_file).is_ok() && !can_be_lock(&lock_file) {
        return Ok(Some(Lock::None)); // nobody can hold what is no lock
    }
    if take {
        return Ok(PathLock::try_acquire(path)?.map(|lock| Lock::Path { _lock: lock }));
    }
    Ok((!is_held(&lock_file)).then_some(Lock::None))
}

/// Takes the lock on what has another name; `None` when somebody holds it, or is at work in it.
///
/// Nix 2.26 locks the folders `tmp-…` that it fills. Nix 2.8 does not lock its `add-PID-…`.
fn lock_stray(path: &Path, name: &str) -> Option<Lock> {
    if is_of_living_process(name) {
        return None;
    }
    // Neither following a link nor waiting for the other end of a pipe.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path);
    match opened {
        Ok(file) => match try_exclusive(&file) {
            Ok(false) => None,
            Ok(true) => Some(Lock::File { _lock: file }),
            Err(_) => Some(Lock::None),
        },
        Err(_) => Some(Lock::None),
    }
}

/// Whether a name ends with the number of a running process and a count.
fn is_of_living_process(name: &str) -> bool {
    let mut parts = name.rsplit('-');
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u64>().ok());
    let (count, process) = (number(parts.next()), number(parts.next()));
    count.is_some() && process.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_running_process_is_told_by_its_name() {
        let pid = std::process::id();
        assert!(is_of_living_process(&format!("add-{pid}-0")));
        assert!(is_of_living_process(&format!(".tmp-link-{pid}-1234567")));
        for name in ["add-4294967295-0", "stray", "a-b", &format!("add-{pid}"), ""] {
            assert!(!is_of_living_process(name), "{name}");
        }
    }
}
