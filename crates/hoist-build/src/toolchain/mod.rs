//! Toolchains: how a compiler is found, what identifies it, and what its builds need. One preset,
//! one file.

mod ask;
mod cargo;
mod cc;
mod custom;
mod defaults;
mod go;
mod installed;
mod mojo;
mod programs;
mod zig;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hoist_sandbox::System;
use hoist_schema::manifest::{Library, Manifest, ToolchainKind};

use crate::digest::{DigestBook, sha256_of};
use crate::{BuildError, CacheDirs, Sources, WorkDir};

/// A compiler that was found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// Its preset.
    pub kind: ToolchainKind,
    /// What it says of itself, for people, e.g. `rustc 1.95.0`.
    pub version: String,
    /// SHA-256 over all its files, in base16; the same compiler on another host has the same.
    pub digest: String,
    /// Host folders to mount read-only: host path, path in the sandbox.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
    /// Folders of its programs: host path, path in the sandbox. The system's come after them.
    pub(crate) path: Vec<(PathBuf, PathBuf)>,
    /// Host folder of the libraries that what it compiles may need at run time. Those that are
    /// needed are packed beside the library, since hosts do not have them.
    pub(crate) runtime: Option<PathBuf>,
}

impl Toolchain {
    /// A toolchain that lies among the distribution's programs, where every build sees it.
    pub(crate) fn of_the_system(kind: ToolchainKind, version: String, digest: String) -> Self {
        let (mounts, path) = (Vec::new(), Vec::new());
        Self { kind, version, digest, mounts, path, runtime: None }
    }
}

/// The folders a build works with: at fixed places in the sandbox, so that debug information is
/// the same on every host; wherever they lie when there is no sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The sources, read-only; builds start here.
    pub(crate) source: PathBuf,
    /// The output tree.
    pub(crate) out: PathBuf,
    /// What the compiler keeps between builds.
    pub(crate) cache: PathBuf,
    /// The home folder, empty at first but for the preset's files.
    pub(crate) home: PathBuf,
    /// Dependencies that were fetched beforehand, read-only.
    pub(crate) vendor: PathBuf,
    /// Whether these are places of the host, and the build runs there.
    pub(crate) on_host: bool,
}

/// What a preset prepared on the host before the build.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Folder with fetched dependencies.
    pub(crate) vendor: Option<PathBuf>,
    /// Files for the home folder: path below it, content.
    pub(crate) home_files: Vec<(PathBuf, String)>,
}

/// What finding a toolchain needs to know.
pub(crate) struct Finder<'a> {
    pub(crate) project: &'a Path,
    pub(crate) manifest: &'a Manifest,
    pub(crate) dirs: &'a CacheDirs,
    pub(crate) system: System,
    /// The build's `PATH` after the toolchain's own folders.
    pub(crate) path: Vec<PathBuf>,
    pub(crate) book: DigestBook,
}

/// Finds the toolchain that `manifest` names, for the project at `project`.
///
/// Compilers are asked about themselves once; as long as their files stay the same, the answer is
/// remembered below `dirs`.
///
/// # Errors
///
/// [`BuildError::NoCompiler`] when it is not installed, [`BuildError::NoPreset`] when this version
/// does not know it.
pub fn find(
    project: &Path,
    manifest: &Manifest,
    dirs: &CacheDirs,
) -> Result<Toolchain, BuildError> {
    let kind = manifest.build.toolchain;
    for remembered in ["digests", "toolchains"] {
        let _ = dirs.folder(remembered); // memory that cannot be kept costs time only
    }
    let book =
        DigestBook::open(dirs.root().join("digests").join(format!("{}.json", kind.as_str())));
    let system = System::of_this_host();
    let path = programs::search_path(manifest);
    let mut finder = Finder { project, manifest, dirs, system, path, book };
    let toolchain = match kind {
        ToolchainKind::Cargo => cargo::find(&mut finder),
        ToolchainKind::Cc | ToolchainKind::Cxx => cc::find(&mut finder, kind),
        ToolchainKind::Custom => custom::find(&mut finder),
        ToolchainKind::Go => go::find(&mut finder),
        ToolchainKind::Mojo => mojo::find(&mut finder),
        ToolchainKind::Zig => zig::find(&mut finder),
        other => Err(BuildError::NoPreset { toolchain: other.as_str() }),
    };
    let toolchain = toolchain
        .and_then(|toolchain| with_own_command(toolchain, &mut finder))
        .and_then(|toolchain| with_system_folders(toolchain, &mut finder));
    finder.book.save();
    toolchain
}

