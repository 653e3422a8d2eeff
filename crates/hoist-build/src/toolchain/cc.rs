//! C and C++, by the system's `cc` and `c++`. A driver is identified by the files it hands work
//! to: the compiler proper, the assembler, the linker, and what every link pulls in.

use std::path::{Path, PathBuf};

use hoist_schema::manifest::{Manifest, ToolchainKind};
use serde::{Deserialize, Serialize};

use super::ask::{Grounds, on_path, output, remembered};
use super::{Finder, Toolchain};
use crate::digest::sha256_of;
use crate::{BuildError, Sources};

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
    let program = if kind == ToolchainKind::Cxx { "c++" } else { "cc" };
    let driver = on_path(program).ok_or_else(|| BuildError::NoCompiler {
        program: program.to_owned(),
        toolchain: finder.manifest.build.toolchain.as_str(),
    })?;
    let memory = finder.dirs.root().join("toolchains").join(format!("{}.json", kind.as_str()));
    let mut question = Grounds::default();
    question.file(&driver);
    question.variable("PATH");
    let answer: Answer = remembered(&memory, question, || ask(&driver))?;

    let mut text = answer.version.clone();
    for file in &answer.files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        text = format!("{text}\n{name} {}", finder.book.file(file)?);
    }
    let real = driver.canonicalize().map_err(BuildError::io("find", &driver))?;
    let mut toolchain = Toolchain {
        kind,
        version: answer.version,
        digest: sha256_of(text.as_bytes()),
        mounts: Vec::new(),
        path: Vec::new(),
    };
    if !finder.system.shows(&real) {
        // A compiler of its own prefix: show the prefix at the place it was made for.
        let bin = real.parent().unwrap_or(Path::new("/")).to_owned();
        let prefix = bin.parent().filter(|prefix| prefix.parent().is_some()).unwrap_or(&bin);
        toolchain.mounts.push((prefix.to_owned(), prefix.to_owned()));
        toolchain.path.push((bin.clone(), bin));
    }
    Ok(toolchain)
}

fn ask(driver: &Path) -> Result<(Answer, Grounds), BuildError> {
    let root = Path::new("/");
    let version = output(driver, &["--version"], root)?;
    let version = version.lines().next().unwrap_or("unknown").to_owned();
    let mut files = vec![driver.canonicalize().map_err(BuildError::io("find", driver))?];
    let questions = PROGRAMS
        .map(|program| (format!("-print-prog-name={program}"), program))
        .into_iter()
        .chain(LINKED.map(|file| (format!("-print-file-name={file}"), file)));
    for (question, name) in questions {
        let said = output(driver, &[question], root)?;
        // A driver that does not know a name echoes it.
        let file = if said == name { on_path(name) } else { Some(PathBuf::from(said)) };
        files.extend(file.and_then(|file| file.canonicalize().ok()).filter(|file| file.is_file()));
    }
    files.dedup();
    let mut grounds = Grounds::default();
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
    let (driver, endings): (_, &[&str]) = match kind {
        ToolchainKind::Cxx => ("c++", &[".cc", ".cpp", ".cxx", ".c"]),
        _ => ("cc", &[".c"]),
    };
    let unsaid = |reason: &str| BuildError::Unsaid {
        toolchain: kind.as_str(),
        key: "command",
        reason: reason.to_owned(),
    };
    let [library] = manifest.library.as_slice() else {
        return Err(unsaid("its own command makes one library, and there are several"));
    };
    let is_code = |path: &&str| endings.iter().any(|ending| path.ends_with(ending));
    let code: Vec<&str> =
        sources.files.iter().map(|file| file.path.as_str()).filter(is_code).collect();
    if code.is_empty() {
        return Err(unsaid("[build] sources name no file that it compiles"));
    }
    let soname = library.path.rsplit('/').next().unwrap_or(&library.path);
    let mut command: Vec<String> =
        [driver, "-shared", "-fPIC", "-O2", "-Iinclude"].map(str::to_owned).into();
    command.push(format!("-Wl,-soname,{soname},-z,relro,-z,now"));
    command.extend(["-o".to_owned(), format!("{{out}}/{}", library.path)]);
    command.extend(code.into_iter().map(str::to_owned));
    Ok(command)
}
