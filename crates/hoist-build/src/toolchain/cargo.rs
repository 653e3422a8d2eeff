//! Rust, by cargo. The toolchain is what `rustc --print sysroot` names; its linker is the system's
//! `cc`. Dependencies are vendored on the host, where the user's registries are set up, and the
//! build runs offline.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hoist_schema::manifest::{Library, ToolchainKind};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::ask::{Grounds, output, remembered};
use super::programs::on_user_path;
use super::{Finder, Places, Prepared, Toolchain, cc};
use crate::digest::sha256_of;
use crate::{BuildError, CacheDirs, WorkDir};

/// Where the toolchain lies in the sandbox.
const INSIDE: &str = "/toolchain";

/// The parts of a sysroot that a build reads; documentation and sources of `std` are not.
const FOLDERS: [&str; 3] = ["bin", "lib", "libexec"];

/// Libraries of a distribution's `rustc` that hold the compiler proper.
const LIBRARIES: [&str; 2] = ["librustc_driver", "libLLVM"];

#[derive(Serialize, Deserialize)]
struct Answer {
    sysroot: PathBuf,
    version: String,
    /// Of a distribution's Rust, what the build runs; empty when the sysroot holds it all.
    programs: Vec<PathBuf>,
}

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Cargo;
    let answer = ask(finder)?;
    let linker = cc::find_linker(finder)?;
    if is_distribution(finder, &answer.sysroot) {
        return of_distribution(finder, answer, &linker.digest);
    }
    let folders: Vec<PathBuf> =
        FOLDERS.iter().map(|name| answer.sysroot.join(name)).filter(|path| path.is_dir()).collect();
    let digest =
        sha256_of(format!("{} {}", finder.book.trees(&folders)?, linker.digest).as_bytes());
    let inside = Path::new(INSIDE);
    let mounts = folders
        .iter()
        .filter_map(|folder| Some((folder.clone(), inside.join(folder.file_name()?))));
    Ok(Toolchain {
        kind,
        version: answer.version,
        digest,
        mounts: mounts.collect(),
        path: vec![(answer.sysroot.join("bin"), inside.join("bin"))],
        runtime: None,
    })
}

/// A distribution's Rust lies among its other programs, so it is identified by its own files.
fn of_distribution(
    finder: &mut Finder<'_>,
    answer: Answer,
    linker_digest: &str,
) -> Result<Toolchain, BuildError> {
    let target_libraries = finder.book.trees(&[answer.sysroot.join("lib/rustlib")])?;
    let mut text = format!("{} {target_libraries} {linker_digest}", answer.version);
    for file in &answer.programs {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        text = format!("{text}\n{name} {}", finder.book.file(file)?);
    }
    let path = own_folders(finder, &answer.sysroot).into_iter().map(|bin| (bin.clone(), bin));
    let digest = sha256_of(text.as_bytes());
    let system = Toolchain::of_the_system(ToolchainKind::Cargo, answer.version, digest);
    Ok(Toolchain { path: path.collect(), ..system })
}

fn is_distribution(finder: &Finder<'_>, sysroot: &Path) -> bool {
    finder.system.shows(&sysroot.join("bin"))
}

/// The folder of a distribution's Rust that the build's `PATH` lacks, such as
/// `/usr/lib/rust-1.85/bin`.
fn own_folders(finder: &Finder<'_>, sysroot: &Path) -> Vec<PathBuf> {
    let bin = sysroot.join("bin");
    if finder.path.contains(&bin) { Vec::new() } else { vec![bin] }
}

/// The compiler proper, which lies in `lib`, or below it in the folder of the architecture.
fn compiler_libraries(sysroot: &Path) -> Vec<PathBuf> {
    let is_compiler = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        LIBRARIES.iter().any(|library| name.starts_with(library)) && name.contains(".so")
    };
    ["lib", "lib64"]
        .iter()
        .flat_map(|lib| WalkDir::new(sysroot.join(lib)).max_depth(2).sort_by_file_name())
        .flatten()
        .filter(is_compiler)
        .map(walkdir::DirEntry::into_path)
        .filter(|file| file.is_file())
        .collect()
}

