//! Libraries of the compiler that what it made needs at run time, packed beside it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use hoist_elf::ElfFacts;
use hoist_schema::manifest::Manifest;

use super::outputs::collect;
use crate::beneath::open_file;
use crate::toolchain::Places;
use crate::{BuildError, Toolchain};

/// Largest library that is asked what it needs, in bytes. A larger one is left for the check to say.
const MAX_BYTES: u64 = 1 << 30;

/// Copies from the toolchain's runtime what the libraries need and the build did not leave itself,
/// and what that needs in turn.
pub(super) fn pack_runtime(
    manifest: &Manifest,
    toolchain: &Toolchain,
    host: &Places,
) -> Result<(), BuildError> {
    let Some(runtime) = &toolchain.runtime else { return Ok(()) };
    for library in &manifest.library {
        let folder = library.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut asked = vec![library.path.clone()];
        while let Some(path) = asked.pop() {
            for name in needed(&host.out, Path::new(&path))? {
                let packed =
                    if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let from = runtime.join(&name);
                if name.contains('/')
                    || host.out.join(&packed).symlink_metadata().is_ok()
                    || !from.is_file()
                {
                    continue;
                }
                let file = File::open(&from).map_err(BuildError::io("open", &from))?;
                collect(file, &from, &host.out, &packed)?;
                asked.push(packed);
            }
        }
    }
    Ok(())
}

/// The names that a library asks the loader for; none when it is no library, which the check says.
fn needed(out: &Path, path: &Path) -> Result<Vec<String>, BuildError> {
    let Ok(Some(file)) = open_file(out, path) else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(BuildError::io("read", &out.join(path)))?;
    Ok(ElfFacts::read(&bytes).map(|facts| facts.dynamic.needed).unwrap_or_default())
}
