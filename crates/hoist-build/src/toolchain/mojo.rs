//! Mojo, by the compiler of its Python wheel. The wheel's tree is the toolchain; what it compiles is
//! linked by the system's `cc`.
//!
//! The script that `pip` installs only sets variables that tell the compiler where its tree is. The
//! same are set here, with one difference: the library looks for Mojo's runtime beside itself, not
//! in the environment that it was built in.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::Path;

use hoist_schema::manifest::{Manifest, ToolchainKind};

use super::defaults::{cpu, root, soname, the_library};
use super::installed::{tree_of, wheel_version};
use super::{Finder, Places, Toolchain, cc};
use crate::digest::sha256_of;
use crate::{BuildError, Sources};

/// Where the toolchain lies in the sandbox.
const INSIDE: &str = "/toolchain";

/// How the names of its sources end.
const ENDINGS: [&str; 2] = [".mojo", ".\u{1f525}"];

/// What Python leaves beside its files when it first reads them.
const BYTE_CODE: &str = "__pycache__";

/// The library that all compiled code may need.
const RUNTIME: &str = "lib/libKGENCompilerRTShared.so";

/// Libraries that compiled code may need besides, in the versions that have them.
const SHARED: [&str; 3] = [
    "lib/libAsyncRTMojoBindings.so",
    "lib/libAsyncRTRuntimeGlobals.so",
    "lib/libMSupportGlobals.so",
];

/// The variable for what is linked besides, a list with commas.
const LINKED: &str = "MODULAR_MOJO_MAX_SHARED_LIBS";

/// What the linker is told for every library.
const LINK_WORDS: [&str; 7] = ["-rpath", "$ORIGIN", "-z", "relro", "-z", "now", "--as-needed"];

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Mojo;
    let found = finder.installed(&["mojo"])?;
    let is_whole = |tree: &Path| tree.join("lib/mojo").is_dir();
    let tree = tree_of(&found, kind, "modular", "bin/mojo", is_whole)?;
    let version = wheel_version(&tree, "mojo_compiler");
    let version = version.map_or("Mojo".to_owned(), |version| format!("Mojo {version}"));
    let folders = ["bin", "lib"].map(|name| tree.join(name));
    let own = finder.book.trees_without(&folders, BYTE_CODE)?;
    let linker = cc::find_linker(finder)?;
    Ok(Toolchain {
        kind,
        version,
        digest: sha256_of(format!("{own} {}", linker.digest).as_bytes()),
        path: vec![(tree.join("bin"), Path::new(INSIDE).join("bin"))],
        runtime: Some(tree.join("lib")),
        mounts: vec![(tree, INSIDE.into())],
    })
}

/// Variables that say where the parts of the tree are, as its wheel's own script does: `tree` is the
/// place on this host, `seen` the build's.
fn places_of(tree: &Path, seen: &Path) -> BTreeMap<String, String> {
    let text = |path: &str| seen.join(path).display().to_string();
    let mut places = BTreeMap::from(
        [
            ("MAX_PACKAGE_ROOT", ""),
            ("MOJO_MAX_PACKAGE_ROOT", ""),
            ("MOJO_MAX_DRIVER_PATH", "bin/mojo"),
            ("MOJO_MAX_LLD_PATH", "bin/lld"),
            ("MOJO_MAX_IMPORT_PATH", "lib/mojo"),
            ("MOJO_MAX_COMPILERRT_PATH", RUNTIME),
            ("CRASH_REPORTING_HANDLER_PATH", "bin/modular-crashpad-handler"),
        ]
        .map(|(name, path)| (format!("MODULAR_{name}"), text(path))),
    );
    let linked = SHARED.iter().filter(|path| tree.join(path).is_file()).map(|path| text(path));
    let linked = linked.collect::<Vec<_>>().join(",");
    places.insert(LINKED.to_owned(), linked);
    // A build without a network would wait ten seconds for it where packets are dropped.
    places.insert("MODULAR_TELEMETRY_ENABLED".to_owned(), "false".to_owned());
    places
}

