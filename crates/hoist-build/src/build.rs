//! One run of an action: sources staged, sandbox entered, output collected.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hoist_sandbox::{Access, End, HostSpec, Level, Limits, Mount, Outcome, Spec, Symlink};
use hoist_schema::manifest::Manifest;

use crate::digest::sha256_of;
use crate::hidden::undeclared;
use crate::staging::{collect, files_below, stage};
use crate::system::System;
use crate::toolchain::{self, Places, Prepared};
use crate::{Action, BuildError, CacheDirs, Isolation, Sources, Toolchain, WorkDir};

/// Lines of the log that a failure shows.
const SHOWN_LINES: usize = 20;

/// Most bytes of a log that are kept in memory; the file has all of it.
const KEPT_LOG_BYTES: usize = 256 << 10;

/// 1980-01-01, the earliest time that every archive format can tell.
const SOURCE_DATE_EPOCH: &str = "315532800";

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
    /// The last lines it printed.
    pub last_lines: Vec<String>,
    /// All it printed.
    pub log: PathBuf,
    /// Files of the project that the log names and that are not declared.
    pub undeclared: Vec<String>,
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
    let prepared = toolchain::prepare(toolchain.kind, &request.sources.project, dirs)?;
    let (_cache_lock, cache) = compiler_cache(request)?;
    let host = Places {
        source: work.folder("source")?,
        out: work.folder("out")?,
        home: work.folder("home")?,
        vendor: prepared.vendor.clone().unwrap_or_else(|| work.path().join("vendor")),
        cache,
    };
    let seen = if on_host { host.clone() } else { places_inside(manifest) };
    stage(request.sources, &host.source)?;
    write_home(&prepared, &host, &seen)?;
    make_library_folders(manifest, &host.out)?;

    let run = Run { request, host: &host, seen: &seen, prepared: &prepared };
    let mut log = Log::create(dirs, manifest)?;
    let outcome = run.start(on_host, &mut |bytes: &[u8]| {
        log.write(bytes);
        on_output(bytes);
    })?;
    if outcome.end != End::Code(0) {
        let text = log.text();
        return Ok(Verdict::Failed(Failed {
            reason: how_it_ended(outcome.end, manifest.build.timeout.0),
            last_lines: last_lines(&text),
            undeclared: undeclared(&text, request.sources, &seen.source),
            log: log.path,
        }));
    }
    collect_libraries(manifest, toolchain, &host)?;
    Ok(Verdict::Built(Built { out: host.out, outcome }))
}

/// One run: what is asked, and where things lie on the host and for the build.
struct Run<'a> {
    request: &'a Request<'a>,
    host: &'a Places,
    seen: &'a Places,
    prepared: &'a Prepared,
}

