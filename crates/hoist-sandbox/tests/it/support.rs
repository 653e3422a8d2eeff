//! Starts the probe: as this user, as another, or inside other namespaces.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hoist_sandbox::{Access, End, File, HostSpec, Level, Limits, Mount, Outcome, Spec, Symlink};
use hoist_testkit::{not_checked, tool};
use serde_json::Value;
use tempfile::TempDir;

/// hoist's end of a run, and how it is started.
#[derive(Clone)]
pub(crate) struct Probe {
    launcher: Vec<String>,
    denied: Vec<&'static str>,
    /// A copy of the program for another user, to whom the folder that cargo builds in may be
    /// closed.
    copy: Option<Arc<TempDir>>,
}

impl Probe {
    /// As the user who runs the tests, or `None`, said aloud, where the machine forbids sandboxes.
    pub(crate) fn hermetic() -> Option<Self> {
        Self::unchecked().if_hermetic("a sandbox")
    }

    /// Whatever the machine gives.
    pub(crate) fn unchecked() -> Self {
        Self { launcher: Vec::new(), denied: Vec::new(), copy: None }
    }

    /// As a user without any privilege; only root can become one.
    pub(crate) fn unprivileged() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Self::hermetic();
        }
        let setpriv = tool("setpriv", "util-linux")?;
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        if !setpriv.command().args(nobody).arg("true").status().is_ok_and(|end| end.success()) {
            not_checked("a sandbox as nobody: root of this user namespace can become nobody else");
            return None;
        }
        let setpriv = setpriv.path().display().to_string();
        let launcher = [&[setpriv.as_str()][..], &nobody].concat();
        let probe = Self { copy: Some(Arc::new(open_copy())), ..Self::unchecked() };
        probe.launched_by(&launcher).if_hermetic("a sandbox as nobody")
    }

    /// As root of a user namespace, after a shell script there.
    pub(crate) fn nested(script: &str) -> Option<Self> {
        let unshare = tool("unshare", "util-linux")?;
        let works = unshare.command().args(["-Urmpf", "--mount-proc", "true"]).status();
        if !works.is_ok_and(|status| status.success()) {
            not_checked("a sandbox in a user namespace: unshare(1) cannot make one here");
            return None;
        }
        let unshare = unshare.path().display().to_string();
        let shell = format!("{script}\nexec \"$@\"");
        let nested = [&unshare, "-Urmpf", "--mount-proc", "sh", "-ec", &shell, "sh"];
        Some(Self::unchecked().launched_by(&nested))
    }

    pub(crate) fn launched_by(mut self, launcher: &[&str]) -> Self {
        self.launcher = launcher.iter().map(ToString::to_string).collect();
        self
    }

    /// With system calls that fail as they do under a container's seccomp filter.
    pub(crate) fn denied(mut self, calls: &[&'static str]) -> Self {
        self.denied = calls.to_vec();
        self
    }

    fn if_hermetic(self, what: &str) -> Option<Self> {
        let (level, obstacles) = self.available();
        if level == Level::Hermetic {
            return Some(self);
        }
        not_checked(&format!("{what}: this machine gives level {level}: {obstacles}"));
        None
    }

    pub(crate) fn available(&self) -> (Level, Value) {
        let (answer, _) = self.answer("available", "");
        let level = serde_json::from_value(answer["answer"]["level"].clone()).unwrap();
        (level, answer["answer"]["obstacles"].clone())
    }

    pub(crate) fn run(&self, spec: &Spec) -> Ran {
        self.ran("run", &serde_json::to_string(spec).unwrap())
    }

    pub(crate) fn run_on_host(&self, spec: &HostSpec) -> Ran {
        self.ran("host", &serde_json::to_string(spec).unwrap())
    }

    /// Starts a run and leaves it running.
    pub(crate) fn start(&self, verb: &str, spec: &impl serde::Serialize) -> Child {
        self.spawn(verb, &serde_json::to_string(spec).unwrap())
    }

    fn ran(&self, verb: &str, spec: &str) -> Ran {
        let (answer, log) = self.answer(verb, spec);
        let elapsed_us = answer["elapsed_us"].as_u64().unwrap();
        Ran { answer: answer["answer"].clone(), log, elapsed: Duration::from_micros(elapsed_us) }
    }

    fn answer(&self, verb: &str, spec: &str) -> (Value, Vec<u8>) {
        let output = self.spawn(verb, spec).wait_with_output().unwrap();
        let answer = serde_json::from_slice(&output.stdout);
        let log = || String::from_utf8_lossy(&output.stderr);
        (answer.unwrap_or_else(|error| panic!("{error}: {}", log())), output.stderr)
    }

    fn spawn(&self, verb: &str, spec: &str) -> Child {
        let program = match &self.copy {
            Some(folder) => folder.path().join("probe").display().to_string(),
            None => PROGRAM.to_owned(),
        };
        let words: Vec<_> = self.launcher.iter().cloned().chain([program]).collect();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .arg(verb)
            .args(&self.denied)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(spec.as_bytes()).unwrap();
        child
    }
}

