//! A copy of an artifact in its project, for whoever has the repository and no cache.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use hoist_schema::Exit;
use hoist_store::hash_tree;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::error::CliError;

/// What keeps git from changing bytes that Nix checks: line ends, keywords, and filters such as
/// those of git-lfs, which leave a pointer where the file should be.
const GIT_ATTRIBUTES: &str = "\
# Written by `hoist flake`: Nix holds every byte below this folder against hoist.lock.
* -text -ident -filter -working-tree-encoding
";

/// Replaces the folder `copy` of `project` by a copy of the artifact at `artifact`, all at once.
///
/// - `copy`: relative to `project`, at least two folders deep: its parent gets a `.gitattributes`.
///
/// Modes are those that git keeps: whether a file may be executed, nothing else.
pub(crate) fn vendor(artifact: &Path, project: &Path, copy: &str) -> Result<(), CliError> {
    let to = project.join(copy);
    let parent = to.parent().unwrap_or(project);
    if let Some(empty) = empty_folder(artifact)? {
        let message = format!("git would not keep the empty folder {}", empty.display());
        return Err(CliError::new(Exit::No, message)
            .hint("let the build leave no empty folder, or fetch it from a cache: --cache URL"));
    }
    fs::create_dir_all(parent).map_err(CliError::io("make the folder", parent))?;
    let inside = parent.canonicalize().map_err(CliError::io("find", parent))?;
    if !inside.starts_with(project) {
        let message = format!("{} leads out of the project", parent.display());
        return Err(CliError::new(Exit::Usage, message).hint("name a folder that is no link"));
    }
    let fresh = tempfile::Builder::new()
        .prefix(".hoist-")
        .tempdir_in(parent)
        .map_err(CliError::io("write to", parent))?;
    let tree = fresh.path().join("tree");
    copy_tree(artifact, &tree)?;
    let flags = if to.is_dir() && !to.is_symlink() {
        RenameFlags::EXCHANGE
    } else {
        RenameFlags::NOREPLACE
    };
    renameat_with(CWD, &tree, CWD, &to, flags)
        .map_err(|error| CliError::io("move the copy to", &to)(error.into()))?;
    let attributes = parent.join(".gitattributes");
    if !super::lock::has_text(&attributes, GIT_ATTRIBUTES) {
        super::lock::write_whole(&attributes, GIT_ATTRIBUTES)?;
    }
    Ok(()) // what was there before goes with the temporary folder
}

/// Whether the folder `copy` holds exactly what has this NAR hash, in SRI form.
pub(crate) fn is_copy(copy: &Path, nar_hash: &str) -> bool {
    hash_tree(copy).is_ok_and(|(found, _)| found.sri() == nar_hash)
}

/// The files below `folder` of `project`, relative to the project, with what `vendor` adds.
pub(crate) fn vendored_files(project: &Path, copy: &str) -> Result<Vec<String>, CliError> {
    let mut files = Vec::new();
    let parent = Path::new(copy).parent().unwrap_or(Path::new(""));
    files.push(parent.join(".gitattributes").display().to_string());
    list(project, Path::new(copy), &mut files)?;
    Ok(files)
}

fn list(project: &Path, folder: &Path, files: &mut Vec<String>) -> Result<(), CliError> {
    for (name, is_folder) in entries(&project.join(folder))? {
        let path = folder.join(name);
        if is_folder {
            list(project, &path, files)?;
        } else {
            files.push(path.display().to_string());
        }
    }
    Ok(())
}

/// The names in a folder, and whether each is a folder.
fn entries(folder: &Path) -> Result<Vec<(std::ffi::OsString, bool)>, CliError> {
    let read = fs::read_dir(folder).map_err(CliError::io("list", folder))?;
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    read.map(entry).collect::<std::io::Result<_>>().map_err(CliError::io("list", folder))
}

fn empty_folder(folder: &Path) -> Result<Option<std::path::PathBuf>, CliError> {
    let entries = entries(folder)?;
    if entries.is_empty() {
        return Ok(Some(folder.to_owned()));
    }
    for (name, _) in entries.into_iter().filter(|(_, is_folder)| *is_folder) {
        if let Some(empty) = empty_folder(&folder.join(name))? {
            return Ok(Some(empty));
        }
    }
    Ok(None)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), CliError> {
    fs::create_dir(to).map_err(CliError::io("make the folder", to))?;
    for (name, is_folder) in entries(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if is_folder {
            copy_tree(&from, &to)?;
            continue;
        }
        let metadata = from.symlink_metadata().map_err(CliError::io("read", &from))?;
        if metadata.is_symlink() {
            let target = fs::read_link(&from).map_err(CliError::io("read", &from))?;
            symlink(target, &to).map_err(CliError::io("write", &to))?;
        } else {
            fs::copy(&from, &to).map_err(CliError::io("copy", &from))?;
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&to, Permissions::from_mode(mode))
                .map_err(CliError::io("write", &to))?;
        }
    }
    Ok(())
}
