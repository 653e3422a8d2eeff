//! Any other compiler: the manifest says the command and, with `system`, where the compiler lies.

use std::path::{Path, PathBuf};

use hoist_schema::manifest::ToolchainKind;

use super::ask::on_path;
use super::{Finder, Toolchain};
use crate::BuildError;
use crate::digest::sha256_of;

pub(super) fn find(finder: &mut Finder<'_>) -> Result<Toolchain, BuildError> {
    let kind = ToolchainKind::Custom;
    let build = &finder.manifest.build;
    let program = build.command.as_ref().and_then(|command| command.first()).ok_or_else(|| {
        BuildError::Unsaid {
            toolchain: kind.as_str(),
            key: "command",
            reason: "it has no command of its own".to_owned(),
        }
    })?;
    let folders: Vec<PathBuf> = build.system.iter().map(PathBuf::from).collect();
    // A program among the sources has its digest there.
    let in_project = finder.project.join(program).is_file() && program.contains('/');
    let found = if in_project {
        None
    } else {
        Some(find_program(program, &folders).ok_or_else(|| BuildError::NoCompiler {
            program: program.clone(),
            toolchain: kind.as_str(),
        })?)
    };
    let digest = match &found {
        Some(found) => finder.book.file(found)?,
        None => sha256_of(program.as_bytes()),
    };
    Ok(Toolchain { kind, version: program.clone(), digest, mounts: Vec::new(), path: Vec::new() })
}

fn find_program(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(Path::new(program).to_owned()).filter(|file| file.is_file());
    }
    let own = folders.iter().map(|folder| folder.join("bin").join(program));
    own.into_iter().find(|file| file.is_file()).or_else(|| on_path(program))
}
