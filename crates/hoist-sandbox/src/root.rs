//! The root file system: a tmpfs with the declared mounts, which replaces the host's.
//!
//! Everything of the host is opened first, as detached mounts; then the old root goes away; then
//! the mounts are attached. So no path inside, whatever links an earlier build left there, can
//! lead the set-up to the host.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, fstat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsmount, fsopen, mount, mount_change, move_mount,
    open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};

use crate::level::{Barrier, Level, Obstacle};
use crate::namespaces::refused;
use crate::spec::{Access, Mount, Spec};
use crate::sys;
use crate::wire::{Failure, errno};

/// Where the new root is before it is the root: the one directory that surely exists, since the
/// user namespace was set up through it. All that is wanted of it is open by then.
const STAGE: &str = "/proc";

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Replaces the root of this mount namespace by one that holds what `spec` says.
///
/// - `proc_read_only`: whether nobody may write to `/proc`. Files there that steer the kernel ask
///   whether the writer has root's number, not whether it has root's capabilities, and root keeps
///   its number in a user namespace of its own.
///
/// Returns the obstacle when `/proc` is the host's.
pub(crate) fn enter(spec: &Spec, proc_read_only: bool) -> Result<Option<Obstacle>, Failure> {
    // A mount event must not reach the host, whose root is shared as a rule.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(refused(Barrier::Mount))?;
    let (proc, obstacle) = open_proc(proc_read_only, spec.require)?;
    let mounts = open_mounts(&spec.mounts)?;
    let devices = open_devices()?;

    leave_host_root()?;
    attach_devices(devices)?;
    make_dir(Path::new("/proc"))?;
    attach(&proc, Path::new("/proc"))?;
    for dir in ["/dev/shm", "/tmp"] {
        mount_scratch(dir, spec.limits.scratch_bytes)?;
    }
    for link in &spec.symlinks {
        make_symlink(&link.target, &link.link)?;
    }
    for (target, tree) in mounts {
        make_mount_point(&tree, target)?;
        attach(&tree, target)?;
    }
    for file in &spec.files {
        write_file(&file.path, &file.contents, file.executable)?;
    }
    let root = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .map_err(Failure::step("open", "/"))?;
    set_attributes(&root, false, MountAttrFlags::MOUNT_ATTR_RDONLY, Path::new("/"))?;
    Ok(obstacle)
}

/// A new `/proc`, or the host's where the kernel forbids that and `require` allows it.
fn open_proc(read_only: bool, require: Level) -> Result<(OwnedFd, Option<Obstacle>), Failure> {
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if read_only {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let new = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    });
    let errno = match new {
        Ok(proc) => return Ok((proc, None)),
        Err(rustix::io::Errno::NOSYS) => {
            return Err(refused(Barrier::Mount)(rustix::io::Errno::NOSYS));
        }
        Err(error) => error.raw_os_error(),
    };
    let obstacle = Obstacle { barrier: Barrier::Proc, errno };
    if require > Level::SharedProc {
        return Err(Failure::Obstacle(obstacle));
    }
    let path = Path::new("/proc");
    let proc = clone_tree(path).map_err(Failure::step("mount", path))?;
    set_attributes(&proc, true, attributes | MountAttrFlags::MOUNT_ATTR_RDONLY, path)?;
    Ok((proc, Some(obstacle)))
}

/// Opens the sources, outer targets first.
fn open_mounts(mounts: &[Mount]) -> Result<Vec<(&Path, OwnedFd)>, Failure> {
    let mut opened = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let tree = clone_tree(&mount.source).map_err(|error| Failure::MountSource {
            source: mount.source.clone(),
            target: mount.target.clone(),
            errno: errno(error),
        })?;
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        if mount.access == Access::ReadOnly {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        set_attributes(&tree, true, attributes, &mount.source)?;
        opened.push((mount.target.as_path(), tree));
    }
    opened.sort_by_key(|(target, _)| target.components().count()); // stable: equals keep order
    Ok(opened)
}

