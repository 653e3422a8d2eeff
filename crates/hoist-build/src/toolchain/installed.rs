//! Compilers that the user installed, as a Python wheel or elsewhere outside the distribution: which
//! one is meant, and in which tree it lies.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use hoist_schema::manifest::ToolchainKind;

use super::Finder;
use super::programs::{locate, on_user_path};
use crate::BuildError;

/// A project's own virtual environment, where `python -m venv` and its kin are told to put it.
const VENV_BIN: &str = ".venv/bin";

/// Longest first line of a script, in bytes. Linux reads no more of one.
const MAX_SHEBANG: u64 = 256;

impl Finder<'_> {
    /// Where one of `programs` is, or what `[build] compiler` names in their place: in `bin` of the
    /// folders of `[build] system`, then in the project's `.venv`, then on the user's `PATH`.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoCompiler`] when it is nowhere.
    pub(super) fn installed(&self, programs: &[&str]) -> Result<PathBuf, BuildError> {
        let build = &self.manifest.build;
        let named = build.compiler.as_deref();
        let missing = |searched: &str| BuildError::NoCompiler {
            program: named.or(programs.first().copied()).unwrap_or_default().to_owned(),
            toolchain: build.toolchain.as_str(),
            searched: searched.to_owned(),
            unseen: None,
        };
        if let Some(path) = named.filter(|named| named.contains('/')) {
            let file = self.project.join(path);
            return if file.is_file() { Ok(file) } else { Err(missing("disk")) };
        }
        let mut folders: Vec<PathBuf> =
            build.system.iter().map(|folder| Path::new(folder).join("bin")).collect();
        folders.push(self.project.join(VENV_BIN));
        let programs = named.as_ref().map_or(programs, std::slice::from_ref);
        let in_folders = programs.iter().find_map(|program| locate(program, &folders));
        in_folders
            .or_else(|| programs.iter().find_map(|program| on_user_path(program)))
            .ok_or_else(|| missing("PATH or in the project's .venv"))
    }
}

/// The tree that `found` starts: the one the program itself lies in, or the wheel behind the script
/// that `pip` puts in its place.
///
/// - `wheel`: the tree's folder among a Python's packages.
/// - `inside`: the compiler in that tree, and whose folder in a tree that no wheel brought has
///   the same name: `bin/mojo`, `zig`.
/// - `is_whole`: whether a folder holds all that the compiler needs.
///
/// # Errors
///
/// [`BuildError::NoTree`] when neither leads to a whole one.
pub(super) fn tree_of(
    found: &Path,
    kind: ToolchainKind,
    wheel: &str,
    inside: &str,
    is_whole: impl Fn(&Path) -> bool,
) -> Result<PathBuf, BuildError> {
    let real = found.canonicalize().map_err(BuildError::io("find", found))?;
    let own = real.ancestors().nth(inside.split('/').count()).map(Path::to_owned);
    let behind_script = prefixes(&real).into_iter().flat_map(|prefix| packages(&prefix));
    own.into_iter()
        .chain(behind_script.map(|packages| packages.join(wheel)))
        .find(|tree| tree.join(inside).is_file() && is_whole(tree))
        .ok_or_else(|| BuildError::NoTree {
            program: real,
            toolchain: kind.as_str(),
            wanted: format!("{wheel}/{inside}"),
        })
}

/// The version of the wheel that brought `tree`, by the name of its `dist-info` beside it. The
/// compiler is not started to say it: it may have come with somebody's repository.
pub(super) fn wheel_version(tree: &Path, wheel: &str) -> Option<String> {
    let entries = fs::read_dir(tree.parent()?).ok()?;
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.find_map(|name| {
        let rest = name.to_str()?.strip_prefix(wheel)?.strip_prefix('-')?;
        rest.strip_suffix(".dist-info").map(str::to_owned)
    })
}

/// The installations that a script belongs to: the one whose `bin` it lies in, and that of the
/// Python which runs it.
fn prefixes(script: &Path) -> Vec<PathBuf> {
    let beside = script.ancestors().nth(2).map(Path::to_owned);
    let of_python =
        interpreter(script).and_then(|python| python.ancestors().nth(2).map(Path::to_owned));
    beside.into_iter().chain(of_python).collect()
}

/// What the first line of a script names, without resolving links: a virtual environment's Python
/// is one.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    let file = File::open(script).ok()?;
    BufReader::new(file.take(MAX_SHEBANG)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8(line).ok()?;
    let program = line.strip_prefix("#!")?.split_whitespace().next()?;
    program.starts_with('/').then(|| PathBuf::from(program))
}

/// The folders of Python packages in an installation, of each version that is there.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        let Ok(entries) = fs::read_dir(prefix.join(lib)) else { continue };
        let mut versions: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .map(|entry| entry.path())
            .collect();
        versions.sort();
        for version in versions {
            found.extend(["site-packages", "dist-packages"].map(|name| version.join(name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn program(file: &Path, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn tree(found: &Path) -> Result<PathBuf, BuildError> {
        let is_whole = |tree: &Path| tree.join("lib/mojo").is_dir();
        tree_of(found, ToolchainKind::Mojo, "modular", "bin/mojo", is_whole)
    }

    /// A wheel's tree in the virtual environment `venv`.
    fn install(venv: &Path) -> PathBuf {
        let tree = venv.join("lib/python3.11/site-packages/modular");
        program(&tree.join("bin/mojo"), "\x7fELF");
        fs::create_dir_all(tree.join("lib/mojo")).unwrap();
        tree
    }

    #[test]
    fn a_script_of_a_virtual_environment_leads_to_its_wheel() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let venv = home.join(".venv");
        let wanted = install(&venv);
        program(&venv.join("bin/mojo"), "#!/usr/bin/python3\n");
        assert_eq!(tree(&venv.join("bin/mojo")).unwrap(), wanted);
        symlink(venv.join("bin/mojo"), home.join("mojo")).unwrap();
        assert_eq!(tree(&home.join("mojo")).unwrap(), wanted);
    }

    #[test]
    fn a_script_that_was_copied_leads_to_the_python_it_names() {
        let home = tempfile::tempdir().unwrap();
        let wanted = install(home.path());
        let script = home.path().join("elsewhere/bin/mojo");
        program(&script, &format!("#!{}/bin/python3\n", home.path().display()));
        assert_eq!(tree(&script).unwrap(), wanted);
    }

    #[test]
    fn a_wheels_version_is_read_and_not_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let tree = install(home.path());
        assert_eq!(wheel_version(&tree, "mojo_compiler"), None);
        for name in
            ["mojo-9.dist-info", "mojo_compiler-1.2.0.dist-info", "mojo_compiler_x-3.dist-info"]
        {
            fs::create_dir(tree.with_file_name(name)).unwrap();
        }
        assert_eq!(wheel_version(&tree, "mojo_compiler").as_deref(), Some("1.2.0"));
    }

    #[test]
    fn the_compiler_itself_lies_in_its_tree() {
        let home = tempfile::tempdir().unwrap();
        let wanted = install(&home.path().canonicalize().unwrap());
        assert_eq!(tree(&wanted.join("bin/mojo")).unwrap(), wanted);
    }

    #[test]
    fn a_script_without_a_wheel_is_refused_with_what_was_wanted() {
        let home = tempfile::tempdir().unwrap();
        let script = home.path().join("bin/mojo");
        program(&script, "#!/bin/sh\n");
        let refusal = tree(&script).unwrap_err().to_string();
        assert!(
            refusal.ends_with("leads to no `modular/bin/mojo` of a whole installation"),
            "{refusal}"
        );
    }
}
