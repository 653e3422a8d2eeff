//! The load probe: loads a library in a sandbox that is thrown away, and says what that did.
//!
//! hoist does not load the library itself. A small program in C does (`probe/` of this crate),
//! which hoist carries and starts through `hoist-sandbox`: without network, with a small
//! environment of its own, the artifact and this machine's own libraries to read and nothing to write but `/tmp`.
//!
//! Success is a nonce on a slate that the loading process maps before it closes the file, put
//! there after the library was loaded and its symbols were found. No exit code, no output and no
//! crash can be taken for it. A library that was written to fool the probe can: it runs in the same
//! process and may look for the nonce in memory. The sandbox holds it all the same.

mod changes;
mod error;
mod judge;
mod place;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_elf::{ElfFacts, Identity};
use hoist_sandbox::{Access, End, Level, Limits, Mount, Spec, System};
use hoist_schema::Finding;

pub use error::ProbeError;

use crate::contract::{Contract, Target};
use crate::report::Judge;
use crate::tree::read_library;
use words::{NONCE_BYTES, SLATE_BYTES, Told};

/// The program that loads the library; empty where hoist was built for a system without glibc.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/load-probe"));

/// Where the artifact lies in the sandbox.
const ARTIFACT: &str = "/artifact";

/// Where the store of Nix lies, whose libraries name each other by absolute paths.
const STORE: &str = "/nix/store";

/// The sandbox's own clock is only for a probe that does not keep its time.
const SPARE_TIME: Duration = Duration::from_secs(3);

/// The longest time a library may be given: the program counts milliseconds.
const LONGEST: Duration = Duration::from_hours(24);

/// Private memory of one process, in bytes: far above what loading takes, far below what a host
/// has to spare for a mistake.
const MEMORY_BYTES: u64 = 4 << 30;

/// The largest file that may be written, and all of `/tmp`, in bytes.
const FILE_BYTES: u64 = 64 << 20;

/// Processes and threads; libraries for numbers start one thread for each processor.
const PROCESSES: u64 = 4096;

/// Bytes of the library's output that are kept.
const KEPT_OUTPUT_BYTES: usize = 4096;

/// A library to load.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How findings call it.
    pub file: String,
    /// The folder that is shown to it, read-only; `$ORIGIN` leads nowhere else.
    pub root: PathBuf,
    /// Where it lies in that folder.
    pub path: PathBuf,
}

impl Loaded {
    /// A library of the artifact at `root`.
    #[must_use]
    pub fn in_artifact(root: &Path, path: &str) -> Self {
        Self { file: path.to_owned(), root: root.to_owned(), path: path.into() }
    }

    /// A library that belongs to no artifact: it is shown its own folder, or one of the two above
    /// that holds what its search path names through `$ORIGIN`, but no home folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn alone(library: &Path) -> Result<Self, ProbeError> {
        let failed = |source| ProbeError::Read { path: library.to_owned(), source };
        let absolute = std::path::absolute(library).map_err(failed)?;
        // A link that leads out of its folder would lead nowhere in the sandbox.
        let real = absolute.canonicalize().map_err(failed)?;
        let beside = absolute.parent().and_then(|folder| folder.canonicalize().ok());
        let lies_beside = beside.is_some_and(|folder| Some(folder.as_path()) == real.parent());
        let place = match absolute.file_name() {
            Some(name) if lies_beside => real.with_file_name(name),
            _ => real,
        };
        let folder = place.parent().unwrap_or(Path::new("/")).to_owned();
        let bytes = read_library(&place)?;
        let searched = ElfFacts::read(&bytes).ok().and_then(|facts| {
            let dynamic = facts.dynamic;
            dynamic.runpath.or(dynamic.rpath)
        });
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        let searched = searched.as_deref().unwrap_or_default();
        let root = place::common_root(&folder, searched, home.as_deref());
        let path = place.strip_prefix(&root).unwrap_or(&place).to_owned();
        Ok(Self { file: library.display().to_string(), root, path })
    }
}

/// How a library is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeOptions {
    /// How long it may take from start to end.
    pub time_limit: Duration,
}

impl Default for ProbeOptions {
    /// Ten seconds: a hundred times what slow libraries take, little enough to wait for.
    fn default() -> Self {
        Self { time_limit: Duration::from_secs(10) }
    }
}