impl Run<'_> {
    fn start(
        &self,
        on_host: bool,
        on_output: &mut dyn FnMut(&[u8]),
    ) -> Result<Outcome, BuildError> {
        let manifest = self.request.manifest;
        let command =
            self.request.action.command().iter().map(|word| resolve(word, self.seen).into());
        let limits = Limits { wall: Some(manifest.build.timeout.0), ..Limits::default() };
        let outcome = if on_host {
            let spec = HostSpec {
                command: command.collect(),
                env: self.env(|(host, _)| host),
                cwd: self.seen.source.clone(),
                limits,
            };
            hoist_sandbox::run_on_host(&spec, on_output)
        } else {
            let system = System::of_this_host();
            let spec = Spec {
                command: command.collect(),
                env: self.env(|(_, inside)| inside),
                cwd: self.seen.source.clone(),
                symlinks: system
                    .links
                    .iter()
                    .map(|(target, link)| Symlink { target: target.clone(), link: link.clone() })
                    .collect(),
                mounts: self.mounts(&system),
                files: account_files(),
                hostname: "hoist".to_owned(),
                network: manifest.build.network,
                limits,
                require: Level::SharedProc,
            };
            hoist_sandbox::run(&spec, on_output)
        };
        outcome.map_err(BuildError::Sandbox)
    }

    fn env(&self, side: impl Fn(&(PathBuf, PathBuf)) -> &PathBuf) -> BTreeMap<OsString, OsString> {
        let Request { manifest, toolchain, .. } = *self.request;
        let own = toolchain.path.iter().map(side).cloned();
        let path: Vec<PathBuf> = own.chain(["/usr/bin".into(), "/bin".into()]).collect();
        let path = std::env::join_paths(path).unwrap_or_else(|_| "/usr/bin:/bin".into());
        let temp = if self.seen.source == self.host.source {
            self.host.home.clone().into_os_string()
        } else {
            "/tmp".into()
        };
        let mut env: BTreeMap<OsString, OsString> = BTreeMap::from([
            ("HOIST_OUT".into(), self.seen.out.clone().into_os_string()),
            ("HOME".into(), self.seen.home.clone().into_os_string()),
            ("LC_ALL".into(), "C.UTF-8".into()),
            ("PATH".into(), path),
            ("SOURCE_DATE_EPOCH".into(), SOURCE_DATE_EPOCH.into()),
            ("TMPDIR".into(), temp),
            ("TZ".into(), "UTC".into()),
        ]);
        for (name, value) in toolchain::env(toolchain.kind, self.seen) {
            env.insert(name.into(), value.into());
        }
        for (name, value) in &manifest.build.env {
            env.insert(name.into(), resolve(value, self.seen).into());
        }
        env
    }

    fn mounts(&self, system: &System) -> Vec<Mount> {
        let mount = |source: &Path, target: &Path, access| Mount {
            source: source.to_owned(),
            target: target.to_owned(),
            access,
        };
        let mut mounts: Vec<Mount> =
            system.mounts.iter().map(|path| mount(path, path, Access::ReadOnly)).collect();
        mounts.extend(
            self.request
                .toolchain
                .mounts
                .iter()
                .map(|(host, inside)| mount(host, inside, Access::ReadOnly)),
        );
        mounts.extend([
            mount(&self.host.source, &self.seen.source, Access::ReadOnly),
            mount(&self.host.out, &self.seen.out, Access::ReadWrite),
            mount(&self.host.cache, &self.seen.cache, Access::ReadWrite),
            mount(&self.host.home, &self.seen.home, Access::ReadWrite),
        ]);
        if let Some(vendor) = &self.prepared.vendor {
            mounts.push(mount(vendor, &self.seen.vendor, Access::ReadOnly));
        }
        mounts
    }
}

fn places_inside(manifest: &Manifest) -> Places {
    Places {
        source: Path::new("/build").join(&manifest.package.name),
        out: "/out".into(),
        cache: "/cache".into(),
        home: "/home/build".into(),
        vendor: "/vendor".into(),
    }
}

/// Fills in the placeholders of a command's word.
fn resolve(word: &str, places: &Places) -> String {
    word.replace("{out}", &places.out.display().to_string())
        .replace("{cache}", &places.cache.display().to_string())
}

