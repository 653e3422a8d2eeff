//! The copy of the sources that a build sees, so that nothing changes under it.

mod times;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::digest::sha256_of_file;
use crate::{BuildError, Sources};

pub(crate) use self::times::{StagedTimes, book_of};

/// Copies the sources to `folder`, read-only and with times that compilers' caches can go by.
///
/// # Errors
///
/// [`BuildError::Changed`] when a file is no longer the one that was digested.
pub(crate) fn stage(
    sources: &Sources,
    folder: &Path,
    times: &StagedTimes,
) -> Result<(), BuildError> {
    for source in &sources.files {
        let from = sources.project.join(&source.path);
        let to = folder.join(&source.path);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(BuildError::io("make the folder", parent))?;
        fs::copy(&from, &to).map_err(BuildError::io("copy the source", &from))?;
        if sha256_of_file(&to)? != source.sha256 {
            return Err(BuildError::Changed { path: from });
        }
        let mode = if source.executable { 0o555 } else { 0o444 };
        File::open(&to)
            .and_then(|file| {
                file.set_modified(times.of(source))?;
                file.set_permissions(fs::Permissions::from_mode(mode))
            })
            .map_err(BuildError::io("set the time of", &to))?;
    }
    times.record(sources)
}

/// The files below `folder`, relative to it, at most `limit`, for messages.
pub(crate) fn files_below(folder: &Path, limit: usize) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .flatten()
        .filter(|entry| !entry.file_type().is_dir())
        .filter_map(|entry| entry.path().strip_prefix(folder).ok().map(Path::to_owned))
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_staged_source_is_read_only_and_new_whatever_time_its_file_has() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.c");
        fs::write(&file, "int a;").unwrap();
        let start = SystemTime::now();
        File::options().write(true).open(&file).unwrap().set_modified(UNIX_EPOCH).unwrap();
        let sources = Sources::find(home.path(), &["a.c".to_owned()]).unwrap();
        let stage_folder = tempfile::tempdir().unwrap();
        let times = StagedTimes::open(home.path().join("times.json"));
        stage(&sources, stage_folder.path(), &times).unwrap();

        let staged = fs::metadata(stage_folder.path().join("a.c")).unwrap();
        assert_eq!(staged.permissions().mode() & 0o777, 0o444);
        assert!(staged.modified().unwrap() >= start);
    }

    #[test]
    fn a_source_that_changes_before_it_is_staged_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.c");
        fs::write(&file, "int a;").unwrap();
        let sources = Sources::find(home.path(), &["a.c".to_owned()]).unwrap();
        fs::write(&file, "int b;").unwrap();
        let stage_folder = tempfile::tempdir().unwrap();
        let times = StagedTimes::open(home.path().join("times.json"));
        let refusal = stage(&sources, stage_folder.path(), &times).unwrap_err();
        assert!(refusal.to_string().contains("changed while"), "{refusal}");
    }
}
