//! Programs as builds find them. The search path of a build is not the user's: it is the folders of
//! the toolchain, `bin` of each folder of `[build] system`, `/usr/bin` and `/bin`, or what
//! `[build] env` says. What is identified must be what runs, so it is searched for there.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hoist_sandbox::System;
use hoist_schema::manifest::Manifest;

use super::{Finder, cc};
use crate::BuildError;

/// What stands for a program in a toolchain's digest.
pub(super) struct Identity {
    /// What it says of itself, or its name.
    pub(super) version: String,
    /// SHA-256 over its files, in base16.
    pub(super) digest: String,
}

/// The build's `PATH` after the toolchain's own folders.
pub(super) fn search_path(manifest: &Manifest) -> Vec<PathBuf> {
    if let Some(path) = manifest.build.env.get("PATH") {
        return env::split_paths(path).collect();
    }
    let own = manifest.build.system.iter().map(|folder| Path::new(folder).join("bin"));
    own.filter(|bin| bin.is_dir()).chain(System::PATH.map(PathBuf::from)).collect()
}

/// Finds a program in `folders` as `execvp` does, without resolving links: what a link is called
/// may matter.
pub(super) fn locate(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        let runs = |found: fs::Metadata| found.is_file() && found.mode() & 0o111 != 0;
        fs::metadata(file).is_ok_and(runs)
    };
    folders.iter().map(|folder| folder.join(program)).find(runs)
}

/// Finds a program on the user's `PATH`.
pub(super) fn on_user_path(program: &str) -> Option<PathBuf> {
    locate(program, &env::split_paths(&env::var_os("PATH")?).collect::<Vec<_>>())
}

impl Finder<'_> {
    /// Where the build finds `program`, searching `own` folders of the toolchain first.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoCompiler`] when it finds none, or only a link to where builds do not see.
    pub(super) fn program(&self, program: &str, own: &[PathBuf]) -> Result<PathBuf, BuildError> {
        if program.starts_with('/') {
            let file = PathBuf::from(program);
            return if file.is_file() { Ok(file) } else { Err(self.missing(program, None)) };
        }
        let folders = [own, &self.path].concat();
        let Some(found) = locate(program, &folders) else {
            return Err(self.missing(program, on_user_path(program)));
        };
        let real = found.canonicalize().map_err(BuildError::io("find", &found))?;
        let is_seen = self.system.shows(&real)
            || own.iter().any(|folder| found.starts_with(folder))
            || self.manifest.build.system.iter().any(|folder| real.starts_with(folder));
        if is_seen { Ok(found) } else { Err(self.missing(program, Some(real))) }
    }

    fn missing(&self, program: &str, unseen: Option<PathBuf>) -> BuildError {
        let folders: Vec<_> = self.path.iter().map(|folder| folder.display().to_string()).collect();
        BuildError::NoCompiler {
            program: program.to_owned(),
            toolchain: self.manifest.build.toolchain.as_str(),
            searched: format!("the build's PATH, {}", folders.join(":")),
            unseen,
        }
    }

    /// Identifies the program of the manifest's own command, if it has one. One among the sources
    /// counts there.
    pub(super) fn own_program(&mut self, own: &[PathBuf]) -> Result<Option<Identity>, BuildError> {
        let command = self.manifest.build.command.as_ref();
        match command.and_then(|command| command.first()) {
            Some(program) if is_source(program) => Ok(None),
            Some(program) => self.identify(program, own).map(Some),
            None => Ok(None),
        }
    }

    fn identify(&mut self, program: &str, own: &[PathBuf]) -> Result<Identity, BuildError> {
        let file = self.program(program, own)?;
        if cc::is_driver(program) {
            return cc::identify(self, &file);
        }
        Ok(Identity { version: program.to_owned(), digest: self.book.file(&file)? })
    }
}

/// A relative path is searched for in the build's folder, where nothing but sources is.
fn is_source(program: &str) -> bool {
    program.contains('/') && !program.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CacheDirs;
    use crate::digest::DigestBook;

    /// Calls `look` with a finder for `build`, lines of the manifest's `[build]`.
    fn with_finder<T>(build: &str, look: impl FnOnce(&mut Finder<'_>) -> T) -> T {
        let home = tempfile::tempdir().unwrap();
        let text = format!(
            "[package]\nname = \"a\"\nversion = \"1\"\n[build]\nsources = [\"a.c\"]\n{build}\n\
             [[library]]\npath = \"lib/liba.so\"\nexports = [\"a\"]\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        look(&mut Finder {
            project: home.path(),
            manifest: &manifest,
            dirs: &CacheDirs::new(home.path()),
            system: System::of_this_host(),
            path: search_path(&manifest),
            book: DigestBook::open(home.path().join("book.json")),
        })
    }

    fn program(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn system_folders_come_before_the_distribution() {
        let opt = tempfile::tempdir().unwrap();
        let own = program(opt.path(), "bin/sh", 0o755);
        let build = format!("toolchain = \"cc\"\nsystem = [\"{}\"]", opt.path().display());
        let found = with_finder(&build, |finder| finder.program("sh", &[]).unwrap());
        assert_eq!(found, own);
        let found = with_finder("toolchain = \"cc\"", |finder| finder.program("sh", &[]).unwrap());
        assert_eq!(found, Path::new("/usr/bin/sh"));
    }

    #[test]
    fn a_path_in_the_environment_of_the_manifest_is_the_one_that_is_searched() {
        let build = "toolchain = \"cc\"\nenv = { PATH = \"/bin:/usr/bin\" }";
        let found = with_finder(build, |finder| finder.program("sh", &[]).unwrap());
        assert_eq!(found, Path::new("/bin/sh"));
    }

    #[test]
    fn what_may_not_be_executed_is_passed_over() {
        let opt = tempfile::tempdir().unwrap();
        program(opt.path(), "one/tool", 0o644);
        let second = program(opt.path(), "two/tool", 0o755);
        let folders = ["one", "two"].map(|name| opt.path().join(name));
        assert_eq!(locate("tool", &folders), Some(second));
    }

    #[test]
    fn a_link_to_where_builds_do_not_see_is_refused_with_the_place() {
        let (opt, hidden) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = program(hidden.path(), "bin/tool", 0o755);
        fs::create_dir(opt.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(&target, opt.path().join("bin/tool")).unwrap();
        let build = format!("toolchain = \"cc\"\nsystem = [\"{}\"]", opt.path().display());
        let refusal = with_finder(&build, |finder| finder.program("tool", &[]).unwrap_err());
        assert!(refusal.to_string().starts_with("no `tool` on the build's PATH, "), "{refusal}");
        assert!(refusal.hint().unwrap().contains(&target.display().to_string()));
    }

    #[test]
    fn the_program_of_a_preset_s_own_command_counts_by_its_content() {
        let opt = tempfile::tempdir().unwrap();
        let tool = program(opt.path(), "tool", 0o755);
        let build = format!("toolchain = \"cargo\"\ncommand = [\"{}\"]", tool.display());
        let digest =
            || with_finder(&build, |finder| finder.own_program(&[]).unwrap().unwrap().digest);
        let first = digest();
        fs::write(&tool, "#!/bin/sh\n:\n").unwrap();
        assert_ne!(digest(), first);
    }

    #[test]
    fn only_a_relative_path_is_a_source() {
        assert!(is_source("tools/compile") && is_source("./compile"));
        assert!(!is_source("cc") && !is_source("/opt/cc"));
    }
}
