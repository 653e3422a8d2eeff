//! What a build must leave behind.

use std::fs;
use std::io;
use std::path::Path;

use hoist_schema::manifest::Manifest;

use super::surroundings::resolve;
use crate::staging::{collect, files_below};
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
/// must not ship the old one.
pub(super) fn forget_earlier_outputs(
    manifest: &Manifest,
    toolchain: &Toolchain,
    host: &Places,
) -> Result<(), BuildError> {
    for library in &manifest.library {
        let Some(built) = toolchain::built(toolchain.kind, library) else { continue };
        let file = host.source.join(resolve(&built, host));
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BuildError::io("remove the earlier", &file)(error));
            }
            _ => {}
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
        let packed = host.out.join(&library.path);
        let built = toolchain::built(toolchain.kind, library)
            .map(|path| host.source.join(resolve(&path, host)));
        if packed.is_file() {
            continue;
        }
        match built {
            Some(built) if built.is_file() => collect(&built, &packed)?,
            Some(built) => {
                let folder = built.parent().unwrap_or(&host.cache);
                let expected = built.strip_prefix(&host.cache).unwrap_or(&built);
                return Err(no_output(&expected.display().to_string(), folder));
            }
            None => return Err(no_output(&library.path, &host.out)),
        }
    }
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
