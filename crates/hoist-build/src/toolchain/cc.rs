//! C and C++, by the `cc` and `c++` on the build's search path. A driver is identified by the files it hands work
//! to: the compiler proper, the assembler, the linker, and what every link pulls in.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_schema::manifest::{Manifest, ToolchainKind};
use serde::{Deserialize, Serialize};

use super::ask::{Grounds, output, remembered};
use super::defaults::{code, soname, the_library};
use super::programs::{Identity, locate};
use super::{Finder, Toolchain};
use crate::digest::sha256_of;
use crate::{BuildError, Sources};

/// Names of drivers that answer `-print-prog-name` and `-print-file-name`.
const DRIVERS: [&str; 6] = ["cc", "c++", "gcc", "g++", "clang", "clang++"];

/// Programs a driver may call.
const PROGRAMS: [&str; 6] = ["cc1", "cc1plus", "as", "ld", "collect2", "lto-wrapper"];

/// Files that links pull in.
const LINKED: [&str; 8] = [
    "crti.o",
    "crtn.o",
    "crtbeginS.o",
    "crtendS.o",
    "libgcc.a",
    "libc.so.6",
    "libm.so.6",
    "libstdc++.so",
];

#[derive(Serialize, Deserialize)]
struct Answer {
    version: String,
    files: Vec<PathBuf>,
}

pub(super) fn find(finder: &mut Finder<'_>, kind: ToolchainKind) -> Result<Toolchain, BuildError> {
    let build = &finder.manifest.build;
    let own = build.command.as_ref().and_then(|command| command.first());
    // A driver of the manifest's own command is the compiler, in place of the preset's.
    let program = match own {
        Some(own) if is_driver(own) => own.as_str(),
        _ => build.compiler.as_deref().unwrap_or_else(|| preset_driver(kind)),
    };
    let driver = finder.program(program, &[])?;
    let Identity { version, digest } = identify(finder, &driver)?;
    Ok(Toolchain::of_the_system(kind, version, digest))
}

/// The system's `cc`, which links what other compilers made.
pub(super) fn find_linker(finder: &mut Finder<'_>) -> Result<Identity, BuildError> {
    let driver = finder.program(preset_driver(ToolchainKind::Cc), &[])?;
    identify(finder, &driver)
}

fn preset_driver(kind: ToolchainKind) -> &'static str {
    if kind == ToolchainKind::Cxx { "c++" } else { "cc" }
}

/// Whether a program is by its name a driver that can be asked for its files, such as
/// `/usr/bin/x86_64-linux-gnu-gcc-12`. Others are not started to find out.
pub(super) fn is_driver(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    let is_relative_path = program.contains('/') && !program.starts_with('/');
    !is_relative_path && name.split('-').any(|part| DRIVERS.contains(&part))
}

/// Identifies a driver by its version text and the files it says it uses.
pub(super) fn identify(finder: &mut Finder<'_>, driver: &Path) -> Result<Identity, BuildError> {
    let path = env::join_paths(&finder.path).unwrap_or_default();
    let place = [driver.as_os_str().as_encoded_bytes(), path.as_encoded_bytes()].join(&0);
    let memory = format!("cc-{}.json", &sha256_of(&place)[..16]);
    let memory = finder.dirs.root().join("toolchains").join(memory);
    let mut question = Grounds::default();
    question.file(driver);
    let answer: Answer = remembered(&memory, question, || ask(driver, &finder.path))?;

    let mut text = answer.version.clone();
    for file in &answer.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        text = format!("{text}\n{name} {}", finder.book.file(file)?);
    }
    Ok(Identity { version: answer.version, digest: sha256_of(text.as_bytes()) })
}

/// Asks a driver, with the build's search path and nothing else of the user's environment.
fn ask(driver: &Path, folders: &[PathBuf]) -> Result<(Answer, Grounds), BuildError> {
    let path = env::join_paths(folders).unwrap_or_default();
    let say = |question: &str| {
        let mut command = Command::new(driver);
        command.arg(question).current_dir("/").env_clear().env("PATH", &path);
        output(command)
    };
    let version = say("--version")?;
    let version = version.lines().next().unwrap_or("unknown").to_owned();
    let mut files = vec![driver.canonicalize().map_err(BuildError::io("find", driver))?];
    let mut grounds = Grounds::default();
    let questions = PROGRAMS
        .map(|program| (format!("-print-prog-name={program}"), program))
        .into_iter()
        .chain(LINKED.map(|file| (format!("-print-file-name={file}"), file)));
    for (question, name) in questions {
        let said = say(&question)?;
        // A driver that does not know a name echoes it, and searches for programs when it runs.
        let file = if said == name {
            for folder in folders {
                grounds.file(folder.join(name));
            }
            locate(name, folders)
        } else {
            Some(PathBuf::from(said))
        };
        files.extend(file.and_then(|file| file.canonicalize().ok()).filter(|file| file.is_file()));
    }
    files.dedup();
    for file in &files {
        grounds.file(file);
    }
    Ok((Answer { version, files }, grounds))
}

/// Compiles every C or C++ source in one go; the manifest's single library is the output.
pub(super) fn command(
    kind: ToolchainKind,
    manifest: &Manifest,
    sources: &Sources,
) -> Result<Vec<String>, BuildError> {
    let driver = manifest.build.compiler.as_deref().unwrap_or_else(|| preset_driver(kind));
    let endings: &[&str] = match kind {
        ToolchainKind::Cxx => &[".cc", ".cpp", ".cxx", ".c"],
        _ => &[".c"],
    };
    let library = the_library(kind, manifest)?;
    let code = code(kind, sources, endings)?;
    let mut command: Vec<String> =
        [driver, "-shared", "-fPIC", "-O2", "-Iinclude"].map(str::to_owned).into();
    command.push(format!("-Wl,-soname,{},-z,relro,-z,now", soname(library)));
    command.extend(["-o".to_owned(), format!("{{out}}/{library}")]);
    command.extend(code.into_iter().map(str::to_owned));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_known_by_their_names() {
        for driver in ["cc", "clang++", "gcc-12", "/usr/bin/x86_64-linux-gnu-gcc-12"] {
            assert!(is_driver(driver), "{driver}");
        }
        for other in ["make", "sh", "clang-format-wrapper/run", "tools/cc", "gccgo"] {
            assert!(!is_driver(other), "{other}");
        }
    }
}