/// The program that runs what it is told.
const PROGRAM: &str = env!("CARGO_BIN_EXE_hoist-sandbox-probe");

/// The program in a folder that is open to all.
fn open_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::copy(PROGRAM, folder.path().join("probe")).unwrap();
    folder
}

/// What came of a run.
pub(crate) struct Ran {
    answer: Value,
    pub(crate) log: Vec<u8>,
    /// Of the whole run, set-up and tear-down included.
    pub(crate) elapsed: Duration,
}

impl Ran {
    #[track_caller]
    pub(crate) fn outcome(&self) -> Outcome {
        let outcome = self.answer.get("Ok").unwrap_or_else(|| panic!("{}", self.answer));
        serde_json::from_value(outcome.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn end(&self) -> End {
        self.outcome().end
    }

    /// The log of a command that exited with 0.
    #[track_caller]
    pub(crate) fn said(&self) -> String {
        assert_eq!(self.end(), End::Code(0), "{}", self.text());
        self.text()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.log).into_owned()
    }

    /// `message`, `cause` or `hint` of the error.
    #[track_caller]
    pub(crate) fn error(&self, part: &str) -> String {
        let error = self.answer.get("Err").unwrap_or_else(|| panic!("{}", self.answer));
        error[part].as_str().unwrap_or_default().to_owned()
    }
}

/// A sandbox with this machine's system directories for a shell script.
pub(crate) fn shell(script: &str) -> Spec {
    command(&["sh", "-c", script])
}

/// A sandbox with this machine's system directories for a command.
pub(crate) fn command(words: &[&str]) -> Spec {
    let mut spec = Spec {
        command: words.iter().map(OsString::from).collect(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        cwd: "/tmp".into(),
        mounts: Vec::new(),
        symlinks: Vec::new(),
        files: Vec::new(),
        hostname: "hoist".to_owned(),
        network: false,
        limits: Limits::default(),
        slate: Vec::new(),
        require: Level::SharedProc,
    };
    // Debian and others have links where older systems have directories.
    for dir in ["/usr", "/bin", "/lib", "/lib64"].map(PathBuf::from) {
        if let Ok(target) = fs::read_link(&dir) {
            spec.symlinks.push(Symlink { target, link: dir });
        } else if dir.exists() {
            spec.mounts.push(mount(&dir, dir.to_str().unwrap(), Access::ReadOnly));
        }
    }
    spec
}

pub(crate) fn mount(source: &Path, target: &str, access: Access) -> Mount {
    Mount { source: source.to_owned(), target: target.into(), access }
}

pub(crate) fn file(path: &str, contents: &str) -> File {
    File { path: path.into(), contents: contents.into(), executable: false }
}

/// A folder that every user may write to.
pub(crate) fn open_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    dir
}

/// A number of seconds for `sleep` that marks the processes of one test, too long to wait for.
pub(crate) fn marker(test: u32) -> String {
    format!("{}", 1_000_000 + std::process::id() * 100 + test)
}

/// How many processes of this machine have `marker` as an argument.
pub(crate) fn marked(marker: &str) -> usize {
    let has_marker = |entry: &fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).any(|word| word == marker.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(has_marker).count()
}

/// Waits until `happened`, at most five seconds.
#[track_caller]
pub(crate) fn until(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !happened() {
        assert!(Instant::now() < deadline, "still not after 5 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
