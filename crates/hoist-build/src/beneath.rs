//! Files beneath a folder that a build could write to. A link that lies there leads wherever the
//! build wished, so none is followed: each folder on the way is opened by itself, and held open
//! while the next one is looked up in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, open, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::BuildError;

/// Opens the regular file at `path` beneath `root`; `None` when there is none.
///
/// # Errors
///
/// [`BuildError::LinkInTheWay`] for a symlink at `path` or on the way to it.
pub(crate) fn open_file(root: &Path, path: &Path) -> Result<Option<File>, BuildError> {
    let Some((folder, name)) = folder_of(root, path, Missing::Leave)? else { return Ok(None) };
    match kind_of(&folder, name) {
        Ok(Some(FileType::Symlink)) => Err(link_in_the_way(path)),
        Ok(Some(FileType::RegularFile)) => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(&folder, name, flags, Mode::empty());
            file.map(|file| Some(file.into())).map_err(failure("open", root, path))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(failure("look at", root, path)(error)),
    }
}

/// Makes an empty file at `path` beneath `root`, with its folders; a regular file there is
/// replaced, so that what else it is linked to stays as it is.
///
/// # Errors
///
/// [`BuildError::LinkInTheWay`] for a symlink at `path` or on the way to it, [`BuildError::Io`]
/// for what else cannot be replaced.
pub(crate) fn create_file(root: &Path, path: &Path, mode: Mode) -> Result<File, BuildError> {
    let found = folder_of(root, path, Missing::Make)?;
    let (folder, name) = found.expect("missing folders are made");
    match kind_of(&folder, name) {
        Ok(Some(FileType::Symlink)) => return Err(link_in_the_way(path)),
        Ok(Some(FileType::RegularFile)) => {
            unlinkat(&folder, name, AtFlags::empty()).map_err(failure("replace", root, path))?;
        }
        _ => {} // anything else stays, and is refused below
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&folder, name, flags, mode).map_err(failure("write", root, path))?;
    Ok(file.into())
}

/// Removes the file or the symlink at `path` beneath `root`, if there is one.
///
/// # Errors
///
/// [`BuildError::LinkInTheWay`] for a symlink on the way to it, [`BuildError::Io`] for a folder.
pub(crate) fn remove_file(root: &Path, path: &Path) -> Result<(), BuildError> {
    let Some((folder, name)) = folder_of(root, path, Missing::Leave)? else { return Ok(()) };
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failure("remove", root, path)(error)),
    }
}

/// What becomes of a folder that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Leave,
    Make,
}

/// The folder that holds `path`, open, and the name in it; `None` when it is not there.
fn folder_of<'p>(
    root: &Path,
    path: &'p Path,
    missing: Missing,
) -> Result<Option<(OwnedFd, &'p OsStr)>, BuildError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder =
        open(root, flags, Mode::empty()).map_err(failure("open", root, Path::new("")))?;
    let mut way = PathBuf::new();
    let names = path.components().map(|part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(failure("stay beneath", root, path)(Errno::INVAL)),
    });
    let mut names = names.collect::<Result<Vec<_>, _>>()?;
    let Some(last) = names.pop() else {
        return Err(failure("name a file beneath", root, path)(Errno::INVAL));
    };
    for name in names {
        way.push(name);
        if missing == Missing::Make {
            match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failure("make the folder", root, &way)(error)),
            }
        }
        folder = match openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(inner) => inner,
            Err(Errno::NOENT) => return Ok(None),
            Err(_) if kind_of(&folder, name) == Ok(Some(FileType::Symlink)) => {
                return Err(link_in_the_way(&way));
            }
            Err(Errno::NOTDIR) if missing == Missing::Leave => return Ok(None),
            Err(error) => return Err(failure("open", root, &way)(error)),
        };
    }
    Ok(Some((folder, last)))
}

/// What lies at `name`, a symlink as itself; `None` for nothing.
fn kind_of(folder: &OwnedFd, name: &OsStr) -> Result<Option<FileType>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn link_in_the_way(path: &Path) -> BuildError {
    BuildError::LinkInTheWay { link: path.to_owned() }
}

fn failure(action: &'static str, root: &Path, path: &Path) -> impl FnOnce(Errno) -> BuildError {
    let path = root.join(path);
    move |error| BuildError::Io { action, path, source: io::Error::from(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;

    const MODE: Mode = Mode::RUSR;

    /// `root`, which a build wrote to, and `victim`, which no build may reach.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let (root, victim) = (home.path().join("root"), home.path().join("victim"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "mine").unwrap();
        (home, root, victim)
    }

    fn link_named_by(refusal: BuildError) -> PathBuf {
        match refusal {
            BuildError::LinkInTheWay { link } => link,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn no_folder_on_the_way_may_be_a_link() {
        let (_home, root, victim) = folders();
        fs::create_dir(root.join("a")).unwrap();
        symlink(&victim, root.join("a/b")).unwrap();
        let path = Path::new("a/b/file");
        for refusal in [
            open_file(&root, path).unwrap_err(),
            create_file(&root, path, MODE).unwrap_err(),
            remove_file(&root, path).unwrap_err(),
        ] {
            assert_eq!(link_named_by(refusal), Path::new("a/b"));
        }
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "mine");
    }

    #[test]
    fn a_link_in_the_files_place_is_removed_as_itself_and_never_followed() {
        let (_home, root, victim) = folders();
        let path = Path::new("x");
        symlink(victim.join("file"), root.join(path)).unwrap();
        assert_eq!(link_named_by(open_file(&root, path).unwrap_err()), path);
        assert_eq!(link_named_by(create_file(&root, path, MODE).unwrap_err()), path);
        remove_file(&root, path).unwrap();
        assert!(open_file(&root, path).unwrap().is_none());
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "mine");
    }

    #[test]
    fn a_hard_link_is_read_and_its_other_name_is_not_written() {
        let (_home, root, victim) = folders();
        fs::hard_link(victim.join("file"), root.join("x")).unwrap();
        let path = Path::new("x");
        let mut text = String::new();
        open_file(&root, path).unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "mine");
        create_file(&root, path, MODE).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(root.join("x")).unwrap(), "new");
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "mine");
    }

    #[test]
    fn what_is_no_file_is_neither_opened_nor_replaced() {
        let (_home, root, _) = folders();
        fs::create_dir(root.join("folder")).unwrap();
        let path = Path::new("folder");
        assert!(open_file(&root, path).unwrap().is_none());
        assert!(create_file(&root, path, MODE).is_err());
        assert!(remove_file(&root, path).is_err());
        assert!(open_file(&root, Path::new("no/such/file")).unwrap().is_none());
        for path in ["", "../victim/file", "/etc/hostname"] {
            assert!(open_file(&root, Path::new(path)).is_err(), "{path}");
        }
    }
}