/// What the probe saw.
#[derive(Debug)]
pub struct ProbeReport {
    /// Findings of the rules `load.*`, worst first.
    pub findings: Vec<Finding>,
    /// How long `dlopen` took; absent when it did not come back.
    pub load_time: Option<Duration>,
    /// How isolated the library was.
    pub level: Level,
}

/// Loads a library in a sandbox of its own, looks up what `contract` promises, and ends.
///
/// The calling program must call [`hoist_sandbox::init_if_asked`] first thing. Takes a few
/// milliseconds beside what the library does, and [`ProbeOptions::time_limit`] at most.
///
/// # Errors
///
/// When it could not look: this machine gives no sandbox, the library is for another one, or it
/// needs symbols that only its host process has. That is never a pass.
pub fn probe(
    loaded: &Loaded,
    contract: &Contract,
    options: ProbeOptions,
) -> Result<ProbeReport, ProbeError> {
    let on_host = loaded.root.join(&loaded.path);
    let bytes = read_library(&on_host)?;
    check_machine(&bytes)?;
    if PROGRAM.is_empty() {
        return Err(ProbeError::NoProgram);
    }
    let nonce = nonce()?;
    let time_limit = options.time_limit.clamp(Duration::from_millis(1), LONGEST);
    let spec = spec(loaded, contract, time_limit, &nonce)?;
    let mut output = Output::default();
    let outcome = hoist_sandbox::run(&spec, &mut |piece| output.add(piece))?;
    let told = Told::parse(&outcome.slate);
    if let End::Code(code @ 1..) = outcome.end {
        return Err(ProbeError::Program { code });
    }
    if let Some(errno) = told.number("unreadable") {
        let source = io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or(0));
        return Err(ProbeError::Unreadable { path: on_host, source });
    }
    let mut judge = Judge::new(&loaded.file, contract);
    let seen = judge::Seen {
        told: &told,
        succeeded: told.nonce == nonce,
        end: outcome.end,
        output: &output,
        library: place::Library::new(&loaded.path, &bytes),
        time_limit,
    };
    judge::judge(&mut judge, &seen)?;
    let load_time = told.number("nanoseconds").and_then(|time| u64::try_from(time).ok());
    Ok(ProbeReport {
        findings: judge.finish(None).findings,
        load_time: load_time.map(Duration::from_nanos),
        level: outcome.level,
    })
}

/// Refuses what this machine's loader is not for. What is no library at all it may refuse itself.
fn check_machine(bytes: &[u8]) -> Result<(), ProbeError> {
    let host = Target::HOST;
    match Identity::read(bytes) {
        Ok(found)
            if (found.machine, found.class, found.endian)
                != (host.machine, host.class, host.endian) =>
        {
            Err(ProbeError::OtherMachine { found: found.machine, class: found.class })
        }
        _ => Ok(()),
    }
}

fn nonce() -> Result<[u8; NONCE_BYTES], ProbeError> {
    let path = Path::new("/dev/urandom");
    let mut nonce = [0; NONCE_BYTES];
    File::open(path)
        .and_then(|mut source| source.read_exact(&mut nonce))
        .map_err(|source| ProbeError::Read { path: path.to_owned(), source })?;
    Ok(nonce)
}

fn spec(
    loaded: &Loaded,
    contract: &Contract,
    time_limit: Duration,
    nonce: &[u8; NONCE_BYTES],
) -> Result<Spec, ProbeError> {
    let source = loaded
        .root
        .canonicalize()
        .map_err(|source| ProbeError::Read { path: loaded.root.clone(), source })?;
    let System { mut mounts, symlinks } = System::of_this_host();
    let read_only = |source: PathBuf, target: &str| Mount {
        source,
        target: target.into(),
        access: Access::ReadOnly,
    };
    mounts.push(read_only(source, ARTIFACT));
    if Path::new(STORE).is_dir() {
        mounts.push(read_only(STORE.into(), STORE));
    }
    let file = |path: &str, contents: Vec<u8>, executable| hoist_sandbox::File {
        path: path.into(),
        contents,
        executable,
    };
    let mut slate = vec![0; SLATE_BYTES];
    slate[..NONCE_BYTES].copy_from_slice(nonce);
    Ok(Spec {
        command: vec![
            "/probe/run".into(),
            Path::new(ARTIFACT).join(&loaded.path).into(),
            time_limit.as_millis().to_string().into(),
        ],
        env: environment(&contract.search),
        cwd: "/".into(),
        mounts,
        symlinks,
        files: vec![
            file("/probe/run", PROGRAM.to_vec(), true),
            file("/probe/symbols", symbols(contract), false),
        ],
        hostname: "hoist".to_owned(),
        network: false,
        limits: Limits {
            wall: Some(time_limit + SPARE_TIME),
            memory_bytes: Some(MEMORY_BYTES),
            processes: Some(PROCESSES),
            file_size_bytes: Some(FILE_BYTES),
            scratch_bytes: Some(FILE_BYTES),
            open_files: None,
        },
        slate,
        require: Level::SharedProc,
    })
}