/// Adds the program that the manifest starts instead of the preset's.
fn with_own_command(
    mut toolchain: Toolchain,
    finder: &mut Finder<'_>,
) -> Result<Toolchain, BuildError> {
    let own: Vec<PathBuf> = toolchain.path.iter().map(|(host, _)| host.clone()).collect();
    if let Some(program) = finder.own_program(&own)? {
        toolchain.digest = sha256_of(format!("{} {}", toolchain.digest, program.digest).as_bytes());
    }
    Ok(toolchain)
}

/// Adds the folders of `[build] system`: mounted where they are, programs first on `PATH`, and
/// part of what identifies the toolchain.
fn with_system_folders(
    mut toolchain: Toolchain,
    finder: &mut Finder<'_>,
) -> Result<Toolchain, BuildError> {
    let folders: Vec<PathBuf> = finder.manifest.build.system.iter().map(PathBuf::from).collect();
    if folders.is_empty() {
        return Ok(toolchain);
    }
    let digest = finder.book.trees(&folders)?;
    toolchain.digest = sha256_of(format!("{} {digest}", toolchain.digest).as_bytes());
    for folder in folders {
        let bin = folder.join("bin");
        if bin.is_dir() {
            toolchain.path.push((bin.clone(), bin));
        }
        toolchain.mounts.push((folder.clone(), folder));
    }
    Ok(toolchain)
}

/// The command of the manifest, or the preset's own; with `{out}` and `{cache}` unresolved.
pub(crate) fn command(manifest: &Manifest, sources: &Sources) -> Result<Vec<String>, BuildError> {
    if let Some(command) = &manifest.build.command {
        return Ok(command.clone());
    }
    match manifest.build.toolchain {
        ToolchainKind::Cargo => Ok(cargo::command()),
        kind @ (ToolchainKind::Cc | ToolchainKind::Cxx) => cc::command(kind, manifest, sources),
        ToolchainKind::Go => go::command(manifest, sources),
        ToolchainKind::Mojo => mojo::command(manifest, sources),
        ToolchainKind::Zig => zig::command(manifest, sources),
        kind => Err(BuildError::Unsaid {
            toolchain: kind.as_str(),
            key: "command",
            reason: "it has no command of its own".to_owned(),
        }),
    }
}

/// The variables a preset adds to the sandbox's fixed ones.
pub(crate) fn env(
    manifest: &Manifest,
    toolchain: &Toolchain,
    places: &Places,
) -> BTreeMap<String, String> {
    match toolchain.kind {
        ToolchainKind::Cargo => cargo::env(places),
        ToolchainKind::Go => go::env(places),
        ToolchainKind::Mojo => mojo::env(manifest, toolchain, places),
        ToolchainKind::Zig => zig::env(places),
        _ => BTreeMap::new(),
    }
}

/// Where the build leaves a library when it does not write it to its place itself.
pub(crate) fn built(kind: ToolchainKind, library: &Library) -> Option<String> {
    library.built.clone().or_else(|| match kind {
        ToolchainKind::Cargo => Some(cargo::built(library)),
        ToolchainKind::Go => Some(go::built(library)),
        _ => None,
    })
}

/// What must happen on the host before the build, such as fetching dependencies.
pub(crate) fn prepare(
    kind: ToolchainKind,
    project: &Path,
    dirs: &CacheDirs,
    work: &WorkDir,
) -> Result<Prepared, BuildError> {
    match kind {
        ToolchainKind::Cargo => cargo::prepare(project, dirs, work),
        _ => Ok(Prepared::default()),
    }
}
