//! The declared sources of a project: which files they are, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use hoist_schema::lock::LOCK_FILE;
use serde::Serialize;
use walkdir::{DirEntry, WalkDir};

use crate::BuildError;
use crate::digest::sha256_of_file;

/// One declared source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFile {
    /// Path below the project folder, with `/`.
    pub path: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// SHA-256 of its content, in base16.
    pub sha256: String,
}

/// All declared sources of a project, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The project folder.
    pub project: PathBuf,
    /// The files.
    pub files: Vec<SourceFile>,
}

/// Folders of a project that hold what builds leave behind: only a glob that names one finds what
/// is in it.
const LEFT_BY_BUILDS: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];

impl Sources {
    /// Finds and digests the files below `project` that `globs` name.
    ///
    /// `*` stays within one folder, `**` crosses folders. Only folders that a glob could match
    /// something in are looked at. The project's lock, which tells what the sources became, is none
    /// of them whatever glob names it.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoSuchSource`] for the first glob that matches nothing,
    /// [`BuildError::NotAFile`] for a device, a pipe, or a link that leaves the project,
    /// [`BuildError::NotUtf8`] for a name that is no text.
    pub fn find(project: &Path, globs: &[String]) -> Result<Self, BuildError> {
        let mut walks: BTreeMap<PathBuf, Walk> = BTreeMap::new();
        for (index, glob) in globs.iter().enumerate() {
            walks.entry(literal_prefix(glob)).or_default().add(index, glob)?;
        }
        let mut matched = vec![false; globs.len()];
        let mut paths = BTreeSet::new();
        for (start, walk) in &walks {
            walk.run(project, start, |path, hits| {
                for index in hits {
                    matched[index] = true;
                }
                paths.insert(path);
            })?;
        }
        if let Some(missing) = matched.iter().position(|matched| !matched) {
            return Err(no_such_source(project, &globs[missing]));
        }
        let files: Result<_, _> = paths
            .into_iter()
            .map(|path| source_file(project, &project.join(&path), &path))
            .collect();
        Ok(Self { project: project.to_owned(), files: files? })
    }

    /// Whether a path below the project folder is declared.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
    }
}

/// One walk of the project, for all globs that begin with the same folder or file.
#[derive(Default)]
struct Walk {
    globs: Vec<Glob>,
    /// Which of all globs each one is.
    indexes: Vec<usize>,
}

impl Walk {
    fn add(&mut self, index: usize, glob: &str) -> Result<(), BuildError> {
        self.globs.push(parse_glob(glob)?);
        self.indexes.push(index);
        Ok(())
    }

    /// Calls `on_match` for all but folders that a glob matches at `start` or below it.
    fn run(
        &self,
        project: &Path,
        start: &Path,
        mut on_match: impl FnMut(String, Vec<usize>),
    ) -> Result<(), BuildError> {
        if leads_through_a_link(project, start) {
            return Ok(());
        }
        let is_project = start.as_os_str().is_empty();
        let from = if is_project { project.to_owned() } else { project.join(start) };
        let set = self.set()?;
        let walk = WalkDir::new(&from)
            .follow_root_links(is_project)
            .max_depth(self.depth(start))
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !(is_project && self.passes_over(entry)));
        for entry in walk {
            let entry = match entry {
                Err(error) if error.depth() == 0 && !is_project && is_absence(&error) => break,
                entry => entry.map_err(|error| walk_failed(&from, error))?,
            };
            let inside = entry.path().strip_prefix(project).expect("a walk stays below its start");
            let hits = set.matches(inside);
            let is_lock = inside == Path::new(LOCK_FILE);
            let is_project = inside.as_os_str().is_empty();
            if hits.is_empty() || entry.file_type().is_dir() || is_lock || is_project {
                continue;
            }
            let path = inside
                .to_str()
                .ok_or_else(|| BuildError::NotUtf8 { path: entry.path().to_owned() })?;
            on_match(path.to_owned(), hits.into_iter().map(|hit| self.indexes[hit]).collect());
        }
        Ok(())
    }

    fn set(&self) -> Result<GlobSet, BuildError> {
        let mut set = GlobSetBuilder::new();
        for glob in &self.globs {
            set.add(glob.clone());
        }
        set.build().map_err(|error| BuildError::BadGlob {
            glob: self.globs.iter().map(Glob::glob).collect::<Vec<_>>().join(", "),
            reason: error.kind().to_string(),
        })
    }

    /// How deep below `start` a match can lie.
    fn depth(&self, start: &Path) -> usize {
        let deepest = |glob: &Glob| {
            let glob = glob.glob();
            if glob.contains("**") { usize::MAX } else { glob.split('/').count() }
        };
        let deepest = self.globs.iter().map(deepest).max().unwrap_or(0);
        deepest.saturating_sub(start.components().count())
    }

    /// Whether it is a folder of the project that builds fill, and no glob names it.
    fn passes_over(&self, entry: &DirEntry) -> bool {
        let is_named = |name: &str| {
            let first =
                |glob: &Glob| glob.glob().split('/').next().is_some_and(|part| part.contains(name));
            self.globs.iter().any(first)
        };
        entry.depth() == 1
            && entry.file_type().is_dir()
            && entry
                .file_name()
                .to_str()
                .is_some_and(|name| LEFT_BY_BUILDS.contains(&name) && !is_named(name))
    }
}

