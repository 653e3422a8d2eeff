//! `hoist.lock`: read from a project, held against what a ship made, written when it differs.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use hoist_nix::StorePathName;
use hoist_schema::lock::{LOCK_FILE, LockedPackage, LockedPath, LockedSystem, MAX_LOCK_BYTES};
use hoist_schema::record::StageRecord;
use hoist_schema::{Exit, Lock, LockError};

use super::vendor::vendor;
use super::{Landed, ms};
use crate::error::CliError;
use crate::output::Output;
use crate::project::Project;
use crate::receipt::Receipt;
use crate::settings::system;

/// Reads the lock of the project in `folder`; `None` when it has none.
pub(crate) fn read_lock(folder: &Path) -> Result<Option<Lock>, CliError> {
    let file = folder.join(LOCK_FILE);
    let opened = match File::open(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(CliError::io("read", &file))?,
    };
    let mut text = String::new();
    let bounded = opened.take(MAX_LOCK_BYTES as u64 + 1).read_to_string(&mut text);
    bounded.map_err(CliError::io("read", &file))?;
    Lock::parse(&text).map(Some).map_err(|error| refusal(&file, &error))
}

fn refusal(file: &Path, error: &LockError) -> CliError {
    CliError::new(Exit::Usage, format!("{}: {error}", file.display())).hint(error.hint())
}

/// Writes a file of the project: all of it or nothing, over what is there.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(CliError::io("write to", folder))?;
    fresh.write_all(text.as_bytes()).map_err(CliError::io("write", file))?;
    fresh.as_file().sync_all().map_err(CliError::io("write", file))?;
    fresh.persist(file).map_err(|error| CliError::io("write", file)(error.error))?;
    Ok(())
}

/// `lock` after `landed` was shipped for this system: where it can be fetched stays, and so does
/// what is said of other systems.
pub(crate) fn locked_anew(
    lock: Option<&Lock>,
    project: &Project,
    landed: &Landed,
) -> Result<Lock, CliError> {
    let package = &project.manifest.package;
    let package = LockedPackage { name: package.name.clone(), version: package.version.clone() };
    let mut systems = lock.map(|lock| lock.systems.clone()).unwrap_or_default();
    let before = systems.remove(&system());
    let name = StorePathName::parse(landed.store_path.name())
        .map_err(|error| CliError::new(Exit::Bug, error.to_string()))?;
    let artifact = LockedPath::new(&name, &landed.nar_hash, landed.nar_size_bytes);
    let path = before.as_ref().and_then(|before| before.artifact.path.clone());
    let fresh = LockedSystem {
        artifact: LockedPath { path, ..artifact },
        caches: before.as_ref().map(|before| before.caches.clone()).unwrap_or_default(),
        hoist: before.and_then(|before| before.hoist),
        inputs: landed.action_key.to_string(),
        toolchain: landed.toolchain.clone(),
    };
    systems.insert(system(), fresh);
    Ok(Lock { systems, ..Lock::new(package) })
}

/// What a ship is to do to the lock of its project, if that has one.
pub(crate) struct LockUpdate {
    before: Lock,
    after: Lock,
}

impl LockUpdate {
    /// Holds the project's lock against what `landed`.
    ///
    /// `locked` refuses any change of it, and a project without one.
    pub(crate) fn plan(
        project: &Project,
        landed: &Landed,
        locked: bool,
    ) -> Result<Option<Self>, CliError> {
        let Some(before) = read_lock(&project.folder)? else {
            let file = project.folder.join(LOCK_FILE);
            let message = format!("--locked, and there is no {}", file.display());
            let refusal = CliError::new(Exit::No, message)
                .hint("`hoist flake` writes it; commit it with the sources");
            return if locked { Err(refusal) } else { Ok(None) };
        };
        let after = locked_anew(Some(&before), project, landed)?;
        if locked && before != after {
            let differences = before.differences(&after);
            let message = format!("--locked, and {LOCK_FILE} is not what this ship makes");
            return Err(CliError::new(Exit::No, message)
                .details(differences.iter().map(|line| format!("  {line}")).collect())
                .hint("ship without --locked, and commit hoist.lock; nothing was switched"));
        }
        Ok(Some(Self { before, after }))
    }

    /// Writes what has changed: the copy of the artifact in the project, if it has one, then the
    /// lock that names it.
    pub(crate) fn apply(
        &self,
        project: &Project,
        landed: &Landed,
        out: &Output,
    ) -> Result<(), CliError> {
        let start = Instant::now();
        let changed = self.before != self.after;
        let copy = self.after.systems.get(&system()).and_then(|now| now.artifact.path.as_deref());
        if let Some(copy) = copy
            && (changed || !project.folder.join(copy).is_dir())
        {
            vendor(&landed.path, &project.folder, copy)?;
        }
        let file = project.folder.join(LOCK_FILE);
        if changed {
            write_whole(&file, &self.after.to_string())?;
        }
        let time = start.elapsed();
        out.record(&StageRecord::Lock { ms: ms(time), changed, file: file.display().to_string() });
        let copy = copy.map(|copy| format!(", with a copy in {copy}")).unwrap_or_default();
        let state = if changed { "brought up to date" } else { "unchanged" };
        Receipt::new(out).stage("lock", time, &format!("{LOCK_FILE} {state}{copy}"));
        Ok(())
    }
}

/// Whether a file is there with exactly this text.
pub(crate) fn has_text(file: &Path, text: &str) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == text.len() as u64)
        && fs::read(file).is_ok_and(|found| found == text.as_bytes())
}
