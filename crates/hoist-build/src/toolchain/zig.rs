//! Zig, by the compiler of its Python wheel or of its own archive. It links by itself, against the
//! C library of any age: the one that `[check] glibc` names.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::Path;
use std::process::Command;

use hoist_schema::manifest::{Manifest, ToolchainKind};

use super::ask::{Grounds, output, remembered};
use super::defaults::{cpu, root, soname, the_library};
use super::installed::tree_of;
use super::{Finder, Places, Toolchain};
use crate::digest::sha256_of;
use crate::{BuildError, Sources};

/// Where the toolchain lies in the sandbox.
const INSIDE: &str = "/toolchain";

/// What the archive and its wheel call it.
const PROGRAMS: [&str; 2] = ["zig", "python-zig"];

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Zig;
    let found = finder.installed(&PROGRAMS)?;
    let is_whole = |tree: &Path| tree.join("lib/std").is_dir();
    let tree = tree_of(&found, kind, "ziglang", "zig", is_whole)?;
    let version = version(finder, &tree)?;
    let digest = finder.book.trees(&["zig", "lib"].map(|part| tree.join(part)))?;
    Ok(Toolchain {
        kind,
        version,
        digest,
        path: vec![(tree.clone(), INSIDE.into())],
        mounts: vec![(tree, INSIDE.into())],
        runtime: None,
    })
}

fn version(finder: &Finder<'_>, tree: &Path) -> Result<String, BuildError> {
    let compiler = tree.join("zig");
    let place = compiler.as_os_str().as_encoded_bytes();
    let memory = format!("zig-{}.json", &sha256_of(place)[..16]);
    let memory = finder.dirs.root().join("toolchains").join(memory);
    let mut question = Grounds::default();
    question.file(&compiler);
    remembered(&memory, question, || {
        let mut command = Command::new(&compiler);
        command.arg("version").current_dir("/").env_clear();
        Ok((format!("zig {}", output(command)?), Grounds::default()))
    })
}

pub(super) fn env(places: &Places) -> BTreeMap<String, String> {
    let cache = |name: &str| places.cache.join(name).display().to_string();
    BTreeMap::from([
        ("ZIG_GLOBAL_CACHE_DIR".to_owned(), cache("zig")),
        ("ZIG_LOCAL_CACHE_DIR".to_owned(), cache("zig-local")),
    ])
}

/// Compiles the one file that imports the others.
pub(super) fn command(manifest: &Manifest, sources: &Sources) -> Result<Vec<String>, BuildError> {
    let kind = ToolchainKind::Zig;
    let library = the_library(kind, manifest)?;
    let root = root(kind, sources, library, &[".zig"])?;
    let glibc = manifest.check.glibc.map_or(String::new(), |glibc| format!(".{glibc}"));
    // Zig's names of the x86-64 levels have no hyphens.
    let cpu = cpu(manifest, ARCH).map_or("baseline".to_owned(), |cpu| cpu.replace('-', "_"));
    let mut command: Vec<String> =
        ["zig", "build-lib", "-dynamic", "-O", "ReleaseFast", "-fstrip", "-lc", "-Iinclude"]
            .map(str::to_owned)
            .into();
    command.extend(["-target".to_owned(), format!("{ARCH}-linux-gnu{glibc}")]);
    command.extend(["-mcpu".to_owned(), cpu, format!("-fsoname={}", soname(library))]);
    command.extend(["-z", "relro", "-z", "now"].map(str::to_owned));
    command.extend([format!("-femit-bin={{out}}/{library}"), root.to_owned()]);
    Ok(command)
}
