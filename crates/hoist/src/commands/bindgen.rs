//! `hoist bindgen`: what callers of other languages need, from the ABI facts.

use std::path::{Path, PathBuf};
use std::{fs, io};

use hoist_build::python_bindings;
use hoist_elf::header::parse_header;
use hoist_schema::Exit;
use hoist_schema::abi::{ABI_EDITION, AbiFile, AbiLibrary};
use hoist_schema::python::is_module_name;
use hoist_schema::record::BindingsRecord;
use hoist_store::read_current;

use super::check::in_store;
use crate::checking::packed_abi;
use crate::error::CliError;
use crate::output::Output;
use crate::project::Project;
use crate::settings::{Settings, system};
use crate::ship::write_whole;

/// Longest header that is read, in bytes.
const MAX_HEADER_BYTES: u64 = 4 << 20;

/// How a line begins that every module and stub has.
const WRITTEN_BY: &str = "# Written by `hoist bindgen python`";

/// Write bindings for callers of other languages
#[derive(Debug, clap::Args)]
pub(crate) struct BindgenArgs {
    #[command(subcommand)]
    language: Language,
}

#[derive(Debug, clap::Subcommand)]
enum Language {
    Python(PythonArgs),
}

/// Write a typed ctypes module and its stub from the ABI facts
///
/// The module stands alone: it needs Python and the libraries, nothing else. Its `load()` gives the
/// functions, typed as the C header declares them. Arrays are handed over without a copy, and a wrong
/// element type is refused. `python = "NAME"` of [package] packs it with the artifact, where
/// `hoist run` finds it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist bindgen python                                     for the project in this folder
  hoist bindgen python pattern-search --out app/           for the active generation
  hoist bindgen python /nix/store/…-pattern-search-0.1.0
  hoist bindgen python --header x.h --library libx.so      for a library from elsewhere")]
struct PythonArgs {
    /// Package, artifact, store path or project folder [default: the project of this folder]
    #[arg(value_name = "PATH", conflicts_with_all = ["header", "library"])]
    of: Option<PathBuf>,
    /// C header that declares the functions
    #[arg(long, value_name = "FILE", requires = "library")]
    header: Option<PathBuf>,
    /// Library that has them; only its file name is used
    #[arg(long, value_name = "FILE", requires = "header")]
    library: Option<PathBuf>,
    /// Name of the module [default: that of [package] python, else of the package]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

pub(crate) fn run(args: &BindgenArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let Language::Python(args) = &args.language;
    let (abi, own_name) = facts(args, settings)?;
    let name = args.name.clone().or(own_name).unwrap_or_else(|| module_name(&abi.package));
    if !is_module_name(&name) {
        let message = format!("`{name}` cannot name a Python module here");
        return Err(CliError::new(Exit::Usage, message)
            .hint("give a name of letters, digits and `_`: --name NAME"));
    }
    let bindings = python_bindings(&abi).map_err(|error| {
        let hint = "correct the header, or leave out what C callers alone can use";
        CliError::from_error(&error, Some(hint.to_owned()), Exit::No)
    })?;
    let files = [("py", bindings.module), ("pyi", bindings.stub)]
        .map(|(extension, text)| (args.out.join(format!("{name}.{extension}")), text));
    for (file, text) in &files {
        refuse_to_replace(file, text)?;
    }
    fs::create_dir_all(&args.out).map_err(CliError::io("make the folder", &args.out))?;
    for (file, text) in files {
        write_whole(&file, &text)?;
        let path = file.display().to_string();
        out.record(&BindingsRecord {
            package: abi.package.clone(),
            module: name.clone(),
            path: path.clone(),
        });
        out.line(path);
    }
    Ok(Exit::Success)
}

/// Refuses where something else lies than bindings that were written before.
fn refuse_to_replace(file: &Path, text: &str) -> Result<(), CliError> {
    let is_file = match file.symlink_metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CliError::io("look at", file)(error)),
    };
    let is_ours = || -> Result<bool, CliError> {
        let there = fs::read(file).map_err(CliError::io("read", file))?;
        let mut lines = there.split(|byte| *byte == b'\n');
        Ok(there == text.as_bytes() || lines.any(|line| line.starts_with(WRITTEN_BY.as_bytes())))
    };
    if is_file && is_ours()? {
        return Ok(());
    }
    let message = format!("{} is there, and `hoist bindgen` did not write it", file.display());
    Err(CliError::new(Exit::No, message)
        .hint("name the module otherwise with --name, another folder with --out, or move it away"))
}

/// The ABI facts that were asked for, and the module's name where the project says one.
fn facts(args: &PythonArgs, settings: &Settings) -> Result<(AbiFile, Option<String>), CliError> {
    if let (Some(header), Some(library)) = (&args.header, &args.library) {
        return Ok((of_header(header, library)?, None));
    }
    let Some(path) = &args.of else { return of_project(None) };
    if path.join("hoist.toml").is_file() {
        return of_project(Some(path));
    }
    let folder = match in_store(path, settings) {
        Some(there) => there,
        None if path.exists() => path.clone(),
        None => active(path, settings)?,
    };
    let abi = packed_abi(&folder)?.ok_or_else(|| {
        CliError::new(Exit::No, format!("{} has no ABI file", folder.display()))
            .hint("name an artifact of hoist's, or a header and its library")
    })?;
    Ok((abi, None))
}

fn of_project(folder: Option<&Path>) -> Result<(AbiFile, Option<String>), CliError> {
    let project = Project::load(folder)?;
    Ok((project.promise.abi, project.manifest.package.python))
}

/// The active generation of a package.
fn active(name: &Path, settings: &Settings) -> Result<PathBuf, CliError> {
    let none = || {
        let message = format!("there is no file, store path or package `{}`", name.display());
        CliError::new(Exit::No, message).hint("`hoist generations` lists the packages")
    };
    let package = name.to_str().filter(|name| !name.contains('/')).ok_or_else(none)?;
    let current = read_current(&settings.root, package).ok().flatten().ok_or_else(none)?;
    Ok(current.physical)
}

fn of_header(header: &Path, library: &Path) -> Result<AbiFile, CliError> {
    let size = fs::metadata(header).map_err(CliError::io("read", header))?;
    let refuse = |why: String| {
        CliError::new(Exit::No, format!("{} cannot be used: {why}", header.display()))
    };
    if !size.is_file() || size.len() > MAX_HEADER_BYTES {
        return Err(refuse("it is no file of at most 4 MiB".to_owned()));
    }
    let text = fs::read_to_string(header).map_err(CliError::io("read", header))?;
    let parsed = parse_header(&text).map_err(|error| refuse(error.to_string()))?;
    let no_name = || CliError::new(Exit::Usage, format!("{} names no file", library.display()));
    let file = library.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let stem = file.split(".so").next().unwrap_or(file);
    Ok(AbiFile {
        edition: ABI_EDITION,
        package: stem.strip_prefix("lib").unwrap_or(stem).to_owned(),
        version: String::new(),
        system: system(),
        libraries: vec![AbiLibrary {
            path: file.to_owned(),
            hash: String::new(),
            structs: parsed.structs,
            functions: parsed.functions,
        }],
    })
}

/// A package's name as a module's: what an identifier cannot have becomes `_`.
fn module_name(package: &str) -> String {
    let letter = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { '_' };
    let name: String = package.chars().map(letter).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}
