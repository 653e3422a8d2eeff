//! Files and unpacked artifacts on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileTypeExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hoist_elf::header::Header;
use hoist_elf::{FileKind, extent_bytes};
use hoist_schema::Finding;
use walkdir::{DirEntry, WalkDir};

use crate::abi::{CompareError, Comparison, check_against_promised};
use crate::check::{Candidate, check_library};
use crate::contract::Contract;
use crate::links::leads_out;
use crate::report::{Judge, Report};
use crate::rule::{FILE_LINK_ESCAPES, FILE_MISSING, FILE_NOT_REGULAR};
use crate::siblings::{Neighbour, Siblings, is_in_store, normalize};

/// Files up to this size are read whole; of larger ones, what their headers speak of.
const WHOLE_FILE_BYTES: u64 = 256 << 20;

/// Most bytes that are read of one file.
const MOST_BYTES: u64 = 2 << 30;

/// How many first bytes hold the program headers of any real library.
const HEAD_BYTES: u64 = 64 << 10;

/// Most entries of an artifact that are walked, and how deep.
pub(crate) const MOST_ENTRIES: usize = 1 << 20;
pub(crate) const MOST_DEPTH: usize = 64;

/// One file of an artifact and its report.
#[derive(Debug)]
pub struct Checked {
    /// Path relative to the artifact's root.
    pub path: String,
    /// The answers about it.
    pub report: Report,
}

/// Where what a library needs may lie, beside the store and the systems of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In its artifact: nothing else comes along.
    Artifact,
    /// Wherever its `$ORIGIN` leads: the folder is part of something larger.
    Disk,
}

/// Why an artifact or a file could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum TreeError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("`{}` uses {size_bytes} bytes, more than the {MOST_BYTES} that are read", path.display())]
    TooLarge { path: PathBuf, size_bytes: u64 },

    #[error("`{}` has more than {MOST_ENTRIES} entries", path.display())]
    TooMany { path: PathBuf },
}

/// Checks one file; findings call it as `path` does.
///
/// What it needs is looked for through its `$ORIGIN`, wherever that leads.
///
/// # Errors
///
/// When the file is there but cannot be read.
pub fn check_file(path: &Path, contract: &Contract) -> Result<Report, TreeError> {
    let absolute = std::path::absolute(path)
        .map_err(|source| TreeError::Read { path: path.to_owned(), source })?;
    let siblings = Folder::new(Path::new("/"), contract);
    check_at(path, &path.to_string_lossy(), &absolute.to_string_lossy(), contract, &siblings)
}

/// Checks every shared library of an unpacked artifact, by path: files named `*.so` or `*.so.*`,
/// files that are shared libraries under another name, such as plugins, and every file that
/// `contracts` names, relative to `root`. Other libraries are judged by `others`. A promised
/// library is not looked at where it leads out of the artifact.
///
/// # Errors
///
/// When the folder or a file in it cannot be read, or it has too many entries.
pub fn check_tree(
    root: &Path,
    contracts: &BTreeMap<String, Contract>,
    others: &Contract,
) -> Result<Vec<Checked>, TreeError> {
    let keep = |checked| checked;
    check_tree_on(NonZeroUsize::MIN, root, Reach::Artifact, contracts, others, keep)
}

