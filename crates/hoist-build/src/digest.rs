//! Digests of files and folders, remembered by what the kernel says of an unchanged file, so that
//! a toolchain of hundreds of megabytes is read once.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hoist_nix::Sha256Hash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::BuildError;

/// A file changed this shortly before it was read may change again within the same time stamp, so
/// its digest is not remembered (the racy-git problem).
const RACY_NANOSECONDS: i128 = 2_000_000_000;

/// What the kernel says of a file; while it stays the same, so does the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let newest = self.mtime_ns.max(self.ctime_ns);
        i128::try_from(now.as_nanos()).is_ok_and(|now| now - newest > RACY_NANOSECONDS)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    sha256: String,
}

/// A tree as it was when it was read.
#[derive(Debug, Serialize, Deserialize)]
struct TreeEntry {
    /// SHA-256 over the paths and stamps of all in it, in base16.
    stamps: String,
    sha256: String,
}

/// Remembered digests, in two files of the cache folder: of trees, which answer for all in them as
/// long as none has changed, and of files, which are read only when one has. A compiler can have
/// twenty thousand.
#[derive(Debug)]
pub(crate) struct DigestBook {
    file: PathBuf,
    /// Read when they are first asked for.
    entries: Option<BTreeMap<PathBuf, Entry>>,
    trees: BTreeMap<String, TreeEntry>,
    changed: bool,
}

impl DigestBook {
    /// Opens the book at `file`; a missing or damaged one is empty.
    pub(crate) fn open(file: PathBuf) -> Self {
        let trees = read_json(&trees_file(&file)).unwrap_or_default();
        Self { file, entries: None, trees, changed: false }
    }

    fn entries(&mut self) -> &mut BTreeMap<PathBuf, Entry> {
        self.entries.get_or_insert_with(|| read_json(&self.file).unwrap_or_default())
    }

    /// The SHA-256 of a file's content, in base16.
    pub(crate) fn file(&mut self, path: &Path) -> Result<String, BuildError> {
        let metadata = fs::metadata(path).map_err(BuildError::io("look at", path))?;
        let stamp = Stamp::of(&metadata);
        if let Some(entry) = self.entries().get(path)
            && entry.stamp == stamp
        {
            return Ok(entry.sha256.clone());
        }
        let sha256 = sha256_of_file(path)?;
        if stamp.is_settled() {
            self.entries().insert(path.to_owned(), Entry { stamp, sha256: sha256.clone() });
            self.changed = true;
        }
        Ok(sha256)
    }

    /// The SHA-256 over the names, kinds and contents of all that lies below `folders`, in base16.
    /// The same tree at another place has the same digest.
    pub(crate) fn trees(&mut self, folders: &[PathBuf]) -> Result<String, BuildError> {
        self.trees_without(folders, "")
    }

    /// The same, passing over all that has the name `left_out`.
    pub(crate) fn trees_without(
        &mut self,
        folders: &[PathBuf],
        left_out: &str,
    ) -> Result<String, BuildError> {
        let name = format!("{left_out}:{folders:?}");
        let (stamps, is_settled) = stamps_of(folders, left_out)?;
        if let Some(entry) = self.trees.get(&name)
            && entry.stamps == stamps
        {
            return Ok(entry.sha256.clone());
        }
        let sha256 = self.read_trees(folders, left_out)?;
        if is_settled {
            self.trees.insert(name, TreeEntry { stamps, sha256: sha256.clone() });
            self.changed = true;
        }
        Ok(sha256)
    }

    fn read_trees(&mut self, folders: &[PathBuf], left_out: &str) -> Result<String, BuildError> {
        let mut digest = Sha256::new();
        for_each_in(folders, left_out, |inside, entry| {
            let path = entry.path();
            let line = if entry.file_type().is_symlink() {
                let target = fs::read_link(path).map_err(BuildError::io("read the link", path))?;
                format!("link {}", hex(&Sha256::digest(target.as_os_str().as_bytes())))
            } else if entry.file_type().is_file() {
                format!("file {}", self.file(path)?)
            } else {
                "folder".to_owned()
            };
            digest.update(inside.as_os_str().as_bytes());
            digest.update(b"\0");
            digest.update(line.as_bytes());
            digest.update(b"\n");
            Ok(())
        })?;
        Ok(hex(&digest.finalize()))
    }

    /// Writes what was learnt. A book that cannot be written costs time only, so nothing fails.
    pub(crate) fn save(&mut self) {
        if !self.changed {
            return;
        }
        let files = self.entries.as_ref().map(serde_json::to_vec);
        let saved = match (files, serde_json::to_vec(&self.trees)) {
            (Some(Ok(files)), Ok(trees)) => write_atomically(&self.file, &files)
                .and_then(|()| write_atomically(&trees_file(&self.file), &trees)),
            (None, Ok(trees)) => write_atomically(&trees_file(&self.file), &trees),
            _ => return,
        };
        self.changed = saved.is_err();
    }
}

