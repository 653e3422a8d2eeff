//! A hoist that needs no library and no loader, as a store path: what runs where there is nothing
//! else, as in Nix's sandbox.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hoist_check::Target;
use hoist_elf::{ElfFacts, FileKind, SegmentKind};
use hoist_schema::Exit;
use hoist_schema::lock::LockedPath;
use hoist_store::{Store, hash_tree};

use crate::error::CliError;
use crate::settings::store_path_name;

/// Name of its store path; a path with another version has another hash.
const NAME: &str = "hoist";

/// Where a static hoist may come from.
pub(super) enum Candidate {
    /// The user says so.
    Named(PathBuf),
    /// This program, if it is static.
    Running,
}

/// A static hoist in the store.
pub(super) struct LandedHoist {
    pub(super) locked: LockedPath,
    /// Where it lies on this machine.
    pub(super) path: PathBuf,
}

/// Adds the candidate to the store, as `bin/hoist`; `None` when this program is not static.
///
/// Fails for a file that the user named and that is no static program of this machine.
pub(super) fn land_hoist(
    candidate: Candidate,
    store: &Store,
) -> Result<Option<LandedHoist>, CliError> {
    let (file, named) = match candidate {
        Candidate::Named(file) => (file, true),
        Candidate::Running => {
            let find = CliError::io("find", Path::new("this program"));
            (env::current_exe().map_err(find)?, false)
        }
    };
    let bytes = fs::read(&file).map_err(CliError::io("read", &file))?;
    match refusal(&bytes) {
        Some(why) if named => {
            let message = format!("{} is no static hoist: {why}", file.display());
            Err(CliError::new(Exit::No, message).hint(
                "build one: RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build --release \
                 --target x86_64-unknown-linux-gnu",
            ))
        }
        Some(_) => Ok(None),
        None => land(&bytes, store).map(Some),
    }
}

/// Why these bytes do not run alone on this kind of machine; `None` when they do.
fn refusal(bytes: &[u8]) -> Option<String> {
    let facts = match ElfFacts::read(bytes) {
        Ok(facts) => facts,
        Err(error) => return Some(error.to_string()),
    };
    if facts.segments.iter().any(|segment| segment.kind == SegmentKind::Interpreter) {
        return Some("it asks for a loader".to_owned());
    }
    if let Some(needed) = facts.dynamic.needed.first() {
        return Some(format!("it needs {needed}"));
    }
    let machine = facts.identity.machine;
    if machine != Target::HOST.machine {
        return Some(format!("it is for {machine}"));
    }
    let runs = matches!(facts.kind, FileKind::Executable | FileKind::PositionIndependentExecutable);
    (!runs).then(|| "it is no program".to_owned())
}

fn land(bytes: &[u8], store: &Store) -> Result<LandedHoist, CliError> {
    let name = store_path_name(NAME)?;
    let tree = tempfile::tempdir().map_err(CliError::io("write to", &env::temp_dir()))?;
    let folder = tree.path().join("bin");
    let program = folder.join("hoist");
    fs::create_dir(&folder)
        .and_then(|()| fs::write(&program, bytes))
        .and_then(|()| fs::set_permissions(&program, Permissions::from_mode(0o755)))
        .map_err(CliError::io("write", &program))?;
    let (nar_hash, nar_size) = hash_tree(tree.path())?;
    let added = store.add_tree(&name, tree.path())?;
    Ok(LandedHoist {
        locked: LockedPath::new(&name, &nar_hash, nar_size),
        path: store.physical(&added.path),
    })
}
