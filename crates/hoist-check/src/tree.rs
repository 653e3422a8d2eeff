//! Files and unpacked artifacts on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use hoist_elf::extent_bytes;
use hoist_schema::Finding;
use walkdir::{DirEntry, WalkDir};

use crate::check::{Candidate, check_library};
use crate::contract::Contract;
use crate::links::leads_out;
use crate::report::{Judge, Report};
use crate::rule::{FILE_LINK_ESCAPES, FILE_MISSING, FILE_NOT_REGULAR};
use crate::siblings::{Siblings, normalize};

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
    let below_root = absolute.to_string_lossy();
    let siblings = Folder { root: PathBuf::from("/") };
    let in_root = below_root.trim_start_matches('/');
    check_at(path, &path.to_string_lossy(), in_root, contract, &siblings)
}

/// Checks every shared library of an unpacked artifact, by path: files named `*.so` or `*.so.*`,
/// and every file that `contracts` names, relative to `root`. Other libraries are judged by
/// `others`. A promised library is not looked at where it leads out of the artifact.
///
/// # Errors
///
/// When the folder or a file in it cannot be read, or it has too many entries.
pub fn check_tree(
    root: &Path,
    contracts: &BTreeMap<String, Contract>,
    others: &Contract,
) -> Result<Vec<Checked>, TreeError> {
    let siblings = Folder { root: root.to_owned() };
    let mut paths: BTreeSet<String> = contracts.keys().cloned().collect();
    for entry in entries(root) {
        let entry = entry?;
        let is_link_to_file = entry.path_is_symlink() && entry.path().is_file();
        // A link is another name of a file that is checked itself; one to nowhere is a finding.
        if is_library_name(&entry.file_name().to_string_lossy())
            && !is_link_to_file
            && !entry.file_type().is_dir()
            && let Ok(relative) = entry.path().strip_prefix(root)
        {
            paths.insert(relative.to_string_lossy().into_owned());
        }
    }
    let check = |path: String| {
        let promised = contracts.get(&path);
        let contract = promised.unwrap_or(others);
        if promised.is_some() && leads_out(root, Path::new(&path)) {
            let mut judge = Judge::new(&path, contract);
            judge.report(&FILE_LINK_ESCAPES, escape(&root.join(&path)), INSTEAD_OF_ESCAPE);
            let report = judge.finish(None);
            return Ok(Checked { path, report });
        }
        let report = check_at(&root.join(&path), &path, &path, contract, &siblings)?;
        Ok(Checked { path, report })
    };
    paths.into_iter().map(check).collect()
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

/// Whether a file is named as shared libraries are: `x.so`, `x.so.1.2`.
fn is_library_name(name: &str) -> bool {
    name.match_indices(".so").any(|(at, found)| {
        let rest = &name[at + found.len()..];
        at > 0
            && (rest.is_empty()
                || rest.starts_with('.') && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
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

/// Reads a file as far as its headers speak of it, so that a hole behind it costs nothing.
pub(crate) fn read_used(path: &Path, size_bytes: u64) -> Result<Vec<u8>, TreeError> {
    let failed = |source| TreeError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    if size_bytes <= WHOLE_FILE_BYTES {
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

/// An unpacked artifact.
struct Folder {
    root: PathBuf,
}

impl Siblings for Folder {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let root = self.root.canonicalize().ok()?;
        let path = root.join(normalize(path)?).canonicalize().ok()?;
        let metadata = fs::metadata(&path).ok()?;
        if !path.starts_with(&root) || !metadata.is_file() {
            return None;
        }
        read_used(&path, metadata.len()).ok()
    }
}