fn trees_file(file: &Path) -> PathBuf {
    file.with_extension("trees.json")
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The SHA-256 over the paths and stamps of all below `folders`, and whether all of them are old
/// enough that a later change gives another.
fn stamps_of(folders: &[PathBuf], left_out: &str) -> Result<(String, bool), BuildError> {
    let (mut digest, mut is_settled) = (Sha256::new(), true);
    for_each_in(folders, left_out, |inside, entry| {
        let metadata = entry.metadata().map_err(|error| walk_error(entry.path(), error))?;
        let stamp = Stamp::of(&metadata);
        is_settled &= stamp.is_settled();
        digest.update(inside.as_os_str().as_bytes());
        digest.update(b"\0");
        for number in [stamp.device, stamp.inode, stamp.size, u64::from(metadata.mode())] {
            digest.update(number.to_le_bytes());
        }
        for time in [stamp.mtime_ns, stamp.ctime_ns] {
            digest.update(time.to_le_bytes());
        }
        Ok(())
    })?;
    Ok((hex(&digest.finalize()), is_settled))
}

/// Walks `folders` in sorted order, passing over what has the name `left_out`; `look` gets the path
/// below the folder.
fn for_each_in(
    folders: &[PathBuf],
    left_out: &str,
    mut look: impl FnMut(&Path, &walkdir::DirEntry) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    for folder in folders {
        let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.file_name() != left_out) {
            let entry = entry.map_err(|error| walk_error(folder, error))?;
            let inside = entry.path().strip_prefix(folder).expect("a walk stays below its start");
            look(inside, &entry)?;
        }
    }
    Ok(())
}

fn walk_error(folder: &Path, error: walkdir::Error) -> BuildError {
    let path = error.path().unwrap_or(folder).to_owned();
    let source = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
    BuildError::Io { action: "walk", path, source }
}

/// The SHA-256 of a file's content, in base16.
pub(crate) fn sha256_of_file(path: &Path) -> Result<String, BuildError> {
    let mut file = File::open(path).map_err(BuildError::io("open", path))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer).map_err(BuildError::io("read", path))? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&buffer[..length]),
        }
    }
}

/// The SHA-256 of `bytes`, in base16.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    let digest: [u8; 32] = digest.try_into().expect("SHA-256 has 32 bytes");
    Sha256Hash(digest).base16()
}

/// Replaces `file` in one step, so that a reader sees the old content or the new one.
pub(crate) fn write_atomically(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut temporary = tempfile::NamedTempFile::new_in(parent)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_data()?;
    temporary.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_same_digest_at_another_place() {
        let home = tempfile::tempdir().unwrap();
        let digests: Vec<_> = ["a", "b"]
            .map(|name| {
                let tree = home.path().join(name);
                fs::create_dir_all(tree.join("bin")).unwrap();
                fs::write(tree.join("bin/cc"), "compiler").unwrap();
                std::os::unix::fs::symlink("cc", tree.join("bin/gcc")).unwrap();
                DigestBook::open(home.path().join("book.json")).trees(&[tree]).unwrap()
            })
            .into();
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn what_is_left_out_does_not_count() {
        let home = tempfile::tempdir().unwrap();
        let tree = home.path().join("lib");
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(tree.join("sub/a.py"), "a").unwrap();
        let mut book = DigestBook::open(home.path().join("book.json"));
        let mut digest =
            |left_out| book.trees_without(std::slice::from_ref(&tree), left_out).unwrap();
        let before = digest("__pycache__");
        fs::create_dir(tree.join("sub/__pycache__")).unwrap();
        fs::write(tree.join("sub/__pycache__/a.pyc"), "made at some time").unwrap();
        assert_eq!(digest("__pycache__"), before);
        assert_ne!(digest(""), before);
    }

    #[test]
    fn a_changed_file_changes_the_digest_although_it_was_remembered() {
        let home = tempfile::tempdir().unwrap();
        let (file, book) = (home.path().join("cc"), home.path().join("book.json"));
        fs::write(&file, "one").unwrap();
        let long_ago = SystemTime::now() - std::time::Duration::from_hours(1);
        File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
        let mut before = DigestBook::open(book.clone());
        let first = before.file(&file).unwrap();
        before.save();
        fs::write(&file, "two").unwrap();
        assert_ne!(DigestBook::open(book).file(&file).unwrap(), first);
    }

    #[test]
    fn a_remembered_tree_notices_each_change() {
        let home = tempfile::tempdir().unwrap();
        let (tree, book) = (home.path().join("lib"), home.path().join("book.json"));
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(tree.join("sub/a"), "one").unwrap();
        std::os::unix::fs::symlink("a", tree.join("sub/b")).unwrap();
        let settled = std::time::Duration::from_nanos(u64::try_from(RACY_NANOSECONDS).unwrap());
        std::thread::sleep(settled + std::time::Duration::from_millis(50));
        let digest = || {
            let mut book = DigestBook::open(book.clone());
            let digest = book.trees(std::slice::from_ref(&tree)).unwrap();
            book.save();
            (digest, book.entries.is_some())
        };
        let (first, read_files) = digest();
        assert!(read_files);
        assert_eq!(digest(), (first.clone(), false), "from memory, without looking at each file");

        let mut seen = vec![first];
        let mut changed = |what: &str| {
            let (now, read_files) = digest();
            assert!(read_files && !seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(tree.join("sub/a"), "two").unwrap();
        changed("a file's content");
        fs::write(tree.join("sub/c"), "two").unwrap();
        changed("a new file");
        fs::remove_file(tree.join("sub/b")).unwrap();
        std::os::unix::fs::symlink("c", tree.join("sub/b")).unwrap();
        changed("where a link leads");
        fs::rename(tree.join("sub"), tree.join("other")).unwrap();
        changed("a folder's name");
    }

    #[test]
    fn a_damaged_book_is_an_empty_one() {
        let home = tempfile::tempdir().unwrap();
        let book = home.path().join("book.json");
        fs::write(&book, "{\"half\": ").unwrap();
        fs::write(trees_file(&book), "[]").unwrap();
        let mut opened = DigestBook::open(book);
        assert!(opened.entries().is_empty() && opened.trees.is_empty());
    }
}
