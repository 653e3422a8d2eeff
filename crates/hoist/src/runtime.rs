//! The Python runtime, carried inside the command and laid out below the cache folder, so that a
//! host needs nothing but `hoist` for `import hoist_runtime` to work.

use std::fs;
use std::path::PathBuf;

use hoist_build::CacheDirs;
use hoist_nix::Sha256Hash;

use crate::error::CliError;

/// The files of `python/hoist_runtime`.
const FILES: [(&str, &str); 10] = [
    ("__init__.py", include_str!("../../../python/hoist_runtime/__init__.py")),
    ("__main__.py", include_str!("../../../python/hoist_runtime/__main__.py")),
    ("abi.py", include_str!("../../../python/hoist_runtime/abi.py")),
    ("artifact.py", include_str!("../../../python/hoist_runtime/artifact.py")),
    ("binding.py", include_str!("../../../python/hoist_runtime/binding.py")),
    ("buffers.py", include_str!("../../../python/hoist_runtime/buffers.py")),
    ("errors.py", include_str!("../../../python/hoist_runtime/errors.py")),
    ("parse.py", include_str!("../../../python/hoist_runtime/parse.py")),
    ("profile.py", include_str!("../../../python/hoist_runtime/profile.py")),
    ("py.typed", include_str!("../../../python/hoist_runtime/py.typed")),
];

/// SHA-256 over the files, in base16.
pub(crate) fn runtime_digest() -> String {
    let text = FILES.map(|(name, content)| [name, content].join("\0")).join("\0");
    Sha256Hash::of(text.as_bytes()).base16()
}

/// The folder to put on `PYTHONPATH`; made when it is not there.
pub(crate) fn materialise_runtime(cache: &CacheDirs) -> Result<PathBuf, CliError> {
    let digest = runtime_digest();
    let parent = cache.folder("python")?;
    let folder = parent.join(&digest[..16]);
    if folder.is_dir() {
        return Ok(folder);
    }
    let fresh = tempfile::tempdir_in(&parent).map_err(CliError::io("write to", &parent))?;
    let package = fresh.path().join("hoist_runtime");
    fs::create_dir(&package).map_err(CliError::io("make", &package))?;
    for (name, content) in FILES {
        let file = package.join(name);
        fs::write(&file, content).map_err(CliError::io("write", &file))?;
    }
    match fs::rename(fresh.path(), &folder) {
        Ok(()) => drop(fresh.keep()),
        Err(_) if folder.is_dir() => {} // another process was faster
        Err(error) => return Err(CliError::io("make", &folder)(error)),
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_carried() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/hoist_runtime");
        let mut there: Vec<String> = fs::read_dir(source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "__pycache__")
            .collect();
        there.sort();
        assert_eq!(FILES.map(|(name, _)| name.to_owned()).to_vec(), there);
    }

    #[test]
    fn the_runtime_is_laid_out_once() {
        let home = tempfile::tempdir().unwrap();
        let cache = CacheDirs::new(home.path());
        let first = materialise_runtime(&cache).unwrap();
        assert!(first.join("hoist_runtime/artifact.py").is_file());
        assert_eq!(materialise_runtime(&cache).unwrap(), first);
    }
}
