//! `hoist init`: look at a project and write its manifest.

mod look;

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hoist_schema::Exit;
use hoist_schema::manifest::MANIFEST_FILE;
use hoist_schema::record::InitRecord;
use toml::Value;

use self::look::Found;
use crate::error::CliError;
use crate::output::Output;

/// Look at a project and write a commented hoist.toml
///
/// Knows cargo projects with a `cdylib`, and Mojo, Zig, Go, C and C++ sources. Never overwrites a hoist.toml.
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

pub(crate) fn run(args: &InitArgs, out: &Output) -> Result<Exit, CliError> {
    let folder = args.dir.canonicalize().map_err(CliError::io("open", &args.dir))?;
    let found = look::at(&folder)?;
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
