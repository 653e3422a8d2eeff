//! `hoist init`: look at a project and write its manifest.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hoist_schema::Exit;
use hoist_schema::manifest::MANIFEST_FILE;
use hoist_schema::record::InitRecord;
use toml::{Table, Value};

use crate::error::CliError;
use crate::output::Output;

/// Look at a project and write a commented hoist.toml
///
/// Knows cargo projects with a `cdylib`, and C and C++ sources. Never overwrites a hoist.toml.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist init
  hoist init kernels/pattern-search --print   show it, write nothing")]
pub(crate) struct InitArgs {
    /// Project folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Print the manifest, write nothing
    #[arg(long)]
    print: bool,
}

/// What a look at a project found.
struct Found {
    toolchain: &'static str,
    name: String,
    version: String,
    sources: Vec<String>,
    library: String,
    header: Option<String>,
}

pub(crate) fn run(args: &InitArgs, out: &Output) -> Result<Exit, CliError> {
    let folder = args.dir.canonicalize().map_err(CliError::io("open", &args.dir))?;
    let found = match look_at_cargo(&folder)? {
        Some(found) => found,
        None => look_at_c(&folder)?,
    };
    let text = manifest(&found);
    if args.print {
        out.line(text.trim_end());
        return Ok(Exit::Success);
    }
    let file = folder.join(MANIFEST_FILE);
    write_new(&file, &text)?;
    out.record(&InitRecord { wrote: file.display().to_string() });
    out.line(format!("wrote {}", file.display()));
    if found.toolchain == "cargo" && !folder.join("Cargo.lock").is_file() {
        Output::warn("there is no Cargo.lock, which pins what is built: `cargo generate-lockfile`");
    }
    if found.header.is_none() {
        Output::warn("no C header was found: say in hoist.toml what the library promises");
    }
    Ok(Exit::Success)
}

/// Writes a file that must not be there yet: all of it, or nothing.
fn write_new(file: &Path, text: &str) -> Result<(), CliError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(CliError::io("write to", folder))?;
    fresh.write_all(text.as_bytes()).map_err(CliError::io("write", file))?;
    fresh.as_file().sync_all().map_err(CliError::io("write", file))?;
    match fresh.persist_noclobber(file) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CliError::new(Exit::No, format!("{} is there already", file.display()))
                .hint("move it away first, or look at a fresh one with --print"))
        }
        Err(error) => Err(CliError::io("write", file)(error.error)),
    }
}

fn look_at_cargo(folder: &Path) -> Result<Option<Found>, CliError> {
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

fn look_at_c(folder: &Path) -> Result<Found, CliError> {
    let has = |sub: &str, ending: &str| {
        fs::read_dir(folder.join(sub))
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|found| found == ending))
    };
    let kinds = [("cc", "c"), ("c++", "cpp"), ("c++", "cc"), ("c++", "cxx")];
    let found = ["src", "."]
        .into_iter()
        .find_map(|sub| kinds.iter().find(|(_, ending)| has(sub, ending)).map(|kind| (sub, *kind)));
    let Some((sub, (toolchain, ending))) = found else {
        let message = format!("no project that hoist knows in {}", folder.display());
        return Err(CliError::new(Exit::No, message)
            .hint("write hoist.toml by hand; `hoist schema` tells what it takes"));
    };
    let name = package_name(folder);
    let library = name.replace('-', "_");
    let header = find_header(folder, &library);
    let prefix = if sub == "." { String::new() } else { format!("{sub}/") };
    let mut sources = vec![format!("{prefix}*.{ending}")];
    sources.extend(has(sub, "h").then(|| format!("{prefix}*.h")));
    sources.extend(has("include", "h").then(|| "include/*.h".to_owned()));
    Ok(Found { toolchain, version: "0.1.0".to_owned(), name, sources, library, header })
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

fn manifest(found: &Found) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let sources = found.sources.iter().map(|glob| quoted(glob)).collect::<Vec<_>>().join(", ");
    let promise = match &found.header {
        Some(header) => format!(
            "header = {}   # its prototypes are the promised exports and signatures",
            quoted(header)
        ),
        None => {
            "exports = []   # name the functions that callers use, or point `header` at a C header"
                .to_owned()
        }
    };
    format!(
        "[package]
name = {name}
version = {version}

[build]
toolchain = \"{toolchain}\"
sources = [{sources}]   # only these files exist in the sandbox

[[library]]
path = {path}
{promise}

# [check]
# glibc = \"2.31\"          # oldest glibc that must load it
# size = \"1KiB..10MiB\"

# [bench]                 # a gate: prints a JSON object such as {{\"speedup\": 31.4}} last
# command = [\"python3\", \"bench.py\"]
# min = {{ speedup = 2.0 }}
",
        name = quoted(&found.name),
        version = quoted(&found.version),
        toolchain = found.toolchain,
        path = quoted(&format!("lib/lib{}.so", found.library)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_a_package_as_far_as_it_can() {
        assert_eq!(package_name(Path::new("/x/pattern-search")), "pattern-search");
        assert_eq!(package_name(Path::new("/x/in it")), "in-it");
        assert_eq!(package_name(Path::new("/x/.hidden_")), "hidden");
        assert_eq!(package_name(Path::new("/x/\u{e4}")), "library");
    }
}
