//! One run of an action: sources staged, sandbox entered, output collected.

mod log;
mod outputs;
mod runtime;
mod surroundings;

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use hoist_sandbox::{End, Outcome};
use hoist_schema::manifest::Manifest;

use self::log::Log;
use self::outputs::{collect_libraries, forget_earlier_outputs, make_library_folders};
use self::runtime::pack_runtime;
use self::surroundings::{Surroundings, places_inside, write_home};
use crate::digest::sha256_of;
use crate::hidden::undeclared;
use crate::staging::{StagedTimes, book_of, stage};
use crate::toolchain::{self, Places};
use crate::{Action, BuildError, CacheDirs, Isolation, Sources, Toolchain, WorkDir};

/// What to build, and where.
#[derive(Debug)]
pub struct Request<'a> {
    /// The project's manifest.
    pub manifest: &'a Manifest,
    /// Its sources.
    pub sources: &'a Sources,
    /// The compiler.
    pub toolchain: &'a Toolchain,
    /// The action they make.
    pub action: &'a Action,
    /// Where compilers keep their caches and logs go.
    pub dirs: &'a CacheDirs,
    /// Where this build works; its output stays there.
    pub work: &'a WorkDir,
    /// Whether the compiler starts with an empty cache.
    pub cold: bool,
}

/// A build that ended well.
#[derive(Debug)]
pub struct Built {
    /// The output tree, in the work folder.
    pub out: PathBuf,
    /// What it cost and how isolated it was.
    pub outcome: Outcome,
}

/// A build that ended badly: an answer, not an error.
#[derive(Debug)]
pub struct Failed {
    /// How it ended, in words, e.g. `ended with exit code 101`.
    pub reason: String,
    /// What it ran out of, if that is why.
    pub lacked: Option<Lacked>,
    /// The last lines it printed.
    pub last_lines: Vec<String>,
    /// All it printed.
    pub log: PathBuf,
    /// Files of the project that the log names and that are not declared.
    pub undeclared: Vec<String>,
}

/// What a build ran out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacked {
    /// Time: the manifest gives it no more.
    Time,
    /// Space on a disk, by the log's own words.
    Space,
}

/// How a build went.
#[derive(Debug)]
pub enum Verdict {
    /// It made its output.
    Built(Built),
    /// It did not.
    Failed(Failed),
}

/// Builds. `on_output` is called with what the build prints, as it comes.
///
/// # Errors
///
/// When the build could not be run at all, or left no promised library.
pub fn build(
    request: &Request<'_>,
    mut on_output: impl FnMut(&[u8]),
) -> Result<Verdict, BuildError> {
    let Request { manifest, toolchain, action, dirs, work, .. } = *request;
    let on_host = action.isolation() == Isolation::Host;
    let prepared = toolchain::prepare(toolchain.kind, &request.sources.project, dirs, work)?;
    let (_cache_lock, cache) = compiler_cache(request, &mut on_output)?;
    let host = Places {
        source: work.folder("source")?,
        out: work.folder("out")?,
        home: work.folder("home")?,
        vendor: prepared.vendor.clone().unwrap_or_else(|| work.path().join("vendor")),
        cache,
        on_host: true,
    };
    let seen = if on_host { host.clone() } else { places_inside(manifest) };
    let times = StagedTimes::open(book_of(&host.cache));
    stage(request.sources, &host.source, &times)?;
    write_home(&prepared, &host, &seen)?;
    make_library_folders(manifest, &host.out)?;
    forget_earlier_outputs(manifest, toolchain, &host)?;

    let surroundings = Surroundings { request, host: &host, seen: &seen, prepared: &prepared };
    let mut log = Log::create(dirs, manifest)?;
    let outcome = surroundings.run(on_host, &mut |bytes: &[u8]| {
        log.write(bytes);
        on_output(bytes);
    })?;
    if outcome.end != End::Code(0) {
        let text = log.text();
        return Ok(Verdict::Failed(Failed {
            reason: how_it_ended(outcome.end, manifest.build.timeout.0),
            lacked: lacked(outcome.end, &text),
            last_lines: log.last_lines(),
            undeclared: undeclared(&text, request.sources, &seen.source),
            log: log.path,
        }));
    }
    collect_libraries(manifest, toolchain, &host)?;
    pack_runtime(manifest, toolchain, &host)?;
    Ok(Verdict::Built(Built { out: host.out, outcome }))
}

/// The folder the compiler keeps its cache in, locked for this build: kept per project, toolchain
/// and way of running it, or in the work folder for a cold build. Compilers do not notice all of
/// these by themselves: cargo does not run a build script again that reads another variable.
fn compiler_cache(
    request: &Request<'_>,
    on_output: &mut dyn FnMut(&[u8]),
) -> Result<(Option<File>, PathBuf), BuildError> {
    if request.cold {
        return Ok((None, request.work.folder("cache")?));
    }
    let build = &request.manifest.build;
    let place = (
        request.sources.project.as_os_str().as_encoded_bytes(),
        &request.toolchain.digest,
        request.action.isolation(),
        request.action.command(),
        (&build.env, &build.system, build.network),
    );
    let place = serde_json::to_vec(&place).expect("a place is plain data");
    let parent = request.dirs.folder("compiler")?;
    let name = format!("{}-{}", request.manifest.package.name, &sha256_of(&place)[..16]);
    let folder = parent.join(&name);
    fs::create_dir_all(&folder).map_err(BuildError::io("make the compiler cache", &folder))?;
    let lock_file = parent.join(format!("{name}.lock"));
    let lock = File::create(&lock_file).map_err(BuildError::io("make the lock", &lock_file))?;
    if lock.try_lock().is_err() {
        on_output(b"waiting for another build of this project\n");
        lock.lock().map_err(BuildError::io("lock", &lock_file))?;
    }
    Ok((Some(lock), folder))
}

fn lacked(end: End, log: &str) -> Option<Lacked> {
    // What the C library calls ENOSPC; builds run in the C locale.
    let is_full = log.contains("No space left on device");
    match end {
        End::TimedOut => Some(Lacked::Time),
        _ => is_full.then_some(Lacked::Space),
    }
}

fn how_it_ended(end: End, timeout: Duration) -> String {
    match end {
        End::Code(code) => format!("ended with exit code {code}"),
        End::Signal(signal) => format!("was ended by signal {signal}"),
        End::TimedOut => format!("was stopped after its timeout of {} s", timeout.as_secs()),
    }
}