pub(super) fn env(
    manifest: &Manifest,
    toolchain: &Toolchain,
    places: &Places,
) -> BTreeMap<String, String> {
    let Some((tree, inside)) = toolchain.mounts.first() else { return BTreeMap::new() };
    let mut env = places_of(tree, if places.on_host { tree } else { inside });
    // In words of `cc`, which links: 0.25 knows no option that hands them on. Mojo's own text
    // ends with a RUNPATH to its tree, which hosts do not have.
    let mut words: Vec<&str> = LINK_WORDS.into();
    if let [library] = manifest.library.as_slice() {
        words.extend(["-soname", soname(&library.path)]);
    }
    let linked = env.entry(LINKED.to_owned()).or_default();
    let words = words.into_iter().map(|word| format!("-Xlinker,{word}"));
    *linked = words.chain([linked.clone()]).collect::<Vec<_>>().join(",");

    let cache = |name: &str| places.cache.join(name).display().to_string();
    env.insert("MODULAR_CACHE_DIR".to_owned(), cache("modular")); // 1.2.0
    env.insert("XDG_CACHE_HOME".to_owned(), cache("xdg"));
    env.insert("XDG_DATA_HOME".to_owned(), cache("xdg")); // 0.25
    env
}

/// Compiles the one file that imports the others.
pub(super) fn command(manifest: &Manifest, sources: &Sources) -> Result<Vec<String>, BuildError> {
    let kind = ToolchainKind::Mojo;
    let library = the_library(kind, manifest)?;
    let root = root(kind, sources, library, &ENDINGS)?;
    let mut command: Vec<String> =
        ["mojo", "build", "--emit", "shared-lib", "--target-cpu"].map(str::to_owned).into();
    command.push(cpu(manifest, ARCH).unwrap_or("generic").to_owned());
    command.extend([root.to_owned(), "-o".to_owned(), format!("{{out}}/{library}")]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use std::path::PathBuf;

    fn manifest(more: &str) -> Manifest {
        Manifest::parse(&format!(
            "[package]\nname = \"a\"\nversion = \"1\"\n[build]\ntoolchain = \"mojo\"\n\
             sources = [\"a\"]\n[[library]]\npath = \"lib/liba.so\"\nexports = [\"a\"]\n{more}"
        ))
        .unwrap()
    }

    #[test]
    fn the_command_names_the_cpu_and_the_root() {
        let file = SourceFile { path: "a.mojo".into(), executable: false, sha256: String::new() };
        let sources = Sources { project: PathBuf::new(), files: vec![file] };
        let command = command(&manifest("[check]\nisa = \"x86-64-v3\""), &sources).unwrap();
        let cpu = if ARCH == "x86_64" { "x86-64-v3" } else { "generic" };
        let wanted = format!(
            "mojo build --emit shared-lib --target-cpu {cpu} a.mojo -o {{out}}/lib/liba.so"
        );
        assert_eq!(command.join(" "), wanted);
    }

    #[test]
    fn a_build_is_told_the_places_that_it_sees_and_no_other() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("lib")).unwrap();
        std::fs::write(tree.path().join(SHARED[1]), "").unwrap();
        let kind = ToolchainKind::Mojo;
        let system = Toolchain::of_the_system(kind, "Mojo".to_owned(), String::new());
        let toolchain =
            Toolchain { mounts: vec![(tree.path().to_owned(), INSIDE.into())], ..system };
        let place = |name: &str| PathBuf::from(name);
        let places = Places {
            source: place("/build/a"),
            out: place("/out"),
            cache: place("/cache"),
            home: place("/home/build"),
            vendor: place("/vendor"),
            on_host: false,
        };
        let env = env(&manifest(""), &toolchain, &places);
        let host = tree.path().to_str().unwrap();
        assert!(env.values().all(|value| !value.contains(host)), "{env:?}");
        assert_eq!(env["MODULAR_MOJO_MAX_IMPORT_PATH"], "/toolchain/lib/mojo");
        assert_eq!(env["MODULAR_CACHE_DIR"], "/cache/modular");
        let linked = "-Xlinker,-soname,-Xlinker,liba.so,/toolchain/lib/libAsyncRTRuntimeGlobals.so";
        assert!(env[LINKED].starts_with("-Xlinker,-rpath,-Xlinker,$ORIGIN,"), "{}", env[LINKED]);
        assert!(env[LINKED].ends_with(linked), "{}", env[LINKED]);
    }
}
