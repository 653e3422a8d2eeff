//! What a build must leave behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hoist_schema::manifest::Manifest;
use rustix::fs::Mode;

use crate::beneath::{create_file, open_file, remove_file};
use crate::staging::files_below;
use crate::toolchain::{self, Places};
use crate::{BuildError, Toolchain};

/// Compilers that write to `{out}` expect the folder of each library to be there.
pub(super) fn make_library_folders(manifest: &Manifest, out: &Path) -> Result<(), BuildError> {
    for library in &manifest.library {
        if let Some(folder) = out.join(&library.path).parent() {
            fs::create_dir_all(folder).map_err(BuildError::io("make the folder", folder))?;
        }
    }
    Ok(())
}

/// Removes what an earlier build left in the compiler's cache: one that no longer makes the library
/// must not ship the old one. All else that `built` names is new in each build, or a source.
pub(super) fn forget_earlier_outputs(
    manifest: &Manifest,
    toolchain: &Toolchain,
    host: &Places,
) -> Result<(), BuildError> {
    for library in &manifest.library {
        let Some(built) = toolchain::built(toolchain.kind, library) else { continue };
        if let Some(path) = built.strip_prefix(IN_CACHE) {
            remove_file(&host.cache, Path::new(path))?;
        }
    }
    Ok(())
}

/// Takes the libraries from where the build left them, unless it wrote them to `{out}` itself.
pub(super) fn collect_libraries(
    manifest: &Manifest,
    toolchain: &Toolchain,
    host: &Places,
) -> Result<(), BuildError> {
    for library in &manifest.library {
        let packed = host.out.join(&library.path).symlink_metadata();
        if packed.is_ok_and(|packed| packed.is_file() || packed.is_symlink()) {
            continue; // where a symlink leads is for the check to say
        }
        let Some(built) = toolchain::built(toolchain.kind, library) else {
            return Err(no_output(&library.path, &host.out));
        };
        let (root, path) = place_of(&built, host);
        let Some(file) = open_file(root, path)? else {
            let folder = path.parent().map_or(root.to_owned(), |folder| root.join(folder));
            return Err(no_output(&path.display().to_string(), &folder));
        };
        collect(file, &root.join(path), &host.out, &library.path)?;
    }
    Ok(())
}

/// How `built` begins when it names a file of the compiler's cache.
const IN_CACHE: &str = "{cache}/";

/// The folder that a `built` path starts in, and the path beneath it.
fn place_of<'b>(built: &'b str, host: &'b Places) -> (&'b Path, &'b Path) {
    let (root, path) = if let Some(path) = built.strip_prefix(IN_CACHE) {
        (&host.cache, path)
    } else if let Some(path) = built.strip_prefix("{out}/") {
        (&host.out, path)
    } else {
        (&host.source, built)
    };
    (root, Path::new(path))
}

/// Copies what a build left to its place in the artifact.
pub(super) fn collect(
    mut built: File,
    from: &Path,
    out: &Path,
    path: &str,
) -> Result<(), BuildError> {
    let cannot_copy = |error| BuildError::io("copy the library", from)(error);
    let mode = built.metadata().map_err(cannot_copy)?.mode() & 0o777; // set-user-id stays behind
    let mut packed = create_file(out, Path::new(path), Mode::from_raw_mode(mode))?;
    io::copy(&mut built, &mut packed).map_err(cannot_copy)?;
    Ok(())
}

fn no_output(expected: &str, folder: &Path) -> BuildError {
    let libraries = files_below(folder, 1000)
        .into_iter()
        .filter(|path| path.components().count() <= 2)
        .filter(|path| path.extension().is_some_and(|ending| ending == "so"))
        .map(|path| format!("`{}`", path.display()))
        .collect::<Vec<_>>();
    let found = match libraries.as_slice() {
        [] => "no shared library".to_owned(),
        some => some.join(", "),
    };
    BuildError::NoOutput { expected: expected.to_owned(), found }
}
