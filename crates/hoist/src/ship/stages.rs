//! The stages that `hoist build` and `hoist ship` share: from a project to a valid store path.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoist_build::{
    Action, ActionKey, ActionRecord, Built, Failed, Isolation, Lacked, Request, Sources, Toolchain,
    Verdict, WorkDir, build, find_toolchain,
};
use hoist_nix::{Sha256Hash, StorePath, StorePathName, fixed_recursive_sha256};
use hoist_schema::lock::LockedToolchain;
use hoist_schema::record::StageRecord;
use hoist_schema::{Exit, Severity};
use hoist_store::{PathInfo, Store, hash_tree};

use crate::checking::check_artifact;
use crate::error::CliError;
use crate::output::{DIM, Output, count, duration, notice, size};
use crate::project::Project;
use crate::receipt::Receipt;
use crate::settings::{Settings, store_path_name};

/// How the user wants the build.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Making {
    /// Build anew, with an empty compiler cache
    #[arg(long)]
    cold: bool,
    /// Build on the host as it is, without a sandbox
    #[arg(long)]
    no_sandbox: bool,
    /// Keep the work folder of a build that fails
    #[arg(long)]
    keep_failed: bool,
}

/// An artifact that was checked and is valid in the store.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) store_path: StorePath,
    /// Where it lies on this machine.
    pub(crate) path: PathBuf,
    pub(crate) nar_hash: Sha256Hash,
    pub(crate) nar_size_bytes: u64,
    pub(crate) action_key: ActionKey,
    pub(crate) toolchain: LockedToolchain,
}

/// An output tree as it was hashed.
struct Packed {
    name: StorePathName,
    path: StorePath,
    hash: Sha256Hash,
    size_bytes: u64,
    time: Duration,
}

/// What every stage needs.
pub(crate) struct Maker<'a> {
    pub(crate) project: &'a Project,
    pub(crate) making: Making,
    pub(crate) settings: &'a Settings,
    pub(crate) store: &'a Store,
    pub(crate) out: &'a Output,
}

