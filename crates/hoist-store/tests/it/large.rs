//! Trees and archives that do not fit into one piece, so that several threads work on them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use hoist_nix::{NarError, NarWriter, Sha256Hash, StorePathName};
use hoist_store::{TreeError, dump, hash_tree, restore};

use crate::{World, add, child, library, names};

/// Sizes at which a file ends just before, at and behind the end of a piece or of its padding.
const SIZES: [usize; 9] =
    [0, 1, 7, 8, (2 << 20) - 8192, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (5 << 20) + 3];

/// Bytes of which no two pieces are the same.
fn contents(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 17)).to_le_bytes()[0]).collect()
}

/// Writes a tree with a file of each size, and returns its archive.
fn sized_files(tree: &Path) -> Vec<u8> {
    fs::create_dir(tree).unwrap();
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.directory().unwrap();
    for (index, size) in SIZES.into_iter().enumerate() {
        let (name, bytes) = (format!("{index}"), contents(size));
        fs::write(tree.join(&name), &bytes).unwrap();
        nar.entry(name.as_bytes()).unwrap();
        nar.file(false, size as u64, &mut bytes.as_slice()).unwrap();
    }
    nar.end_directory().unwrap();
    nar.finish()
}

#[test]
fn files_of_every_size_come_through_whole() {
    let world = World::new();
    let tree = world.path("tree");
    let archive = sized_files(&tree);
    let hash = Sha256Hash::of(&archive);
    assert_eq!(hash_tree(&tree).unwrap(), (hash, archive.len() as u64));

    let mut dumped = Vec::new();
    dump(&tree, &mut dumped).unwrap();
    assert!(dumped == archive, "the archive differs");

    let added = add(&world.store, &tree);
    assert_eq!(added.nar_hash, hash);
    assert_eq!(world.store.verify(true).unwrap(), []);

    // A reader that gives little at a time, as a network does.
    let restored = world.path("restored");
    restore(Trickle { left: &archive, is_interrupted: false }, &restored).unwrap();
    assert_eq!(hash_tree(&restored).unwrap().0, hash);
}

/// Gives at most 1001 bytes at a time, and is interrupted before each.
struct Trickle<'a> {
    left: &'a [u8],
    is_interrupted: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1001);
        self.left.read(&mut buffer[..len])
    }
}

/// Large enough to go past the page cache, with a last block that is none.
#[test]
fn a_file_that_passes_the_page_cache_is_whole() {
    let world = World::new();
    let tree = world.path("tree");
    fs::create_dir(&tree).unwrap();
    library(&tree.join("a"), "contents");
    let size = (70 << 20) + 1001;
    let file = File::create(tree.join("b")).unwrap();
    file.set_len(size).unwrap();
    for at in (0..size - 8).step_by(1 << 18) {
        file.write_all_at(&at.to_le_bytes(), at).unwrap();
    }
    fs::set_permissions(tree.join("b"), PermissionsExt::from_mode(0o755)).unwrap();
    library(&tree.join("c"), "contents");

    let hash = hash_tree(&tree).unwrap().0;
    let added = add(&world.store, &tree);
    assert_eq!(added.nar_hash, hash);
    assert_eq!(world.store.verify(true).unwrap(), []);
    let stored = world.store.physical(&added.path).join("b");
    assert_eq!(fs::metadata(stored).unwrap().len(), size);

    let mut archive = Vec::new();
    dump(&tree, &mut archive).unwrap();
    let restored = world.path("restored");
    restore(archive.as_slice(), &restored).unwrap();
    assert_eq!(hash_tree(&restored).unwrap().0, hash);
}