/// Does as [`check_tree`] on several threads, and keeps of each file what `keep` makes of it: the
/// facts of a large folder would fill the memory.
///
/// - `threads`: how many files are read and judged at a time; no more are in memory.
/// - `reach`: where what a library needs may lie.
///
/// # Errors
///
/// As [`check_tree`].
pub fn check_tree_on<R: Send>(
    threads: NonZeroUsize,
    root: &Path,
    reach: Reach,
    contracts: &BTreeMap<String, Contract>,
    others: &Contract,
    keep: impl Fn(Checked) -> R + Sync,
) -> Result<Vec<R>, TreeError> {
    let from = match reach {
        Reach::Artifact => PathBuf::new(),
        Reach::Disk => std::path::absolute(root)
            .map_err(|source| TreeError::Read { path: root.to_owned(), source })?,
    };
    let siblings = match reach {
        Reach::Artifact => Folder::new(root, others),
        Reach::Disk => Folder::new(Path::new("/"), others),
    };
    let siblings = siblings.checking(root);
    let found = libraries(root, contracts)?;
    let check = |(path, why): &(String, Why)| -> Result<Option<R>, TreeError> {
        let promised = contracts.get(path);
        let contract = promised.unwrap_or(others);
        if promised.is_some() && leads_out(root, Path::new(path)) {
            let mut judge = Judge::new(path, contract);
            judge.report(&FILE_LINK_ESCAPES, escape(&root.join(path)), INSTEAD_OF_ESCAPE);
            return Ok(Some(keep(Checked { path: path.clone(), report: judge.finish(None) })));
        }
        let in_artifact = from.join(path);
        let in_artifact = in_artifact.to_string_lossy();
        let report = check_at(&root.join(path), path, &in_artifact, contract, &siblings)?;
        let kind = report.facts.as_ref().map(|facts| facts.kind);
        // Programs begin with the same bytes, and are named as nobody names a library.
        let is_one = *why == Why::Name || kind == Some(FileKind::SharedLibrary);
        Ok(is_one.then(|| keep(Checked { path: path.clone(), report })))
    };
    in_parallel(&found, threads, check).map(|kept| kept.into_iter().flatten().collect())
}

/// Why a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is promised, or named as libraries are.
    Name,
    /// It begins as libraries do, and as some programs do.
    Start,
}

/// The files of an artifact to look at, in order of path.
fn libraries(
    root: &Path,
    contracts: &BTreeMap<String, Contract>,
) -> Result<Vec<(String, Why)>, TreeError> {
    let promised = contracts.keys().map(|path| (path.clone(), Why::Name));
    let mut found: BTreeMap<String, Why> = promised.collect();
    for entry in entries(root) {
        let entry = entry?;
        let Ok(relative) = entry.path().strip_prefix(root) else { continue };
        let is_link_to_file = entry.path_is_symlink() && entry.path().is_file();
        // A link is another name of a file that is checked itself; one to nowhere is a finding.
        let why = if is_library_name(&entry.file_name().to_string_lossy()) {
            (!is_link_to_file && !entry.file_type().is_dir()).then_some(Why::Name)
        } else {
            (entry.file_type().is_file() && begins_as_library(entry.path())).then_some(Why::Start)
        };
        if let Some(why) = why {
            found.entry(relative.to_string_lossy().into_owned()).or_insert(why);
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether a file begins as an ELF file of the type of shared libraries. One that cannot be read
/// does not; it is none that was asked for.
fn begins_as_library(path: &Path) -> bool {
    let mut start = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    let is_big_endian = start[5] == 2;
    let file_type = [start[16], start[17]];
    let file_type =
        if is_big_endian { u16::from_be_bytes(file_type) } else { u16::from_le_bytes(file_type) };
    read.is_ok() && start.starts_with(b"\x7fELF") && file_type == ET_DYN
}

/// `ET_DYN` of the ELF specification.
const ET_DYN: u16 = 3;

/// Calls `work` for each of `items` on up to `threads` threads, which end before this returns.
/// Answers come in the order of `items`; of errors, the first in that order that was met.
fn in_parallel<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: NonZeroUsize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            let answer = work(item);
            if answer.is_err() {
                next.fetch_max(items.len(), Ordering::Relaxed); // the others may stop
            }
            done.push((index, answer));
        }
    };
    let threads = threads.get().min(items.len());
    let mut answers: Vec<(usize, Result<R, E>)> = if threads <= 1 {
        run()
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        })
    };
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// The shared libraries of an unpacked artifact, by path relative to `root`: files named `*.so` or
/// `*.so.*`. Links to files are left out.
///
/// # Errors
///
/// When the folder cannot be read, or has too many entries.
pub fn library_paths(root: &Path) -> Result<BTreeSet<String>, TreeError> {
    let found = libraries(root, &BTreeMap::new())?.into_iter();
    Ok(found.filter(|(_, why)| *why == Why::Name).map(|(path, _)| path).collect())
}

