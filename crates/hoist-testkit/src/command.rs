//! The built `hoist` command in a home of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A fresh home, store root and cache for one test; removed when dropped.
#[derive(Debug)]
pub struct Hoist {
    program: PathBuf,
    launcher: Vec<String>,
    dir: TempDir,
}

/// How one run of the command ended and what it printed.
#[derive(Debug)]
#[must_use]
pub struct Run {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Hoist {
    /// A home for `program`, the built `hoist`.
    ///
    /// # Panics
    ///
    /// When no temporary folder can be made.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("hoist-test-")
            .tempdir()
            .expect("a temporary folder can be made");
        for sub in ["home", "root", "cache", "tmp", "project"] {
            fs::create_dir(dir.path().join(sub)).expect("the folder is ours");
        }
        Self { program: program.into(), launcher: Vec::new(), dir }
    }

    /// Runs a copy of the program that lies in the home, where another user reaches it.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    #[must_use]
    pub fn with_own_program(mut self) -> Self {
        let copy = self.dir().join("program");
        fs::copy(&self.program, &copy).expect("the folder is ours");
        self.program = copy;
        self
    }

    /// Lets every run be started by other words: those of [`crate::Namespace::launcher`], or
    /// `setpriv` with its options.
    #[must_use]
    pub fn launched_by<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.launcher = words.into_iter().map(Into::into).collect();
        self
    }

    /// The folder that holds the home, the store root, the cache and the project.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The store root, `HOIST_ROOT` of every run.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir().join("root")
    }

    /// The project folder, where every run starts.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.dir().join("project")
    }

    /// Writes a file below the project folder and returns its path.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let file = self.project().join(path);
        let parent = file.parent().expect("a file below the project has a parent");
        fs::create_dir_all(parent).expect("the folder is ours");
        fs::write(&file, contents).expect("the folder is ours");
        file
    }

    /// The command with `args`, in a cleared environment that holds `PATH`, a home and the store.
    ///
    /// The toolchain managers keep their own home, so that compilers are found, and pip its
    /// settings, so that wheels are.
    #[must_use]
    pub fn command<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut words = self.launcher.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().expect("the program is a word"));
        command
            .args(words)
            .args(args)
            .current_dir(self.project())
            .env_clear()
            .env("HOME", self.dir().join("home"))
            .env("TMPDIR", self.dir().join("tmp"))
            .env("HOIST_ROOT", self.root())
            .env("HOIST_CACHE_DIR", self.dir().join("cache"));
        let kept = ["PATH", "RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN"];
        command.envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            kept.contains(&&*name) || name.starts_with("PIP_")
        }));
        if let Some(home) = std::env::home_dir() {
            for (name, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
                if std::env::var_os(name).is_none() && home.join(folder).is_dir() {
                    command.env(name, home.join(folder));
                }
            }
        }
        command
    }

    /// Runs the command with `args` to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn run<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Run::of(&mut self.command(args))
    }

    /// Runs the command, which must succeed, and returns its standard output without trailing
    /// white space.
    ///
    /// # Panics
    ///
    /// When it fails; the message holds what it printed.
    #[track_caller]
    pub fn stdout<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.run(args).ended(0).stdout.trim_end().to_owned()
    }
}

impl Run {
    /// Asserts how it ended.
    ///
    /// # Panics
    ///
    /// With all that was printed, when it ended otherwise.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    /// What `--json` printed, a record a line.
    ///
    /// # Panics
    ///
    /// When a line is no JSON object.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str(line) {
            Ok(Value::Object(record)) => Value::Object(record),
            other => panic!("`{line}` is no record: {other:?}\n{}", self.stderr),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Runs `command` to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the command starts");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