/// The folders that a glob begins with, or the file that it is.
fn literal_prefix(glob: &str) -> PathBuf {
    glob.split('/')
        .take_while(|part| !part.contains(['*', '?', '[', ']', '{', '}', '\\']))
        .collect()
}

/// Whether a folder on the way to `start` is a symlink: none is followed, so that all sources lie
/// where they are named.
fn leads_through_a_link(project: &Path, start: &Path) -> bool {
    let on_the_way = start.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    on_the_way.into_iter().any(|folder| project.join(folder).is_symlink())
}

fn is_absence(error: &walkdir::Error) -> bool {
    let kind = error.io_error().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn walk_failed(from: &Path, error: walkdir::Error) -> BuildError {
    BuildError::Io {
        action: "walk",
        path: error.path().unwrap_or(from).to_owned(),
        source: error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into()),
    }
}

fn parse_glob(glob: &str) -> Result<Glob, BuildError> {
    GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| BuildError::BadGlob {
        glob: glob.to_owned(),
        reason: error.kind().to_string(),
    })
}

/// Reads one file; a symlink counts as the file it leads to, as long as that lies in the project.
fn source_file(project: &Path, file: &Path, path: &str) -> Result<SourceFile, BuildError> {
    let refuse = |found| BuildError::NotAFile { path: file.to_owned(), found };
    let metadata = fs::symlink_metadata(file).map_err(BuildError::io("look at", file))?;
    let metadata = if metadata.is_symlink() {
        let target = file.canonicalize().map_err(|_| refuse("a link that leads nowhere"))?;
        let project = project.canonicalize().map_err(BuildError::io("find", project))?;
        if !target.starts_with(project) {
            return Err(refuse("a link that leaves the project"));
        }
        fs::metadata(&target).map_err(BuildError::io("look at", &target))?
    } else {
        metadata
    };
    if !metadata.is_file() {
        return Err(refuse("a folder, a pipe or a device"));
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(SourceFile { path: path.to_owned(), executable, sha256: sha256_of_file(file)? })
}

/// Names the file whose name is nearest to the missing one, in the folder it was wanted in.
fn no_such_source(project: &Path, glob: &str) -> BuildError {
    let wanted = Path::new(glob);
    let folder = wanted.parent().unwrap_or(Path::new(""));
    let name = wanted.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let nearest = fs::read_dir(project.join(folder))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|there| (strsim::damerau_levenshtein(name, &there), there))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, there)| folder.join(there).display().to_string());
    BuildError::NoSuchSource { glob: glob.to_owned(), project: project.to_owned(), nearest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        home
    }

    fn find(home: &tempfile::TempDir, globs: &[&str]) -> Result<Vec<String>, BuildError> {
        let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
        let sources = Sources::find(home.path(), &globs)?;
        Ok(sources.files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn globs_name_files_in_sorted_order_and_stay_in_their_folder() {
        let home = project(&["src/b.c", "src/a.c", "src/deep/c.c", "target/x.c", "note.txt"]);
        assert_eq!(find(&home, &["src/*.c"]).unwrap(), ["src/a.c", "src/b.c"]);
        assert_eq!(find(&home, &["**/*.c"]).unwrap(), ["src/a.c", "src/b.c", "src/deep/c.c"]);
    }

    #[test]
    fn folders_that_builds_fill_are_passed_over_at_the_top_unless_they_are_named() {
        let home = project(&["src/target/x86.c", "src/__pycache__/y.c", "target/gen/z.c", "a.c"]);
        assert_eq!(
            find(&home, &["**/*.c"]).unwrap(),
            ["a.c", "src/__pycache__/y.c", "src/target/x86.c"]
        );
        assert_eq!(find(&home, &["target/**/*.c", "**/a.c"]).unwrap(), ["a.c", "target/gen/z.c"]);
        assert_eq!(find(&home, &["{src,target}/gen/*.c"]).unwrap(), ["target/gen/z.c"]);
    }

    #[test]
    fn the_lock_of_the_project_is_no_source_of_it() {
        let home = project(&["hoist.lock", "sub/hoist.lock", "a.c"]);
        assert_eq!(find(&home, &["**/*"]).unwrap(), ["a.c", "sub/hoist.lock"]);
        let refusal = find(&home, &["a.c", "hoist.*"]).unwrap_err();
        assert!(matches!(refusal, BuildError::NoSuchSource { .. }), "{refusal}");
    }

    #[test]
    fn what_lies_beside_the_globs_is_not_looked_at() {
        let home = project(&["src/a.c", "b.c", "include/x/y.h"]);
        let closed = home.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let files = find(&home, &["src/**/*.c", "*.c", "b.c", "include/*/*.h"]);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(files.unwrap(), ["b.c", "include/x/y.h", "src/a.c"]);
    }

    #[test]
    fn a_glob_goes_no_deeper_than_it_can_match() {
        let depth = |glob: &str| {
            let mut walk = Walk::default();
            walk.add(0, glob).unwrap();
            walk.depth(&literal_prefix(glob))
        };
        assert_eq!(depth("a/b.c"), 0);
        assert_eq!(depth("a/*.c"), 1);
        assert_eq!(depth("a/*/*.c"), 2);
        assert_eq!(depth("a/**"), usize::MAX - 1);
    }

    #[test]
    fn a_name_that_is_no_text_is_refused_only_where_a_glob_matches_it() {
        use std::os::unix::ffi::OsStrExt;
        let home = project(&["src/a.c"]);
        fs::write(home.path().join("src").join(OsStr::from_bytes(b"\xff.c")), "").unwrap();
        let refusal = find(&home, &["src/*.c"]).unwrap_err();
        assert!(refusal.to_string().contains("is not UTF-8"), "{refusal}");
        assert_eq!(find(&home, &["src/a*"]).unwrap(), ["src/a.c"]);
    }

    #[test]
    fn no_folder_on_the_way_to_a_source_may_be_a_link() {
        let home = project(&["src/deep/a.c"]);
        std::os::unix::fs::symlink("src", home.path().join("other")).unwrap();
        for glob in ["other/deep/*.c", "other/deep/a.c", "other/*/a.c"] {
            assert!(matches!(find(&home, &[glob]), Err(BuildError::NoSuchSource { .. })), "{glob}");
        }
    }

    #[test]
    fn a_glob_that_matches_nothing_is_refused_with_the_nearest_name() {
        let home = project(&["src/kernel.c"]);
        let refusal = find(&home, &["src/kernal.c"]).unwrap_err();
        assert!(refusal.to_string().starts_with("the source `src/kernal.c` matches no file"));
        assert!(refusal.hint().unwrap().contains("there is `src/kernel.c`"));
    }

    #[test]
    fn a_link_that_leaves_the_project_is_refused() {
        let home = project(&["src/a.c"]);
        std::os::unix::fs::symlink("/etc/hostname", home.path().join("src/b.c")).unwrap();
        let refusal = find(&home, &["src/*.c"]).unwrap_err();
        assert!(refusal.to_string().contains("a link that leaves the project"));
    }

    #[test]
    fn a_link_inside_the_project_counts_as_its_target() {
        let home = project(&["src/a.c"]);
        std::os::unix::fs::symlink("a.c", home.path().join("src/b.c")).unwrap();
        let sources = Sources::find(home.path(), &["src/*.c".to_owned()]).unwrap();
        assert_eq!(sources.files[0].sha256, sources.files[1].sha256);
        assert!(sources.contains("src/b.c") && !sources.contains("src/c.c"));
    }
}