/// Compares the file `new`, which findings call `file`, with the file `old`, of which `promised`
/// is the header; see [`check_against_promised`](crate::check_against_promised).
///
/// # Errors
///
/// As there, and when a file cannot be read.
pub fn check_file_against(
    new: &Path,
    file: &str,
    old: &Path,
    contract: &Contract,
    promised: Option<&Header>,
) -> Result<Comparison, CompareError> {
    let read = |path: &Path| {
        let metadata = fs::metadata(path)
            .map_err(|source| TreeError::Read { path: path.to_owned(), source })?;
        if !metadata.is_file() {
            let source = io::Error::other("it is not a file");
            return Err(TreeError::Read { path: path.to_owned(), source });
        }
        Ok((read_used(path, metadata.len())?, metadata.len()))
    };
    let ((new, new_size), (old, old_size)) = (read(new)?, read(old)?);
    let candidate = |bytes, size_bytes| Candidate { file, path: file, bytes, size_bytes };
    let (new, old) = (candidate(&new, new_size), candidate(&old, old_size));
    check_against_promised(&new, &old, contract, promised)
}

/// Finds every symlink of an unpacked artifact that is absolute or leads out of it: on another
/// host, there is something else or nothing.
///
/// # Errors
///
/// As [`check_tree`].
pub fn check_links(root: &Path) -> Result<Vec<Finding>, TreeError> {
    let mut findings = Vec::new();
    for entry in entries(root) {
        let entry = entry?;
        if entry.depth() > 0
            && entry.path_is_symlink()
            && let Ok(relative) = entry.path().strip_prefix(root)
            && leads_out(root, relative)
        {
            findings.push(Finding {
                rule: FILE_LINK_ESCAPES.id.to_owned(),
                severity: FILE_LINK_ESCAPES.severity,
                file: relative.to_string_lossy().into_owned(),
                symbol: None,
                object: None,
                message: escape(entry.path()),
                fix: INSTEAD_OF_ESCAPE.to_owned(),
                waived: None,
            });
        }
    }
    Ok(findings)
}

const INSTEAD_OF_ESCAPE: &str =
    "copy what it leads to into the artifact, and link to that by a relative path";

/// How `path` leads out of its artifact.
fn escape(path: &Path) -> String {
    match fs::read_link(path) {
        Ok(target) => {
            format!("it is a link to `{}`, which leads out of the artifact", target.display())
        }
        Err(_) => "it lies behind a link that leads out of the artifact".to_owned(),
    }
}

/// All that lies in an artifact, links as themselves, in no order.
fn entries(root: &Path) -> impl Iterator<Item = Result<DirEntry, TreeError>> {
    let walk = WalkDir::new(root).max_depth(MOST_DEPTH).follow_links(false);
    walk.into_iter().enumerate().map(move |(count, entry)| {
        if count >= MOST_ENTRIES {
            return Err(TreeError::TooMany { path: root.to_owned() });
        }
        entry.map_err(|failure| {
            let path = failure.path().unwrap_or(root).to_owned();
            TreeError::Read { path, source: failure.into() }
        })
    })
}

/// Whether a file is named as shared libraries are: `x.so`, `x.so.1.2`. What was split off from one
/// (`x.so.1.debug`) is not.
fn is_library_name(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.match_indices(".so").any(|(at, found)| {
        let rest = &name[at + found.len()..];
        let version = rest.strip_prefix('.');
        at > 0 && (rest.is_empty() || version.is_some_and(|parts| parts.split('.').all(is_number)))
    })
}

fn check_at(
    path: &Path,
    file: &str,
    in_artifact: &str,
    contract: &Contract,
    siblings: &dyn Siblings,
) -> Result<Report, TreeError> {
    let read = |source| TreeError::Read { path: path.to_owned(), source };
    let entry = match fs::symlink_metadata(path) {
        Err(failure) if is_absence(&failure) => {
            let mut judge = Judge::new(file, contract);
            judge.report(&FILE_MISSING, "the file is not there", "see where the build puts it");
            return Ok(judge.finish(None));
        }
        entry => entry.map_err(read)?,
    };
    let metadata = match fs::metadata(path) {
        Err(failure) if entry.is_symlink() && is_absence(&failure) => {
            let target = fs::read_link(path).map_err(read)?;
            let mut judge = Judge::new(file, contract);
            let message = format!("it is a link to `{}`, which is not there", target.display());
            judge.report(&FILE_MISSING, message, "copy the file itself, or what the link names");
            return Ok(judge.finish(None));
        }
        metadata => metadata.map_err(read)?,
    };
    // Before it is opened: opening a pipe waits for a writer, and a device may act.
    if !metadata.is_file() {
        let mut judge = Judge::new(file, contract);
        let message = format!("it is {}, not a file", name_of(metadata.file_type()));
        judge.report(&FILE_NOT_REGULAR, message, "name the library itself");
        return Ok(judge.finish(None));
    }
    let bytes = read_used(path, metadata.len())?;
    let candidate =
        Candidate { file, path: in_artifact, bytes: &bytes, size_bytes: metadata.len() };
    Ok(check_library(&candidate, contract, siblings))
}

