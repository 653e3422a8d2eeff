//! The declared sources of a project: which files they are, and what is in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
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

/// Folders that hold what builds leave behind, never sources; they are not walked.
const LEFT_BY_BUILDS: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];

impl Sources {
    /// Finds and digests the files below `project` that `globs` name.
    ///
    /// `*` stays within one folder, `**` crosses folders.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoSuchSource`] for the first glob that matches nothing,
    /// [`BuildError::NotAFile`] for a device, a pipe, or a link that leaves the project.
    pub fn find(project: &Path, globs: &[String]) -> Result<Self, BuildError> {
        let set = glob_set(globs)?;
        let mut matched = vec![false; globs.len()];
        let mut files = Vec::new();
        for entry in WalkDir::new(project).sort_by_file_name().into_iter().filter_entry(is_walked) {
            let entry = entry.map_err(|error| BuildError::Io {
                action: "walk",
                path: error.path().unwrap_or(project).to_owned(),
                source: error.into_io_error().unwrap_or_else(|| std::io::ErrorKind::Other.into()),
            })?;
            let inside = entry.path().strip_prefix(project).expect("a walk stays below its start");
            let Some(path) = inside.to_str().filter(|path| !path.is_empty()) else { continue };
            let hits = set.matches(path);
            if hits.is_empty() || entry.file_type().is_dir() {
                continue;
            }
            for index in hits {
                matched[index] = true;
            }
            files.push(source_file(project, entry.path(), path)?);
        }
        files.sort_by(|a: &SourceFile, b| a.path.cmp(&b.path));
        match matched.iter().position(|matched| !matched) {
            Some(missing) => Err(no_such_source(project, &globs[missing])),
            None => Ok(Self { project: project.to_owned(), files }),
        }
    }

    /// Whether a path below the project folder is declared.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
    }
}

fn is_walked(entry: &DirEntry) -> bool {
    let left_by_build = entry.file_type().is_dir()
        && entry.file_name().to_str().is_some_and(|name| LEFT_BY_BUILDS.contains(&name));
    entry.depth() == 0 || !left_by_build
}

fn glob_set(globs: &[String]) -> Result<GlobSet, BuildError> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(parse_glob(glob)?);
    }
    set.build().map_err(|error| BuildError::BadGlob {
        glob: globs.join(", "),
        reason: error.kind().to_string(),
    })
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
