//! Knowing the NAR hash of a tree that was hashed before, without reading it again.
//!
//! A record says what a tree looked like to `stat` when it was hashed: every name, mode, size,
//! inode and time in it ([`TreeState`]). While it looks the same, its hash is the same. The store
//! still has to vouch for the path that follows from it.
//!
//! Every change gives a file another time of change (`ctime`), which no program can set; but only as
//! finely as the file system's clock ticks. So a tree is not remembered when anything in it changed
//! less than [`SLACK`] before it was read: a change behind that can be told from it. Linux 6.13 and
//! newer tick finer where somebody looked; that is not relied on.
//!
//! What cannot be noticed: writes through a shared mapping after the time of change that the first
//! of them made, until the system writes the page back; a clock that is set to the very nanosecond
//! of an older change; a disk that is changed while it is not mounted here. File systems that take
//! times from elsewhere (NFS, FUSE) are not asked at all, nor is tmpfs, which never writes back: of
//! all writes through a mapping, only the first to a page is told.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hoist_nix::{Sha256Hash, Sha256Hasher};
use rustix::fs::statfs;

use crate::tree::{TreeRead, TreeState, state_of};

/// The first line of a record.
const MAGIC: &str = "hoist-stat-1";

/// How old the last change of a tree must be when it is read: ten times the coarsest tick of a
/// clock that has nanoseconds.
const SLACK: Duration = Duration::from_millis(100);

/// The same for a file system whose times are whole seconds.
const SLACK_OF_SECONDS: Duration = Duration::from_secs(2);

/// Reading less than this costs no more than remembering it.
const SIZE_MIN: u64 = 1024 * 1024;

/// How many trees are remembered; the one that was remembered longest ago makes room.
const RECORDS_MAX: usize = 256;

/// File systems that stamp changes themselves with the clock of this machine: ext2 to ext4, XFS,
/// Btrfs, F2FS, bcachefs, ZFS, overlayfs.
const KEEPING_TIMES: [u32; 7] =
    [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x794c_7630];

/// A folder of records, one for each tree.
#[derive(Debug)]
pub(crate) struct StatCache {
    dir: PathBuf,
}

impl StatCache {
    /// The records in `dir`, which need not exist.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the NAR's hash and size of the tree at `root` if it is as it was when it was
    /// remembered. Whatever is wrong with it or its record, it is not known.
    pub(crate) fn look_up(&self, root: &Path) -> Option<(Sha256Hash, u64)> {
        let text = fs::read_to_string(self.dir.join(record_name(root).ok()?)).ok()?;
        let record = Record::parse(&text)?;
        let state = state_of(root).ok()?;
        let is_same = state.is_steady && state.digest == record.state && keeps_times(root);
        is_same.then_some((record.nar_hash, record.nar_size))
    }

    /// Remembers a tree that was read; `begun` is when that began. It costs the next reader time
    /// when that cannot be, and nobody the command.
    pub(crate) fn remember(&self, root: &Path, read: &TreeRead, begun: SystemTime) {
        let is_sure = read.nar_size >= SIZE_MIN
            && read.state.is_steady
            && is_settled(&read.state, begun)
            && keeps_times(root);
        if is_sure {
            let _ = self.write(root, read);
        }
    }

    fn write(&self, root: &Path, read: &TreeRead) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let TreeRead { nar_hash, nar_size, ref state, .. } = *read;
        let record = Record { state: state.digest, nar_hash, nar_size };
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
        file.write_all(record.print().as_bytes())?;
        file.persist(self.dir.join(record_name(root)?))?;
        self.make_room()
    }

    fn make_room(&self) -> io::Result<()> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // One that another process removed meanwhile needs no room.
            records.extend(
                entry.metadata().and_then(|found| found.modified()).map(|at| (at, entry.path())),
            );
        }
        records.sort_unstable();
        let too_many = records.len().saturating_sub(RECORDS_MAX);
        for (_, path) in &records[..too_many] {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

/// The name of the record of the tree at `root`: one for each inode, whatever path leads to it.
fn record_name(root: &Path) -> io::Result<String> {
    let found = fs::symlink_metadata(root)?;
    let mut hasher = Sha256Hasher::new();
    hasher.update(&found.dev().to_le_bytes());
    hasher.update(&found.ino().to_le_bytes());
    Ok(hasher.finish().0.nix32())
}

/// Whether a change since `begun` could be told from the last one that was seen.
fn is_settled(state: &TreeState, begun: SystemTime) -> bool {
    let (seconds, nanos) = state.newest;
    let slack = if nanos == 0 { SLACK_OF_SECONDS } else { SLACK };
    let newest = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
    let newest = newest.and_then(|(seconds, nanos)| {
        (UNIX_EPOCH + slack).checked_add(Duration::new(seconds, nanos))
    });
    newest.is_some_and(|settled| settled < begun)
}

fn keeps_times(root: &Path) -> bool {
    // The file system of the folder that holds it, should it be a symlink.
    let holder = match fs::symlink_metadata(root) {
        Ok(found) if found.is_symlink() => root.parent().unwrap_or(root),
        _ => root,
    };
    let kind = statfs(holder).map(|found| u32::try_from(found.f_type));
    matches!(kind, Ok(Ok(kind)) if KEEPING_TIMES.contains(&kind))
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    state: Sha256Hash,
    nar_hash: Sha256Hash,
    nar_size: u64,
}

impl Record {
    /// Reads a record; none when it is of another version, or damaged.
    fn parse(text: &str) -> Option<Self> {
        let (body, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        if Sha256Hash::parse(check).ok()? != Sha256Hash::of(body.as_bytes()) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != MAGIC {
            return None;
        }
        let [state, nar_hash] = [lines.next()?, lines.next()?].map(Sha256Hash::parse);
        let nar_size = lines.next()?.parse().ok()?;
        Some(Self { state: state.ok()?, nar_hash: nar_hash.ok()?, nar_size })
    }

    fn print(&self) -> String {
        let body = format!("{MAGIC}\n{}\n{}\n{}", self.state, self.nar_hash, self.nar_size);
        format!("{body}\n{}\n", Sha256Hash::of(body.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_in_memory_is_not_asked() {
        const TMPFS: u32 = 0x0102_1994;
        let memory = Path::new("/dev/shm");
        let is_tmpfs = statfs(memory).is_ok_and(|found| u32::try_from(found.f_type) == Ok(TMPFS));
        if !is_tmpfs {
            eprintln!("NOT CHECKED: /dev/shm is no tmpfs");
            return;
        }
        assert!(!keeps_times(memory));
    }
}
