//! The copy of the sources that a build sees, so that nothing changes under it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::digest::sha256_of_file;
use crate::{BuildError, Sources};

/// Copies the sources to `folder`, read-only and with their times, which compilers' caches go by.
///
/// # Errors
///
/// [`BuildError::Changed`] when a file is no longer the one that was digested.
pub(crate) fn stage(sources: &Sources, folder: &Path) -> Result<(), BuildError> {
    for source in &sources.files {
        let from = sources.project.join(&source.path);
        let to = folder.join(&source.path);
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(BuildError::io("make the folder", parent))?;
        fs::copy(&from, &to).map_err(BuildError::io("copy the source", &from))?;
        if sha256_of_file(&to)? != source.sha256 {
            return Err(BuildError::Changed { path: from });
        }
        let modified = fs::metadata(&from)
            .and_then(|metadata| metadata.modified())
            .map_err(BuildError::io("look at", &from))?;
        let mode = if source.executable { 0o555 } else { 0o444 };
        File::open(&to)
            .and_then(|file| {
                file.set_modified(modified)?;
                file.set_permissions(fs::Permissions::from_mode(mode))
            })
            .map_err(BuildError::io("set the time of", &to))?;
    }
    Ok(())
}

/// Copies what a build left at `from` to `to`, below the output folder.
pub(crate) fn collect(from: &Path, to: &Path) -> Result<(), BuildError> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(BuildError::io("make the folder", parent))?;
    fs::copy(from, to).map_err(BuildError::io("copy the library", from))?;
    Ok(())
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
    use super::*;

    #[test]
    fn staged_sources_are_read_only_and_keep_their_times() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.c");
        fs::write(&file, "int a;").unwrap();
        let sources = Sources::find(home.path(), &["a.c".to_owned()]).unwrap();
        let stage_folder = tempfile::tempdir().unwrap();
        stage(&sources, stage_folder.path()).unwrap();

        let staged = fs::metadata(stage_folder.path().join("a.c")).unwrap();
        assert_eq!(staged.permissions().mode() & 0o777, 0o444);
        assert_eq!(staged.modified().unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
    }

    #[test]
    fn a_source_that_changes_before_it_is_staged_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.c");
        fs::write(&file, "int a;").unwrap();
        let sources = Sources::find(home.path(), &["a.c".to_owned()]).unwrap();
        fs::write(&file, "int b;").unwrap();
        let stage_folder = tempfile::tempdir().unwrap();
        let refusal = stage(&sources, stage_folder.path()).unwrap_err();
        assert!(refusal.to_string().contains("changed while"), "{refusal}");
    }
}