fn open_devices() -> Result<Vec<(PathBuf, OwnedFd)>, Failure> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let open = |name| {
        let path = Path::new("/dev").join(name);
        let tree = clone_tree(&path).map_err(Failure::step("mount", &path))?;
        set_attributes(&tree, false, attributes, &path)?;
        Ok((path, tree))
    };
    DEVICES.into_iter().map(open).collect()
}

/// A detached copy of the mounts at and below `path`.
///
/// Always with those below: the kernel refuses to uncover what a mount of another user hides.
fn clone_tree(path: &Path) -> rustix::io::Result<OwnedFd> {
    let recursive = OpenTreeFlags::AT_RECURSIVE;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive;
    open_tree(CWD, path, flags)
}

fn set_attributes(
    tree: &OwnedFd,
    recursive: bool,
    attributes: MountAttrFlags,
    path: &Path,
) -> Result<(), Failure> {
    sys::set_mount_attributes(tree, recursive, attributes.bits().into()).map_err(
        |error| match error.raw_os_error() {
            Some(libc::ENOSYS) => refused(Barrier::Mount)(error),
            _ => Failure::step("restrict the mount of", path)(error),
        },
    )
}

/// Makes an empty tmpfs the root and drops the host's.
fn leave_host_root() -> Result<(), Failure> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", STAGE, "tmpfs", flags, c"mode=0755").map_err(refused(Barrier::Mount))?;
    chdir(STAGE).map_err(Failure::step("enter", STAGE))?;
    // The old root lands on top of the new one, where the next call takes it away again.
    pivot_root(".", ".").map_err(refused(Barrier::Mount))?;
    unmount(".", UnmountFlags::DETACH).map_err(Failure::step("unmount", "/"))?;
    chdir("/").map_err(Failure::step("enter", "/"))
}

fn attach_devices(devices: Vec<(PathBuf, OwnedFd)>) -> Result<(), Failure> {
    make_dir(Path::new("/dev"))?;
    for (path, tree) in devices {
        write_file(&path, b"", false)?;
        attach(&tree, &path)?;
    }
    for (target, link) in DEVICE_LINKS {
        make_symlink(Path::new(target), Path::new(link))?;
    }
    Ok(())
}

/// Mounts an empty tmpfs; without a size in bytes, the kernel takes half of the memory.
fn mount_scratch(dir: &str, size: Option<u64>) -> Result<(), Failure> {
    make_dir(Path::new(dir))?;
    let size = size.map_or_else(String::new, |bytes| format!(",size={bytes}"));
    let options = CString::new(format!("mode=1777{size}")).unwrap_or_default();
    mount("tmpfs", dir, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(Failure::step("mount a tmpfs at", dir))
}

fn attach(tree: &OwnedFd, target: &Path) -> Result<(), Failure> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(tree, c"", CWD, target, flags).map_err(Failure::step("mount at", target))
}

fn make_mount_point(tree: &OwnedFd, target: &Path) -> Result<(), Failure> {
    let stat = fstat(tree).map_err(Failure::step("look at the mount for", target))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        make_dir(target)
    } else if target.exists() {
        Ok(())
    } else {
        write_file(target, b"", false)
    }
}

fn make_symlink(target: &Path, link: &Path) -> Result<(), Failure> {
    make_parent(link)?;
    symlink(target, link).map_err(Failure::step("make the symbolic link", link))
}

fn write_file(path: &Path, contents: &[u8], executable: bool) -> Result<(), Failure> {
    make_parent(path)?;
    OpenOptions::new()
        .mode(if executable { 0o777 } else { 0o666 }) // the umask takes writing from others
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(contents))
        .map_err(Failure::step("write", path))
}

fn make_parent(path: &Path) -> Result<(), Failure> {
    path.parent().map_or(Ok(()), make_dir)
}

fn make_dir(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(Failure::step("make the directory", dir))
}