/// Two threads create them, in no order that anything may depend on: more files than go into one
/// piece, more ended folders than wait, and more inside each other than stay open.
#[test]
fn many_nodes_have_the_modes_and_times_of_a_store() {
    let world = World::new();
    let tree = world.path("tree");
    let mut nodes = 0;
    let mut deep = tree.join("deep");
    let flat = (0..70).map(|index| tree.join(format!("flat-{index}")));
    for folder in flat.chain((0..70).map(|_| {
        deep.push("d");
        deep.clone()
    })) {
        fs::create_dir_all(folder.join("empty")).unwrap();
        for index in 0..8 {
            let file = folder.join(format!("file-{index}"));
            fs::write(&file, contents(index * 500)).unwrap();
            let mode = if index % 2 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        // In the middle of a folder: its small files stand on both sides of several pieces.
        if nodes == 0 {
            fs::write(folder.join("file-3-large"), contents((5 << 20) + 3)).unwrap();
        }
        symlink("file-1", folder.join("link")).unwrap();
        nodes += 11;
    }
    let hash = hash_tree(&tree).unwrap().0;
    let added = add(&world.store, &tree);
    assert_eq!(added.nar_hash, hash);
    assert_eq!(world.store.verify(true).unwrap(), []);
    // The root, the folder that holds the deep ones, and the large file.
    assert_eq!(count_with_store_times(&world.store.physical(&added.path)), nodes + 3);
}

/// Counts the nodes of a tree, all of which must be modified at second 1.
fn count_with_store_times(node: &Path) -> usize {
    let found = fs::symlink_metadata(node).unwrap();
    assert_eq!((found.mtime(), found.mtime_nsec()), (1, 0), "{}", node.display());
    let entries = found.is_dir().then(|| fs::read_dir(node).unwrap()).into_iter().flatten();
    1 + entries.map(|entry| count_with_store_times(&entry.unwrap().path())).sum::<usize>()
}

#[test]
fn a_reader_that_fails_ends_all_and_leaves_nothing() {
    let world = World::new();
    let tree = world.path("tree");
    sized_files(&tree);
    let pipe = tree.join("z");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let wanted = format!("`{}` is a named pipe", pipe.display());
    let refusals = [
        hash_tree(&tree).unwrap_err().to_string(),
        dump(&tree, &mut Vec::new()).unwrap_err().to_string(),
        world.store.add_tree(&StorePathName::parse("x").unwrap(), &tree).unwrap_err().to_string(),
    ];
    for refusal in refusals {
        assert!(refusal.starts_with(&wanted), "{refusal}");
    }
    assert_eq!(names(&world.store.root().join("nix/var/hoist/tmp")), ["lock"]);
}

/// A writer that is full while the reader is ahead.
#[test]
fn a_writer_that_fails_ends_the_reader() {
    let world = World::new();
    let tree = world.path("tree");
    sized_files(&tree);
    for room in [0, 100, 3 << 20] {
        let mut memory = vec![0; room];
        let refusal = dump(&tree, &mut memory.as_mut_slice()).unwrap_err();
        assert!(matches!(refusal, TreeError::Write { .. }), "{refusal}");
    }
}

#[test]
fn a_file_that_becomes_shorter_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = File::create(&path).unwrap();
    file.set_len(80 << 20).unwrap();
    // The reader is ahead by no more than the pieces that there are.
    let refusal = dump(&path, &mut CutShort { file, left: 4 << 20 }).unwrap_err();
    assert!(matches!(&refusal, TreeError::Changed { path: found } if *found == path), "{refusal}");
}

/// Cuts a file off when it has taken some bytes.
struct CutShort {
    file: File,
    left: usize,
}

impl Write for CutShort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.saturating_sub(bytes.len());
        if self.left == 0 {
            self.file.set_len(17)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_archive_that_cannot_be_read_on_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let archive = sized_files(&dir.path().join("tree"));
    let part = &archive[..archive.len() / 2];
    let broken = part.chain(Broken);
    let refusal = restore(broken, &dir.path().join("restored")).unwrap_err();
    let TreeError::Read { source: NarError::Read { offset, source }, .. } = refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!((offset, source.kind()), (part.len() as u64, ErrorKind::ConnectionReset));
    assert_eq!(names(dir.path()), ["tree"]);
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::ConnectionReset.into())
    }
}

/// What may be asked of memory and time, in a process of its own.
#[test]
fn hostile_archives_are_refused_at_once_and_in_little_memory() {
    let Some(dir) = child::dir() else {
        // In memory where there is such a folder: how long a disk takes for a thousand directories
        // is another matter.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let name = "large::hostile_archives_are_refused_at_once_and_in_little_memory";
        let status = child::command(name, dir.path()).status().unwrap();
        assert!(status.success());
        assert_eq!(names(dir.path()), [""; 0], "something was left");
        return;
    };
    let dest = dir.join("restored");
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let (begun, threads_before) = (Instant::now(), threads());

    let refusal = restore(file_header(100_000_000_000).as_slice(), &dest).unwrap_err();
    assert!(matches!(nar_error(&refusal), NarError::Truncated { .. }), "{refusal:?}");
    let refusal = restore(file_header(1 << 63).chain(io::repeat(0)), &dest).unwrap_err();
    assert!(matches!(nar_error(&refusal), NarError::TooLong { .. }), "{refusal:?}");
    let refusal = restore(Nested::new(10_000_000), &dest).unwrap_err();
    assert!(matches!(nar_error(&refusal), NarError::TooDeep { .. }), "{refusal:?}");
    // It never ends, and what is wrong with it comes early.
    let refusal = restore(b"\x0d\0\0\0\0\0\0\0".chain(io::repeat(b'n')), &dest).unwrap_err();
    assert!(matches!(nar_error(&refusal), NarError::Magic), "{refusal:?}");

    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?} for four of them");
    assert_eq!(threads(), threads_before, "a thread was left");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kb < 64 * 1024, "{peak_kb} kB");
}

fn nar_error(error: &TreeError) -> &NarError {
    match error {
        TreeError::Read { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// An archive up to the contents of a file of that size.
fn file_header(size: u64) -> Vec<u8> {
    let mut nar = NarWriter::new(Vec::new()).unwrap();
    nar.begin_file(false, size).unwrap();
    std::mem::take(nar.get_mut())
}

/// Directories inside each other, made as they are read.
struct Nested {
    left: u64,
    level: Vec<u8>,
    pending: Vec<u8>,
    taken: usize,
}

impl Nested {
    fn new(depth: u64) -> Self {
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.directory().unwrap();
        let pending = std::mem::take(nar.get_mut());
        nar.entry(b"d").unwrap();
        nar.directory().unwrap();
        let level = std::mem::take(nar.get_mut());
        Self { left: depth, level, pending, taken: 0 }
    }
}

impl Read for Nested {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.pending.len() && self.left > 0 {
            self.left -= 1;
            self.pending.clone_from(&self.level);
            self.taken = 0;
        }
        let count = (&self.pending[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}
