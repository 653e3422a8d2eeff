//! What the presets' own commands have in common.

use hoist_schema::manifest::{IsaLevel, Manifest, ToolchainKind};

use crate::{BuildError, Sources};

/// The refusal of a preset that cannot make a command out of what it sees.
pub(super) fn unsaid(kind: ToolchainKind, reason: impl Into<String>) -> BuildError {
    BuildError::Unsaid { toolchain: kind.as_str(), key: "command", reason: reason.into() }
}

/// The path of the manifest's single library.
///
/// # Errors
///
/// [`BuildError::Unsaid`] when there are several: one command makes one.
pub(super) fn the_library(kind: ToolchainKind, manifest: &Manifest) -> Result<&str, BuildError> {
    match manifest.library.as_slice() {
        [library] => Ok(&library.path),
        _ => Err(unsaid(kind, "its own command makes one library, and there are several")),
    }
}

/// A library's file name, which is its SONAME too.
pub(super) fn soname(library: &str) -> &str {
    library.rsplit('/').next().unwrap_or(library)
}

/// The CPU that code is made for, so that it runs on more than the host: what `[check] isa` says of
/// the fleet, else every CPU of the architecture. `None` where that is no x86-64.
pub(super) fn cpu(manifest: &Manifest, architecture: &str) -> Option<&'static str> {
    let isa = manifest.check.isa.unwrap_or(IsaLevel::V1);
    (architecture == "x86_64").then(|| isa.as_str())
}

/// The sources whose names end in one of `endings`.
///
/// # Errors
///
/// [`BuildError::Unsaid`] when there is none.
pub(super) fn code<'s>(
    kind: ToolchainKind,
    sources: &'s Sources,
    endings: &[&str],
) -> Result<Vec<&'s str>, BuildError> {
    let is_code = |path: &&str| endings.iter().any(|ending| path.ends_with(ending));
    let code: Vec<&str> =
        sources.files.iter().map(|file| file.path.as_str()).filter(is_code).collect();
    if code.is_empty() {
        return Err(unsaid(kind, "[build] sources name no file that it compiles"));
    }
    Ok(code)
}

/// The source that a compiler begins with: the only one that ends in one of `endings`, else the one
/// that is named after the library, as `src/search.zig` for `lib/libsearch.so`.
///
/// # Errors
///
/// [`BuildError::Unsaid`] when that is none, or not one.
pub(super) fn root<'s>(
    kind: ToolchainKind,
    sources: &'s Sources,
    library: &str,
    endings: &[&str],
) -> Result<&'s str, BuildError> {
    let code = code(kind, sources, endings)?;
    if let [only] = code.as_slice() {
        return Ok(only);
    }
    let name = soname(library);
    let name = name.strip_suffix(".so").unwrap_or(name);
    let name = name.strip_prefix("lib").unwrap_or(name);
    let is_named = |path: &&&str| {
        let file = soname(path);
        endings.iter().any(|ending| file.strip_suffix(ending) == Some(name))
    };
    if let [named] = code.iter().filter(is_named).collect::<Vec<_>>().as_slice() {
        return Ok(named);
    }
    let wanted = format!("{name}{}", endings[0]);
    Err(unsaid(kind, format!("of {} sources, not one is `{wanted}`", code.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use std::path::PathBuf;

    fn sources(paths: &[&str]) -> Sources {
        let file = |path: &&str| SourceFile {
            path: (*path).to_owned(),
            executable: false,
            sha256: String::new(),
        };
        Sources { project: PathBuf::new(), files: paths.iter().map(file).collect() }
    }

    fn root_of(paths: &[&str]) -> Result<String, String> {
        let endings = [".mojo", ".\u{1f525}"];
        root(ToolchainKind::Mojo, &sources(paths), "lib/libsearch.so", &endings)
            .map(str::to_owned)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_compiler_begins_with_the_only_source_or_the_one_named_after_the_library() {
        assert_eq!(root_of(&["api.h", "src/any.mojo"]).unwrap(), "src/any.mojo");
        assert_eq!(root_of(&["src/a.mojo", "src/search.mojo"]).unwrap(), "src/search.mojo");
        assert_eq!(root_of(&["a.mojo", "search.\u{1f525}"]).unwrap(), "search.\u{1f525}");
    }

    #[test]
    fn what_to_begin_with_is_asked_for_when_it_is_not_plain() {
        let refusal = root_of(&["a/search.mojo", "b/search.mojo"]).unwrap_err();
        assert!(refusal.ends_with("of 2 sources, not one is `search.mojo`"), "{refusal}");
        let refusal = root_of(&["search.h"]).unwrap_err();
        assert!(refusal.ends_with("[build] sources name no file that it compiles"), "{refusal}");
    }

    #[test]
    fn code_is_made_for_the_fleet_and_not_for_the_host() {
        let manifest = |check: &str| {
            Manifest::parse(&format!(
                "[package]\nname = \"a\"\nversion = \"1\"\n[build]\ntoolchain = \"mojo\"\n\
                 sources = [\"a\"]\n[[library]]\npath = \"liba.so\"\nexports = [\"a\"]\n{check}"
            ))
            .unwrap()
        };
        assert_eq!(cpu(&manifest(""), "x86_64"), Some("x86-64"));
        let v3 = manifest("[check]\nisa = \"x86-64-v3\"");
        assert_eq!(cpu(&v3, "x86_64"), Some("x86-64-v3"));
        assert_eq!(cpu(&v3, "aarch64"), None);
    }
}
