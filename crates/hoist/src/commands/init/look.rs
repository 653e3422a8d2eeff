//! What kind of project lies in a folder.

use std::fs;
use std::path::Path;

use hoist_schema::Exit;
use toml::{Table, Value};

use crate::error::CliError;

/// What a look at a project found.
pub(super) struct Found {
    pub(super) toolchain: &'static str,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sources: Vec<String>,
    pub(super) library: String,
    pub(super) header: Option<String>,
}

/// Looks at the project in `folder`.
///
/// # Errors
///
/// Exit code 1 for one that hoist does not know or that makes no library.
pub(super) fn at(folder: &Path) -> Result<Found, CliError> {
    match at_cargo(folder)? {
        Some(found) => Ok(found),
        None => at_sources(folder),
    }
}

fn at_cargo(folder: &Path) -> Result<Option<Found>, CliError> {
    let file = folder.join("Cargo.toml");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    let cargo: Table = toml::from_str(&text).map_err(|error| {
        CliError::new(Exit::Usage, format!("{} is not TOML: {}", file.display(), error.message()))
    })?;
    let text_at =
        |section: &str, key: &str| cargo.get(section)?.get(key)?.as_str().map(str::to_owned);
    let is_cdylib = |value: &Value| value.as_str() == Some("cdylib");
    let crate_types =
        cargo.get("lib").and_then(|lib| lib.get("crate-type")).and_then(Value::as_array);
    if !crate_types.is_some_and(|types| types.iter().any(is_cdylib)) {
        let message = format!("{} makes no shared library with a C ABI", file.display());
        return Err(CliError::new(Exit::No, message)
            .hint("add `[lib]` with `crate-type = [\"cdylib\"]` to Cargo.toml"));
    }
    let name = text_at("package", "name").ok_or_else(|| {
        CliError::new(Exit::No, format!("{} names no package", file.display()))
            .hint("look at a member of the workspace instead")
    })?;
    let library = text_at("lib", "name").unwrap_or_else(|| name.replace('-', "_"));
    let mut sources = vec!["Cargo.toml".to_owned(), "Cargo.lock".to_owned()];
    sources.extend(folder.join("build.rs").is_file().then(|| "build.rs".to_owned()));
    sources.push("src/**/*.rs".to_owned());
    let header = find_header(folder, &library);
    sources.extend(header.clone());
    Ok(Some(Found {
        toolchain: "cargo",
        version: text_at("package", "version")
            .or_else(|| workspace_version(folder))
            .unwrap_or_else(|| "0.1.0".to_owned()),
        name,
        sources,
        library,
        header,
    }))
}

/// A kind of project that is known by its sources.
struct Language {
    toolchain: &'static str,
    ending: &'static str,
    /// Whether sources lie in folders below each other, as the modules that they are.
    is_nested: bool,
}

const fn flat(toolchain: &'static str, ending: &'static str) -> Language {
    Language { toolchain, ending, is_nested: false }
}

const fn nested(toolchain: &'static str, ending: &'static str) -> Language {
    Language { toolchain, ending, is_nested: true }
}

/// In the order in which they are looked for: C among others is what they are bound to.
const LANGUAGES: [Language; 7] = [
    nested("mojo", "mojo"),
    nested("zig", "zig"),
    nested("go", "go"),
    flat("cc", "c"),
    flat("c++", "cpp"),
    flat("c++", "cc"),
    flat("c++", "cxx"),
];

