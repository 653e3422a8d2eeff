//! Where hoist keeps what can be lost: the cache folder and the work folders of running builds.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::BuildError;

/// The cache folder: everything below it can be removed at any time, at the price of time.
#[derive(Debug, Clone)]
pub struct CacheDirs {
    root: PathBuf,
}

impl CacheDirs {
    /// The cache folder at `root`; it is made when it is first written to.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of its own for one kind of content, made if it is missing.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when it cannot be made.
    pub fn folder(&self, kind: &str) -> Result<PathBuf, BuildError> {
        // Builds write below it, and what root's builds leave there could be set-user-id.
        let make = |folder: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(BuildError::io("make the cache folder", folder))
        };
        let folder = self.root.join(kind);
        make(&self.root)?;
        make(&folder)?;
        Ok(folder)
    }
}

/// A folder for one run of a command, removed when dropped; one that a killed process left behind
/// is removed by the next run.
#[derive(Debug)]
pub struct WorkDir {
    folder: PathBuf,
    is_kept: bool,
    /// The folder itself, locked by its owner for as long as it lives.
    _lock: File,
}

/// How the names of work folders begin, and those of work folders that are kept.
const OWNED: &str = "build-";
const KEPT: &str = "failed-";

impl WorkDir {
    /// Makes a work folder and removes those whose owners are gone.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when the cache folder cannot be written.
    pub fn new(dirs: &CacheDirs) -> Result<Self, BuildError> {
        let parent = dirs.folder("work")?;
        // Between making a folder and locking it, it looks like one whose owner is gone.
        let turn = dirs.root().join("work.lock");
        let one_at_a_time = File::create(&turn).map_err(BuildError::io("make the lock", &turn))?;
        one_at_a_time.lock().map_err(BuildError::io("lock", &turn))?;
        sweep(&parent);
        let folder = tempfile::Builder::new()
            .prefix(OWNED)
            .tempdir_in(&parent)
            .map_err(BuildError::io("make a work folder in", &parent))?;
        let path = folder.path();
        let lock = File::open(path).map_err(BuildError::io("open", path))?;
        lock.lock().map_err(BuildError::io("lock", path))?;
        Ok(Self { folder: folder.keep(), is_kept: false, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder below it.
    ///
    /// # Errors
    ///
    /// [`BuildError::Io`] when it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, BuildError> {
        let folder = self.path().join(name);
        fs::create_dir_all(&folder).map_err(BuildError::io("make the folder", &folder))?;
        Ok(folder)
    }

    /// Keeps the folder for a look at what went wrong, and returns where it is.
    #[must_use]
    pub fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        let name =
            self.folder.file_name().unwrap_or_default().to_string_lossy().replacen(OWNED, KEPT, 1);
        let kept = self.folder.with_file_name(name); // which no sweep takes
        match fs::rename(&self.folder, &kept) {
            Ok(()) => kept,
            Err(_) => self.folder.clone(),
        }
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = remove_tree(&self.folder); // what stays is tried again by the next run
        }
    }
}

/// Removes work folders whose owners are gone: nobody holds their locks.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(OWNED)
            && let Ok(folder) = File::open(entry.path())
            && folder.try_lock().is_ok()
        {
            let _ = remove_tree(&entry.path()); // what stays is tried again by the next run
        }
    }
}

/// Removes a tree, although folders in it may be read-only, as those of Go's module cache are.
fn remove_tree(tree: &Path) -> io::Result<()> {
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_folders_writable(tree)?;
            fs::remove_dir_all(tree)
        }
        result => result,
    }
}

fn make_folders_writable(tree: &Path) -> io::Result<()> {
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_folder_whose_owner_is_gone_is_swept() {
        let home = tempfile::tempdir().unwrap();
        let dirs = CacheDirs::new(home.path());
        let left_behind = dirs.folder("work").unwrap().join("build-gone");
        fs::create_dir_all(left_behind.join("source")).unwrap();

        let alive = WorkDir::new(&dirs).unwrap();
        assert!(!left_behind.exists());
        let other = WorkDir::new(&dirs).unwrap();
        assert!(alive.path().exists() && other.path().exists());
    }

    #[test]
    fn a_kept_folder_survives_the_next_sweep() {
        let home = tempfile::tempdir().unwrap();
        let dirs = CacheDirs::new(home.path());
        let kept = WorkDir::new(&dirs).unwrap().keep();
        drop(WorkDir::new(&dirs).unwrap());
        assert!(kept.exists());
    }

    #[test]
    fn folders_that_are_made_at_the_same_time_are_not_swept() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let dirs = CacheDirs::new(home.path());
                    for _ in 0..200 {
                        let work = WorkDir::new(&dirs).unwrap();
                        assert!(work.path().is_dir());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(home.path().join("work")).unwrap().count(), 0);
    }

    #[test]
    fn folders_that_a_build_left_read_only_are_removed() {
        // Root removes them anyway; anyone else must change their mode first.
        let home = tempfile::tempdir().unwrap();
        let work = WorkDir::new(&CacheDirs::new(home.path())).unwrap();
        let (path, module) = (work.path().to_owned(), work.folder("cache/module/sub").unwrap());
        fs::write(module.join("a.go"), "package a").unwrap();
        for folder in [module.as_path(), module.parent().unwrap()] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        }
        drop(work);
        assert!(!path.exists());
    }
}
