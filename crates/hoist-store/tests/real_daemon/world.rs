//! A store of its own for each test, and the daemon and the tools that use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_nix::StorePath;
use hoist_store::{Backend, DaemonStore, NewPath, StoreError};
use hoist_testkit::NixRelease;
use tempfile::TempDir;

use crate::archives::{add, offer, path};

/// A root for one release of Nix.
pub(crate) struct World {
    pub(crate) release: NixRelease,
    dir: TempDir,
}

/// What starts the daemon of a store below `root`, over pipes.
pub(crate) fn daemon(release: &NixRelease, root: &Path) -> Command {
    let mut command = release.command("nix-daemon");
    // An option `--store` makes the daemon of 2.8 crash.
    command.arg("--stdio").env("NIX_REMOTE", format!("local?root={}", root.display()));
    command
}

impl World {
    pub(crate) fn new(release: NixRelease) -> Self {
        Self { release, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// What starts the daemon, and writes its process id to a file first.
    pub(crate) fn daemon_with_pid(&self) -> (Command, PathBuf) {
        let daemon = daemon(&self.release, &self.root());
        let pid = self.path("pid");
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ > "$0"; exec "$@""#]).arg(&pid);
        command.arg(daemon.get_program()).args(daemon.get_args());
        command.envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
        (command, pid)
    }

    pub(crate) fn store(&self) -> DaemonStore {
        DaemonStore::spawn(daemon(&self.release, &self.root())).unwrap()
    }

    /// Runs a program of the release on the store; returns what it printed, and its complaints.
    pub(crate) fn nix(&self, program: &str, args: &[&str]) -> (Vec<u8>, String) {
        let mut command = self.release.command(program);
        command.args(args).arg("--store").arg(format!("local?root={}", self.root().display()));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        (output.stdout, said)
    }

    pub(crate) fn collect_garbage(&self) {
        self.nix("nix-store", &["--gc"]);
    }

    /// Writes a small tree and returns where it is.
    pub(crate) fn tree(&self, contents: &[u8]) -> PathBuf {
        let tree = self.path("tree");
        fs::create_dir_all(tree.join("lib")).unwrap();
        fs::write(tree.join("lib/libx.so.1"), contents).unwrap();
        let _ = std::os::unix::fs::symlink("libx.so.1", tree.join("lib/libx.so"));
        tree
    }
}

/// Adds a path of this name and archive on the caller's word, and returns it.
pub(crate) fn added(store: &dyn Backend, name: &str, nar: &[u8]) -> Result<StorePath, StoreError> {
    let new: NewPath = offer(path(name), nar);
    assert!(!add(store, &new, nar)?, "{name} is new");
    Ok(new.path)
}