impl Maker<'_> {
    /// Builds, checks, packs and stores the project; an unchanged one is only checked.
    pub(crate) fn land(&self) -> Result<Landed, CliError> {
        let start = Instant::now();
        let Project { folder, manifest, promise } = self.project;
        let sources = Sources::find(folder, &manifest.build.sources)?;
        let toolchain = {
            let _progress = self.out.progress("looking at the toolchain");
            find_toolchain(folder, manifest, &self.settings.cache)?
        };
        let isolation = if self.making.no_sandbox { Isolation::Host } else { Isolation::Sandbox };
        let action = Action::new(manifest, &sources, &toolchain, promise, isolation)?;

        if let Some((record, info)) = self.known(&action.key())? {
            self.say_built(start.elapsed(), true, &toolchain, &record);
            let landed = self.landed(&info, action.key(), &toolchain);
            self.land_known(&landed)?;
            return Ok(landed);
        }
        let work = WorkDir::new(&self.settings.cache)?;
        let request = Request {
            manifest,
            sources: &sources,
            toolchain: &toolchain,
            action: &action,
            dirs: &self.settings.cache,
            work: &work,
            cold: self.making.cold,
        };
        let built = match self.build(&request)? {
            Verdict::Built(built) => built,
            Verdict::Failed(failed) => return Err(self.build_failed(&failed, work)),
        };
        promise.pack_into(&built.out)?;
        let mut record = record_of(action.key(), &built);
        self.say_built(start.elapsed(), false, &toolchain, &record);
        let packed = self.pack(&built.out)?;
        self.check(&built.out, true)?;
        let path = self.store_tree(&built.out, &packed)?;
        record.store_path = self.store.dir().print(&packed.path);
        self.settings.actions().put(&record)?;
        Ok(Landed {
            store_path: packed.path,
            path,
            nar_hash: packed.hash,
            nar_size_bytes: packed.size_bytes,
            action_key: record.key,
            toolchain: locked(&toolchain),
        })
    }

    /// What the project as it is landed as before, in the sandbox or without one.
    pub(crate) fn landed_before(&self) -> Result<Option<Landed>, CliError> {
        let Project { folder, manifest, promise } = self.project;
        let sources = Sources::find(folder, &manifest.build.sources)?;
        let toolchain = find_toolchain(folder, manifest, &self.settings.cache)?;
        for isolation in [Isolation::Sandbox, Isolation::Host] {
            let key = Action::new(manifest, &sources, &toolchain, promise, isolation)?.key();
            if let Some((_, info)) = self.known(&key)? {
                return Ok(Some(self.landed(&info, key, &toolchain)));
            }
        }
        Ok(None)
    }

    fn landed(&self, info: &PathInfo, action_key: ActionKey, toolchain: &Toolchain) -> Landed {
        Landed {
            store_path: info.path.clone(),
            path: self.store.physical(&info.path),
            nar_hash: info.nar_hash,
            nar_size_bytes: info.nar_size.unwrap_or_default(),
            action_key,
            toolchain: locked(toolchain),
        }
    }

    /// What the action made before, as long as it is still in the store.
    fn known(&self, key: &ActionKey) -> Result<Option<(ActionRecord, PathInfo)>, CliError> {
        if self.making.cold {
            return Ok(None);
        }
        let Some(record) = self.settings.actions().get(key) else { return Ok(None) };
        self.store.hold_off_collection()?;
        let Ok(store_path) = self.store.dir().parse_path(&record.store_path) else {
            return Ok(None);
        };
        let info = self.store.path_info(&store_path)?;
        let info = info.filter(|_| self.store.physical(&store_path).exists());
        Ok(info.map(|info| (record, info)))
    }

    fn build(&self, request: &Request<'_>) -> Result<Verdict, CliError> {
        let progress = self.out.progress(format!("building with {}", request.toolchain.version));
        Ok(build(request, |bytes| progress.say(bytes))?)
    }

    fn build_failed(&self, failed: &Failed, work: WorkDir) -> CliError {
        let name = &self.project.manifest.package.name;
        let mut details: Vec<String> =
            failed.last_lines.iter().map(|line| format!("  {DIM}|{DIM:#} {line}")).collect();
        details.push(format!("  the whole log: {}", failed.log.display()));
        if self.making.keep_failed {
            details.push(format!("  the work folder: {}", work.keep().display()));
        }
        let exit = if failed.lacked == Some(Lacked::Space) { Exit::Machine } else { Exit::No };
        CliError::new(exit, format!("the build of {name} {}", failed.reason))
            .details(details)
            .hint(hint_of(failed))
    }

    fn say_built(&self, time: Duration, cached: bool, toolchain: &Toolchain, made: &ActionRecord) {
        self.out.record(&StageRecord::Build {
            ms: ms(time),
            cached,
            toolchain: toolchain.version.clone(),
            level: made.level.clone(),
            action_key: made.key.to_string(),
            build_ms: made.wall_ms,
            cpu_ms: made.cpu_ms,
        });
        let how = if cached {
            let then = duration(Duration::from_millis(made.wall_ms));
            format!("unchanged, from the action cache (was {then})")
        } else {
            format!("{}, {}", toolchain.version, isolation_text(&made.level, self.network()))
        };
        Receipt::new(self.out).stage("build", time, &how);
    }

    fn network(&self) -> bool {
        self.project.manifest.build.network
    }

    /// Checks the libraries in `tree`; an error finding is the end.
    fn check(&self, tree: &Path, is_new: bool) -> Result<(), CliError> {
        let start = Instant::now();
        let report = check_artifact(self.project, self.settings, tree, is_new)?;
        let time = start.elapsed();
        self.out.record(&StageRecord::Check {
            ms: ms(time),
            libraries: report.libraries.clone(),
            findings: report.findings.clone(),
        });
        let what = report
            .libraries
            .iter()
            .map(|library| {
                let exports = count(library.exports, "promised export");
                format!("{}: {exports}, {}", library.path, size(library.size_bytes))
            })
            .collect::<Vec<_>>()
            .join("; ");
        Receipt::new(self.out).stage("check", time, &format!("{what}; {}", report.summary()));
        for line in report.lines(Severity::Warning) {
            notice(line); // a script that wants the store path must not read it
        }
        if report.worst() == Some(Severity::Error) {
            let name = &self.project.manifest.package.name;
            let message = format!("{name} does not keep what it promises; nothing was stored");
            return Err(CliError::new(Exit::No, message)
                .hint("`hoist explain RULE` tells more about each finding"));
        }
        Ok(())
    }

    /// Hashes the tree before it is checked: what is stored must be what was looked at.
    fn pack(&self, tree: &Path) -> Result<Packed, CliError> {
        let start = Instant::now();
        let name = store_path_name(&self.project.manifest.package.store_name())?;
        let (hash, size_bytes) = hash_tree(tree)?;
        let path = fixed_recursive_sha256(self.store.dir(), &name, &hash);
        Ok(Packed { name, path, hash, size_bytes, time: start.elapsed() })
    }

    fn store_tree(&self, tree: &Path, packed: &Packed) -> Result<PathBuf, CliError> {
        self.say_packed(packed.time, &packed.path, packed.hash, packed.size_bytes);
        let start = Instant::now();
        let added = self.store.add_tree(&packed.name, tree)?;
        if added.path != packed.path {
            let message = "the output changed between its check and the store";
            return Err(CliError::new(Exit::No, message)
                .hint("let the build end all it starts; nothing was switched"));
        }
        let path = self.store.physical(&added.path);
        self.say_stored(start.elapsed(), added.already_there, &added.path, &path);
        Ok(path)
    }

    fn land_known(&self, landed: &Landed) -> Result<(), CliError> {
        let Landed { store_path, path, nar_hash, nar_size_bytes, .. } = landed;
        self.check(path, false)?;
        let start = Instant::now();
        self.say_packed(start.elapsed(), store_path, *nar_hash, *nar_size_bytes);
        self.say_stored(start.elapsed(), true, store_path, path);
        Ok(())
    }

    fn say_packed(&self, time: Duration, store_path: &StorePath, hash: Sha256Hash, bytes: u64) {
        self.out.record(&StageRecord::Pack {
            ms: ms(time),
            store_path: self.store.dir().print(store_path),
            nar_hash: hash.sri(),
            nar_size_bytes: bytes,
        });
        let what = format!("NAR {}, {}", size(bytes), hash.sri());
        Receipt::new(self.out).stage("pack", time, &what);
    }

    fn say_stored(&self, time: Duration, already_there: bool, store_path: &StorePath, path: &Path) {
        self.out.record(&StageRecord::Store {
            ms: ms(time),
            already_there,
            path: path.display().to_string(),
        });
        let there = if already_there { " (was there)" } else { "" };
        let store_path = self.store.dir().print(store_path);
        Receipt::new(self.out).stage("store", time, &format!("{store_path}{there}"));
    }
}

