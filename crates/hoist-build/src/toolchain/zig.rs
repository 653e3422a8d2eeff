//! Zig, by the compiler of its Python wheel or of its own archive. It links by itself, against the
//! C library of any age: the one that `[check] glibc` names.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::Path;

use hoist_schema::manifest::{Manifest, ToolchainKind};

use super::defaults::{cpu, root, soname, the_library};
use super::installed::{tree_of, wheel_version};
use super::{Finder, Places, Toolchain};
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
    let version = version(&tree);
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

/// What its wheel says, or the name of the folder that its archive unpacks to.
fn version(tree: &Path) -> String {
    let name = || tree.file_name().unwrap_or_default().to_string_lossy().into_owned();
    wheel_version(tree, "ziglang").map_or_else(name, |version| format!("zig {version}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use std::path::PathBuf;

    #[test]
    fn the_command_names_the_glibc_and_the_cpu_that_are_asked_for() {
        let file = SourceFile { path: "a.zig".into(), executable: false, sha256: String::new() };
        let sources = Sources { project: PathBuf::new(), files: vec![file] };
        let command = |check: &str| {
            let manifest = Manifest::parse(&format!(
                "[package]\nname = \"a\"\nversion = \"1\"\n[build]\ntoolchain = \"zig\"\n\
                 sources = [\"a\"]\n[[library]]\npath = \"lib/liba.so\"\nexports = [\"a\"]\n\
                 [check]\n{check}"
            ));
            command(&manifest.unwrap(), &sources).unwrap().join(" ")
        };
        let plain = command("");
        assert!(plain.contains(&format!("-target {ARCH}-linux-gnu -mcpu ")), "{plain}");
        assert!(plain.ends_with("-femit-bin={out}/lib/liba.so a.zig"), "{plain}");
        let asked = command("glibc = \"2.17\"\nisa = \"x86-64-v2\"");
        let cpu = if ARCH == "x86_64" { "x86_64_v2" } else { "baseline" };
        assert!(asked.contains(&format!("-linux-gnu.2.17 -mcpu {cpu} ")), "{asked}");
    }
}