fn ask(finder: &Finder<'_>) -> Result<Answer, BuildError> {
    let missing = |program: &str| BuildError::NoCompiler {
        program: program.to_owned(),
        toolchain: ToolchainKind::Cargo.as_str(),
        searched: "PATH".to_owned(),
        unseen: None,
    };
    let cargo = on_user_path("cargo").ok_or_else(|| missing("cargo"))?;
    let rustc = on_user_path("rustc").ok_or_else(|| missing("rustc"))?;
    let place = format!("{} {:?}", finder.project.display(), finder.path);
    let memory = format!("cargo-{}.json", &sha256_of(place.as_bytes())[..16]);
    let memory = finder.dirs.root().join("toolchains").join(memory);
    let question = rustup_grounds(finder.project, &cargo, &rustc);
    remembered(&memory, question, || {
        let say = |program: &Path, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).current_dir(finder.project);
            output(command)
        };
        let sysroot = PathBuf::from(say(&rustc, &["--print", "sysroot"])?);
        let is_distribution = is_distribution(finder, &sysroot);
        let (rustc, cargo) = if is_distribution {
            let own = own_folders(finder, &sysroot);
            (finder.program("rustc", &own)?, finder.program("cargo", &own)?)
        } else {
            (sysroot.join("bin/rustc"), sysroot.join("bin/cargo"))
        };
        let version = say(&rustc, &["--version"])?;
        let mut programs = vec![rustc, cargo];
        if is_distribution {
            programs.extend(compiler_libraries(&sysroot));
        }
        let mut grounds = Grounds::default();
        for program in &programs {
            grounds.file(program);
        }
        if !is_distribution {
            programs.clear();
        }
        Ok((Answer { sysroot, version, programs }, grounds))
    })
}

/// All that decides which toolchain rustup's `rustc` stands for.
fn rustup_grounds(project: &Path, cargo: &Path, rustc: &Path) -> Grounds {
    let mut grounds = Grounds::default();
    grounds.file(cargo);
    grounds.file(rustc);
    for name in ["RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "HOME"] {
        grounds.variable(name);
    }
    let rustup = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".rustup")));
    if let Some(rustup) = rustup {
        grounds.file(rustup.join("settings.toml"));
    }
    for folder in project.ancestors() {
        grounds.file(folder.join("rust-toolchain.toml"));
        grounds.file(folder.join("rust-toolchain"));
    }
    grounds
}

pub(super) fn command() -> Vec<String> {
    ["cargo", "build", "--release", "--lib", "--locked", "--offline"].map(str::to_owned).into()
}

pub(super) fn env(places: &Places) -> BTreeMap<String, String> {
    let text = |path: PathBuf| path.display().to_string();
    BTreeMap::from([
        ("CARGO_HOME".to_owned(), text(places.home.join(".cargo"))),
        ("CARGO_TARGET_DIR".to_owned(), text(places.cache.join("target"))),
        ("CARGO_TERM_COLOR".to_owned(), "never".to_owned()),
    ])
}

pub(super) fn built(library: &Library) -> String {
    let name = library.path.rsplit('/').next().unwrap_or(&library.path);
    format!("{{cache}}/target/release/{name}")
}

/// Vendors the dependencies that the lock file pins, once per lock file: in the work folder, which
/// is removed with all else that a killed run leaves, and moved to its place when it is whole.
pub(super) fn prepare(
    project: &Path,
    dirs: &CacheDirs,
    work: &WorkDir,
) -> Result<Prepared, BuildError> {
    let lock_file = project.join("Cargo.lock");
    let Ok(lock) = fs::read_to_string(&lock_file) else {
        return Ok(Prepared::default()); // cargo itself says what `--locked` misses
    };
    if !lock.lines().any(|line| line.starts_with("source = ")) {
        return Ok(Prepared::default());
    }
    let vendor = dirs.folder("vendor")?;
    let kept = vendor.join(sha256_of(lock.as_bytes()));
    if !kept.is_dir() {
        let fresh = work.folder("vendoring")?;
        let config = vendor_into(project, &fresh.join("crates"))?;
        let file = fresh.join("config.toml");
        fs::write(&file, config).map_err(BuildError::io("write", &file))?;
        // After a power cut, a folder under its name must not hold files without their content.
        File::open(&fresh)
            .and_then(|folder| Ok(rustix::fs::syncfs(folder)?))
            .map_err(BuildError::io("write to the disk", &fresh))?;
        match fs::rename(&fresh, &kept) {
            Ok(()) => {}
            Err(_) if kept.is_dir() => {} // another build was faster
            Err(error) => return Err(BuildError::io("keep", &kept)(error)),
        }
    }
    let file = kept.join("config.toml");
    let config = fs::read_to_string(&file).map_err(BuildError::io("read", &file))?;
    Ok(Prepared {
        vendor: Some(kept.join("crates")),
        home_files: vec![(PathBuf::from(".cargo/config.toml"), config)],
    })
}

/// Runs `cargo vendor`, and returns the configuration that makes cargo use the folder, in which
/// `{vendor}` stands for it.
fn vendor_into(project: &Path, folder: &Path) -> Result<String, BuildError> {
    let run = |offline: bool| {
        let mut command = Command::new("cargo");
        command.args(["vendor", "--locked", "--versioned-dirs"]);
        command.args(offline.then_some("--offline"));
        command.arg(folder).current_dir(project).stdin(Stdio::null());
        command.output().map_err(BuildError::io("start", Path::new("cargo")))
    };
    let mut output = run(false)?;
    if !output.status.success() {
        output = run(true)?; // all may be in cargo's own cache
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> =
            said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        return Err(BuildError::NoDependencies { output: lines.join("; ") });
    }
    let config = String::from_utf8_lossy(&output.stdout);
    Ok(config.replace(&folder.display().to_string(), "{vendor}"))
}