fn at_sources(folder: &Path) -> Result<Found, CliError> {
    let has = |sub: &str, ending: &str| {
        fs::read_dir(folder.join(sub))
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|found| found == ending))
    };
    let found = ["src", "."].into_iter().find_map(|sub| {
        let language = LANGUAGES.iter().find(|language| has(sub, language.ending))?;
        Some((sub, language))
    });
    let Some((sub, language)) = found else {
        let message = format!("no project that hoist knows in {}", folder.display());
        return Err(CliError::new(Exit::No, message)
            .hint("write hoist.toml by hand; `hoist schema` tells what it takes"));
    };
    let toolchain = language.toolchain;
    let own_name = if toolchain == "go" { go_module(folder) } else { None };
    let name = own_name.unwrap_or_else(|| package_name(folder));
    let library = name.replace('-', "_");
    let header = find_header(folder, &library);
    let prefix = if sub == "." { String::new() } else { format!("{sub}/") };
    // In the project's folder itself, folders below hold modules in Go only.
    let is_nested = language.is_nested && (sub != "." || toolchain == "go");
    let below = if is_nested { "**/" } else { "" };
    let is_there = |name: &&str| folder.join(name).exists();
    let mut sources: Vec<String> =
        lists_of(toolchain).iter().copied().filter(is_there).map(str::to_owned).collect();
    sources.push(format!("{prefix}{below}*.{}", language.ending));
    if toolchain == "go" && is_there(&"vendor/modules.txt") {
        sources.push("vendor/**".to_owned());
    }
    sources.extend(has(sub, "h").then(|| format!("{prefix}*.h")));
    sources.extend(has("include", "h").then(|| "include/*.h".to_owned()));
    Ok(Found { toolchain, version: "0.1.0".to_owned(), name, sources, library, header })
}

/// The files in which a language's projects say what they are and use.
fn lists_of(toolchain: &str) -> &'static [&'static str] {
    match toolchain {
        "go" => &["go.mod", "go.sum"],
        _ => &[],
    }
}

/// The last part of the module's path in `go.mod`, as far as it can name a store path.
fn go_module(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("go.mod")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("module "))?.trim();
    // From its second edition on, a module's path ends in `/v2` or the like.
    let edition =
        |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.parse::<u32>().is_ok());
    let path = path.rsplit_once('/').filter(|it| edition(it.1)).map_or(path, |it| it.0);
    Some(package_name(Path::new(path)))
}

/// The version that a package takes from the workspace around it.
fn workspace_version(folder: &Path) -> Option<String> {
    folder.ancestors().find_map(|folder| {
        let text = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let cargo: Table = toml::from_str(&text).ok()?;
        let version = cargo.get("workspace")?.get("package")?.get("version")?;
        version.as_str().map(str::to_owned)
    })
}

/// The folder's name, as far as it can name a store path.
fn package_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "+-._".contains(c) { c } else { '-' };
    let name: String = name.chars().map(allowed).collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "library".to_owned() } else { name.to_owned() }
}

/// The header with the library's name, else the only one there is.
fn find_header(folder: &Path, library: &str) -> Option<String> {
    let mut headers: Vec<String> = ["include", ".", "src"]
        .into_iter()
        .flat_map(|sub| {
            let entries = fs::read_dir(folder.join(sub)).into_iter().flatten().flatten();
            entries.filter_map(move |entry| {
                let name = entry.file_name().into_string().ok()?;
                let is_header = Path::new(&name).extension().is_some_and(|found| found == "h");
                let path = if sub == "." { name } else { format!("{sub}/{name}") };
                is_header.then_some(path)
            })
        })
        .collect();
    headers.sort();
    let own = format!("{library}.h");
    let named = headers.iter().find(|path| path.rsplit('/').next() == Some(own.as_str()));
    named.or(headers.first().filter(|_| headers.len() == 1)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_a_package_without_its_edition() {
        let folder = tempfile::tempdir().unwrap();
        for (module, name) in
            [("sums", "sums"), ("a.org/x/sums", "sums"), ("a.org/sums/v2", "sums")]
        {
            let text = format!("// a comment\nmodule {module}\n\ngo 1.19\n");
            fs::write(folder.path().join("go.mod"), text).unwrap();
            assert_eq!(go_module(folder.path()).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_folder_names_a_package_as_far_as_it_can() {
        assert_eq!(package_name(Path::new("/x/pattern-search")), "pattern-search");
        assert_eq!(package_name(Path::new("/x/in it")), "in-it");
        assert_eq!(package_name(Path::new("/x/.hidden_")), "hidden");
        assert_eq!(package_name(Path::new("/x/\u{e4}")), "library");
    }
}