fn hint_of(failed: &Failed) -> String {
    let files = failed.undeclared.as_slice();
    match failed.lacked {
        Some(Lacked::Time) => "raise `timeout` in [build] if it needs longer".to_owned(),
        Some(Lacked::Space) => {
            "free some space, or set HOIST_CACHE_DIR to a disk that has it".to_owned()
        }
        None if files.is_empty() => {
            "correct it; --no-sandbox tells whether it misses something of the host".to_owned()
        }
        None => format!(
            "{} in the project but not among its declared inputs: add {} to [build] sources",
            if files.len() == 1 { "one file it names is" } else { "files it names are" },
            files.iter().map(|file| format!("\"{file}\"")).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn locked(toolchain: &Toolchain) -> LockedToolchain {
    LockedToolchain { digest: toolchain.digest.clone(), name: toolchain.version.clone() }
}

fn record_of(key: ActionKey, built: &Built) -> ActionRecord {
    let outcome = &built.outcome;
    ActionRecord {
        key,
        store_path: String::new(),
        wall_ms: whole_ms(outcome.wall),
        cpu_ms: whole_ms(outcome.user + outcome.system),
        level: outcome.level.to_string(),
    }
}

fn isolation_text(level: &str, network: bool) -> String {
    match level {
        "none" => "on the host as it is: not hermetic".to_owned(),
        _ if network => "sandboxed, with the network: not hermetic".to_owned(),
        "hermetic" => "hermetic: declared inputs only, no network".to_owned(),
        partly => format!("sandboxed ({partly}): declared inputs only, no network"),
    }
}

/// Milliseconds with three decimals, as records have them.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