/// The names to look up, each ended by a NUL.
fn symbols(contract: &Contract) -> Vec<u8> {
    let names = contract.exports.iter().map(|promise| promise.name.as_bytes());
    let mut list = Vec::new();
    for name in names.filter(|name| !name.is_empty() && !name.contains(&0)) {
        list.extend_from_slice(name);
        list.push(0);
    }
    list
}

/// What every process has, so that a library finds what it relies on and a change is seen, and one
/// variable that no library knows.
const VARIABLES: [(&str, &str); 4] =
    [("HOME", "/tmp"), ("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOIST_PROBE", "1")];

/// The environment of the probe, with the folders that the host adds to the search as the loader
/// is told of them.
fn environment(search: &[String]) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> =
        VARIABLES.iter().map(|(name, value)| (name.into(), value.into())).collect();
    // A folder with a separator in its name cannot be said.
    let folders = search.iter().filter(|folder| !folder.contains([':', ';', '$']));
    let folders: Vec<String> = folders.map(|folder| format!("{ARTIFACT}/{folder}")).collect();
    if !folders.is_empty() {
        variables.insert("LD_LIBRARY_PATH".into(), folders.join(":").into());
    }
    variables
}

/// What the library printed.
#[derive(Debug, Default)]
struct Output {
    /// The beginning.
    kept: Vec<u8>,
    /// Bytes in all.
    size_bytes: u64,
}

impl Output {
    fn add(&mut self, piece: &[u8]) {
        let room = KEPT_OUTPUT_BYTES.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
        self.size_bytes += piece.len() as u64;
    }
}

/// Says that the probe could not look, as a finding that no report may leave out.
#[must_use]
pub fn not_probed(file: &str, why: &ProbeError) -> Finding {
    let contract = Contract::new(Target::HOST);
    let mut judge = Judge::new(file, &contract);
    judge.report(
        &crate::rule::LOAD_UNVERIFIED,
        format_args!("it was not loaded: {}", why.told()),
        why.hint(),
    );
    judge.finish(None).findings.remove(0)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use hoist_elf::DottedVersion;

    use super::*;

    #[test]
    fn the_program_starts_where_glibc_is_old() {
        let facts = ElfFacts::read(PROGRAM).unwrap();
        let oldest: DottedVersion = "2.17".parse().unwrap();
        let versions: Vec<DottedVersion> = facts
            .version_needs
            .iter()
            .filter_map(|need| need.version.strip_prefix("GLIBC_")?.parse().ok())
            .collect();
        assert!(!versions.is_empty());
        assert!(versions.iter().all(|version| *version <= oldest), "{versions:?}");
    }

    #[test]
    fn the_program_refuses_to_work_outside_of_a_sandbox() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("run");
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = std::process::Command::new(&program);
        let status = command.args(["/artifact/libx.so", "1000"]).status().unwrap();
        assert_eq!(status.code(), Some(2));
    }

    #[test]
    fn names_that_no_library_can_have_are_not_looked_up() {
        let mut contract = Contract::new(Target::HOST);
        contract.exports = ["add", "", "a\0b", "sub"].map(crate::Promise::function).into();
        assert_eq!(symbols(&contract), b"add\0sub\0");
    }

    #[test]
    fn a_search_folder_that_cannot_be_said_is_left_out() {
        let path =
            |search: &[String]| environment(search).get(OsStr::new("LD_LIBRARY_PATH")).cloned();
        let search = ["deps".to_owned(), "a:b".to_owned(), "$LIB".to_owned()];
        assert_eq!(path(&search), Some("/artifact/deps".into()));
        assert_eq!(path(&[]), None);
    }
}
