//! Go, by `-buildmode=c-shared`. cgo compiles the C side and links, by the system's `cc`.

use std::collections::{BTreeMap, BTreeSet};
use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use hoist_schema::manifest::{IsaLevel, Library, Manifest, ToolchainKind};

use super::defaults::{code, soname, the_library, unsaid};
use super::installed::tree_of;
use super::{Finder, Places, Toolchain, cc};
use crate::digest::sha256_of;
use crate::{BuildError, Sources};

/// Where the toolchain lies in the sandbox, when it is not a distribution's.
const INSIDE: &str = "/toolchain";

/// The parts of a GOROOT that a build reads, in the versions that have them. `include` is named
/// because a distribution has a link there, which leads out of the tree.
const PARTS: [&str; 7] = ["VERSION", "go.env", "bin", "lib", "pkg", "pkg/include", "src"];

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Go;
    let found = finder.installed(&["go"])?;
    let is_whole = |root: &Path| root.join("VERSION").is_file() && root.join("src").is_dir();
    let root = tree_of(&found, kind, "go", "bin/go", is_whole)?;
    let version = version(&root)?;
    let parts = PARTS.iter().filter_map(|part| root.join(part).canonicalize().ok());
    let own = finder.book.trees(&parts.collect::<Vec<_>>())?;
    let linker = cc::find_linker(finder)?;
    let digest = sha256_of(format!("{own} {}", linker.digest).as_bytes());
    let system = Toolchain::of_the_system(kind, version, digest);
    let bin = root.join("bin");
    if finder.system.shows(&root) {
        return Ok(Toolchain { path: vec![(bin.clone(), bin)], ..system });
    }
    let inside = Path::new(INSIDE);
    Ok(Toolchain {
        path: vec![(bin, inside.join("bin"))],
        mounts: vec![(root, inside.to_owned())],
        ..system
    })
}

/// The first line of the file that says it, as `go1.19.8`.
fn version(root: &Path) -> Result<String, BuildError> {
    let file = root.join("VERSION");
    let text = fs::read_to_string(&file).map_err(BuildError::io("read", &file))?;
    Ok(text.lines().next().unwrap_or("go").to_owned())
}

/// What holds for every build: no settings of the user's, nothing from the network, no
/// other version than the one that was found.
pub(super) fn env(places: &Places) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from(
        [
            ("CC", "cc"), // the driver that is identified; Go's own choice is `gcc`
            ("CXX", "c++"),
            ("CGO_ENABLED", "1"),
            ("GOENV", "off"),
            ("GOPROXY", "off"),
            ("GOSUMDB", "off"),
            ("GOTOOLCHAIN", "local"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (name, folder) in [("GOCACHE", "go-build"), ("GOMODCACHE", "go-mod"), ("GOPATH", "go")] {
        env.insert(name.to_owned(), places.cache.join(folder).display().to_string());
    }
    env
}

/// Go writes a header beside the library, which is not the one that is promised: both stay in the
/// compiler's cache, and the library alone is taken.
pub(super) fn built(library: &Library) -> String {
    format!("{{cache}}/{}", soname(&library.path))
}

/// Builds the package of the sources.
pub(super) fn command(manifest: &Manifest, sources: &Sources) -> Result<Vec<String>, BuildError> {
    let kind = ToolchainKind::Go;
    let library = the_library(kind, manifest)?;
    let package = package(sources)?;
    let mut command = Vec::new();
    if let Some(isa) = manifest.check.isa.filter(|_| ARCH == "x86_64") {
        let level = match isa {
            IsaLevel::V1 => "v1",
            IsaLevel::V2 => "v2",
            IsaLevel::V3 => "v3",
            IsaLevel::V4 => "v4",
        };
        // There is no option for it, and the action knows variables of the manifest only.
        command.extend(["env".to_owned(), format!("GOAMD64={level}")]);
    }
    let linked = format!("-s -w -extldflags=-Wl,-soname,{},-z,relro,-z,now", soname(library));
    command.extend(
        ["go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags"]
            .map(str::to_owned),
    );
    command.extend([linked, "-o".to_owned(), format!("{{cache}}/{}", soname(library)), package]);
    Ok(command)
}

/// The folder of the package that is the library: the project's own, or the only one there is.
fn package(sources: &Sources) -> Result<String, BuildError> {
    let kind = ToolchainKind::Go;
    let is_own = |path: &&&str| !path.starts_with("vendor/") && !path.ends_with("_test.go");
    let code = code(kind, sources, &[".go"])?;
    let folders: BTreeSet<&str> = code
        .iter()
        .filter(is_own)
        .map(|path| path.rsplit_once('/').map_or("", |it| it.0))
        .collect();
    match folders.iter().collect::<Vec<_>>().as_slice() {
        [only] if !only.is_empty() => Ok(format!("./{only}")),
        _ if folders.contains("") => Ok(".".to_owned()),
        several => {
            let reason =
                format!("of {} packages, not one is in the project's folder", several.len());
            Err(unsaid(kind, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use std::path::PathBuf;

    fn package_of(paths: &[&str]) -> Result<String, String> {
        let file = |path: &&str| SourceFile {
            path: (*path).to_owned(),
            executable: false,
            sha256: String::new(),
        };
        let files = paths.iter().map(file).collect();
        package(&Sources { project: PathBuf::new(), files }).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_library_is_the_projects_own_package_or_the_only_one() {
        assert_eq!(package_of(&["go.mod", "a.go", "sub/b.go"]).unwrap(), ".");
        assert_eq!(package_of(&["cmd/lib/a.go", "vendor/x/b.go"]).unwrap(), "./cmd/lib");
        let refusal = package_of(&["a/a.go", "b/b.go"]).unwrap_err();
        assert!(
            refusal.ends_with("of 2 packages, not one is in the project's folder"),
            "{refusal}"
        );
    }
}