fn is_absence(failure: &io::Error) -> bool {
    // `FilesystemLoop`: links that lead to each other.
    matches!(failure.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || failure.raw_os_error() == Some(40)
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Reads a library as the rules do; a pipe, which could keep its reader waiting, is refused.
pub(crate) fn read_library(path: &Path) -> Result<Vec<u8>, TreeError> {
    let read = |source| TreeError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(read(io::ErrorKind::InvalidInput.into()));
    }
    read_used(path, metadata.len())
}

/// Reads a file as far as its headers speak of it, so that a hole behind it costs nothing.
pub(crate) fn read_used(path: &Path, size_bytes: u64) -> Result<Vec<u8>, TreeError> {
    let failed = |source| TreeError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    if size_bytes <= WHOLE_FILE_BYTES {
        // Room for all of it at once: to grow it step by step moves it about in memory.
        bytes.reserve_exact(usize::try_from(size_bytes).unwrap_or(0).saturating_add(1));
        file.take(WHOLE_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let used = extent_bytes(&bytes).unwrap_or(HEAD_BYTES).min(size_bytes);
    if used > MOST_BYTES {
        return Err(TreeError::TooLarge { path: path.to_owned(), size_bytes: used });
    }
    file.take(used.saturating_sub(HEAD_BYTES)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// An unpacked artifact, and the store.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    store_roots: Vec<PathBuf>,
    /// The folder whose libraries are all checked.
    checked: Option<PathBuf>,
    /// Libraries that were read because others need them, by path.
    known: Mutex<BTreeMap<String, Option<Arc<Neighbour>>>>,
}

impl Folder {
    /// The artifact at `root`, and the store where `contract` says it is.
    pub(crate) fn new(root: &Path, contract: &Contract) -> Self {
        Self {
            root: root.to_owned(),
            store_roots: contract.store_roots.clone(),
            checked: None,
            known: Mutex::default(),
        }
    }

    /// The same, while all libraries in `folder` are checked.
    fn checking(self, folder: &Path) -> Self {
        Self { checked: folder.canonicalize().ok(), ..self }
    }

    /// Where a path of [`Siblings::read`] is on this machine, if anything is there.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let inside = normalize(path)?;
        if is_in_store(path) {
            let mut places = self.store_roots.iter().map(|root| root.join(&inside));
            let place = places.find(|place| place.exists());
            // A library of the store may be checked by its path.
            if place.is_some() || self.root != Path::new("/") {
                return place;
            }
        }
        let root = self.root.canonicalize().ok()?;
        let path = root.join(inside).canonicalize().ok()?;
        path.starts_with(&root).then_some(path)
    }
}

impl Siblings for Folder {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.locate(path)?;
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        read_used(&path, metadata.len()).ok()
    }

    fn holds(&self, path: &str) -> bool {
        self.locate(path).is_some()
    }

    fn is_checked(&self, path: &str) -> bool {
        let Some(folder) = &self.checked else { return false };
        let place = self.locate(path).and_then(|place| place.canonicalize().ok());
        place.is_some_and(|place| place.starts_with(folder))
    }

    fn library(&self, path: &str) -> Option<Arc<Neighbour>> {
        // A thread that panicked left the map as it was.
        let known = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(neighbour) = known().get(path) {
            return neighbour.clone();
        }
        let neighbour = self.read(path).map(|bytes| Arc::new(Neighbour::read(&bytes)));
        known().insert(path.to_owned(), neighbour.clone());
        neighbour
    }
}
