//! Putting back what was registered where something else lies now.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hoist_nix::StorePath;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::lock::PathLock;
use crate::temp::TempDir;
use crate::tree::{seal, sync_dir};
use crate::{FileError, NewPath, Store, StoreError};

impl Store {
    /// Replaces the contents of a registered path, damaged or lost, by those of `nar`, which must
    /// have the registered hash: nobody has to be trusted for it.
    ///
    /// The old tree and the new one change places by one rename; who has a file of the old one open
    /// keeps it. What is registered stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInStore`] when the path is not registered, [`StoreError::AddNar`] when the
    /// archive is not the registered one, and all that adding can meet. The path is then as it was.
    pub fn repair(&self, path: &StorePath, nar: &mut dyn Read) -> Result<(), StoreError> {
        self.hold_off_collection()?;
        let Some(info) = self.path_info(path)? else {
            return Err(StoreError::NotInStore { path: path.clone() });
        };
        let wanted = NewPath {
            path: path.clone(),
            nar_hash: info.nar_hash,
            nar_size: info.nar_size.unwrap_or(u64::MAX),
            deriver: None,
            references: Vec::new(),
            signatures: Vec::new(),
            content_address: None,
        };
        let temp = TempDir::create(self)?;
        let staged = self.stage(&wanted, nar, &temp, OsStr::new("tree"))?;
        let target = self.physical(path);
        let _lock = PathLock::acquire(&target)?;
        replace(&staged.tree, &target)?;
        Ok(sync_dir(&self.layout.store())?)
    }
}

/// Puts `tree` at `target`, canonical with its root.
fn replace(tree: &Path, target: &Path) -> Result<(), FileError> {
    let placed = put_in_place(tree, target);
    // What could not be replaced was made writable for it.
    let sealed = seal(target);
    placed.and(sealed)
}

/// Moves `tree` to `target`, and what lies there to where `tree` was.
fn put_in_place(tree: &Path, target: &Path) -> Result<(), FileError> {
    let is_there = fs::symlink_metadata(target).is_ok();
    for moved in [tree, target] {
        // A directory is moved only by who may write in it, and all may read it at any moment.
        if fs::symlink_metadata(moved).is_ok_and(|found| found.is_dir()) {
            fs::set_permissions(moved, fs::Permissions::from_mode(0o755))
                .map_err(FileError::at("replace", target))?;
        }
    }
    let flags = if is_there { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, tree, CWD, target, flags).map_err(FileError::at("replace", target))
}

#[cfg(test)]
mod tests {
    use std::io::empty;

    use hoist_nix::StorePathName;

    use super::*;
    use crate::{AddNarError, Problem, dump};

    struct World {
        dir: tempfile::TempDir,
        store: Store,
        path: StorePath,
        nar: Vec<u8>,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let source = dir.path().join("source");
            fs::create_dir(&source).unwrap();
            fs::write(source.join("a"), "alpha").unwrap();
            let store = Store::open_or_create(&dir.path().join("root")).unwrap();
            let path = store.add_tree(&StorePathName::parse("x").unwrap(), &source).unwrap().path;
            let mut nar = Vec::new();
            dump(&source, &mut nar).unwrap();
            Self { dir, store, path, nar }
        }

        fn physical(&self) -> std::path::PathBuf {
            self.store.physical(&self.path)
        }

        /// Makes the path's folder writable, as whoever damages it must.
        fn unlock(&self) {
            fs::set_permissions(self.physical(), fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn damage(&self) {
            self.unlock();
            let file = self.physical().join("a");
            fs::remove_file(&file).unwrap();
            fs::write(&file, "beta!").unwrap();
            fs::write(self.physical().join("b"), "more").unwrap();
        }
    }

    #[test]
    fn a_damaged_path_gets_its_contents_back() {
        let world = World::new();
        world.damage();
        assert!(!world.store.verify(true).unwrap().is_empty());
        world.store.repair(&world.path, &mut world.nar.as_slice()).unwrap();
        assert_eq!(world.store.verify(true).unwrap(), []);
        assert_eq!(fs::read_to_string(world.physical().join("a")).unwrap(), "alpha");
        assert!(!world.physical().join("b").exists());
    }

    #[test]
    fn a_lost_path_comes_back() {
        let world = World::new();
        world.unlock();
        fs::remove_dir_all(world.physical()).unwrap();
        world.store.repair(&world.path, &mut world.nar.as_slice()).unwrap();
        assert_eq!(world.store.verify(true).unwrap(), []);
    }

    /// Between the move and the end of the repair, others read the path, and a crash keeps it so.
    #[test]
    fn who_does_not_own_the_path_reads_it_at_any_moment() {
        let world = World::new();
        let new = world.dir.path().join("new");
        fs::create_dir(&new).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).unwrap();
        put_in_place(&new, &world.physical()).unwrap();
        let mode = fs::metadata(world.physical()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }

    #[test]
    fn a_path_that_cannot_be_replaced_is_as_it_was() {
        let world = World::new();
        replace(&world.dir.path().join("absent"), &world.physical()).unwrap_err();
        let mode = fs::metadata(world.physical()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o555);
        assert_eq!(fs::read_to_string(world.physical().join("a")).unwrap(), "alpha");
    }

    #[test]
    fn another_archive_changes_nothing() {
        let world = World::new();
        world.damage();
        let mut other = Vec::new();
        dump(&world.dir.path().join("source/a"), &mut other).unwrap();
        let refusal = world.store.repair(&world.path, &mut other.as_slice()).unwrap_err();
        assert!(matches!(refusal, StoreError::AddNar(AddNarError::Size { .. })), "{refusal}");
        assert!(world.store.repair(&world.path, &mut empty()).is_err());
        assert_eq!(fs::read_to_string(world.physical().join("b")).unwrap(), "more");
        assert!(matches!(world.store.verify(true).unwrap()[..], [Problem::Modified { .. }]));
    }

    #[test]
    fn what_is_not_registered_is_not_repaired() {
        let world = World::new();
        let other = StorePath::parse("z45ailnkm27lnvhimqkhy08f6sh5m17d-hello.txt").unwrap();
        let refusal = world.store.repair(&other, &mut world.nar.as_slice()).unwrap_err();
        assert!(matches!(refusal, StoreError::NotInStore { .. }), "{refusal}");
    }
}