fn account_files() -> Vec<hoist_sandbox::File> {
    [
        ("/etc/passwd", "build:x:1000:1000::/home/build:/bin/sh\n"),
        ("/etc/group", "build:x:1000:\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ]
    .map(|(path, contents)| hoist_sandbox::File { path: path.into(), contents: contents.into() })
    .into()
}

/// The folder the compiler keeps its cache in, locked for this build: kept per project and
/// toolchain, or in the work folder for a cold build.
fn compiler_cache(request: &Request<'_>) -> Result<(Option<File>, PathBuf), BuildError> {
    if request.cold {
        return Ok((None, request.work.folder("cache")?));
    }
    let place = format!(
        "{} {} {:?}",
        request.sources.project.display(),
        request.toolchain.digest,
        request.action.isolation()
    );
    let parent = request.dirs.folder("compiler")?;
    let name = format!("{}-{}", request.manifest.package.name, &sha256_of(place.as_bytes())[..16]);
    let folder = parent.join(&name);
    fs::create_dir_all(&folder).map_err(BuildError::io("make the compiler cache", &folder))?;
    let lock_file = parent.join(format!("{name}.lock"));
    let lock = File::create(&lock_file).map_err(BuildError::io("make the lock", &lock_file))?;
    lock.lock().map_err(BuildError::io("lock", &lock_file))?;
    Ok((Some(lock), folder))
}

fn write_home(prepared: &Prepared, host: &Places, seen: &Places) -> Result<(), BuildError> {
    for (path, content) in &prepared.home_files {
        let file = host.home.join(path);
        let parent = file.parent().unwrap_or(&host.home);
        fs::create_dir_all(parent).map_err(BuildError::io("make the folder", parent))?;
        let content = content.replace("{vendor}", &seen.vendor.display().to_string());
        fs::write(&file, content).map_err(BuildError::io("write", &file))?;
    }
    Ok(())
}

/// Compilers that write to `{out}` expect the folder of each library to be there.
fn make_library_folders(manifest: &Manifest, out: &Path) -> Result<(), BuildError> {
    for library in &manifest.library {
        if let Some(folder) = out.join(&library.path).parent() {
            fs::create_dir_all(folder).map_err(BuildError::io("make the folder", folder))?;
        }
    }
    Ok(())
}

fn collect_libraries(
    manifest: &Manifest,
    toolchain: &Toolchain,
    host: &Places,
) -> Result<(), BuildError> {
    for library in &manifest.library {
        let packed = host.out.join(&library.path);
        let built = toolchain::built(toolchain.kind, library)
            .map(|path| host.source.join(resolve(&path, host)));
        if packed.is_file() {
            continue;
        }
        match built {
            Some(built) if built.is_file() => collect(&built, &packed)?,
            Some(built) => {
                let folder = built.parent().unwrap_or(&host.cache);
                let expected = built.strip_prefix(&host.cache).unwrap_or(&built);
                return Err(no_output(&expected.display().to_string(), folder));
            }
            None => return Err(no_output(&library.path, &host.out)),
        }
    }
    Ok(())
}

fn no_output(expected: &str, folder: &Path) -> BuildError {
    let libraries = files_below(folder, 1000)
        .into_iter()
        .filter(|path| path.components().count() <= 2)
        .filter(|path| path.extension().is_some_and(|ending| ending == "so"))
        .map(|path| format!("`{}`", path.display()))
        .collect::<Vec<_>>();
    let found = match libraries.as_slice() {
        [] => "no shared library".to_owned(),
        some => some.join(", "),
    };
    BuildError::NoOutput { expected: expected.to_owned(), found }
}

fn how_it_ended(end: End, timeout: Duration) -> String {
    match end {
        End::Code(code) => format!("ended with exit code {code}"),
        End::Signal(signal) => format!("was ended by signal {signal}"),
        End::TimedOut => format!("was stopped after its timeout of {} s", timeout.as_secs()),
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().map(ToString::to_string).collect()
}

/// What a build printed: all of it in a file, the end of it in memory.
struct Log {
    path: PathBuf,
    file: File,
    tail: Vec<u8>,
}

impl Log {
    fn create(dirs: &CacheDirs, manifest: &Manifest) -> Result<Self, BuildError> {
        let path = dirs.folder("logs")?.join(format!("{}.log", manifest.package.name));
        let file = File::create(&path).map_err(BuildError::io("write the log", &path))?;
        Ok(Self { path, file, tail: Vec::new() })
    }

    fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes); // a full disk must not hide how the build ended
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * KEPT_LOG_BYTES {
            self.tail.drain(..self.tail.len() - KEPT_LOG_BYTES);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }
}
