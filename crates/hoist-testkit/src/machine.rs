//! Machines that are not as one would like: namespaces in which disks are full or read-only.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{not_checked, tool};

/// A user and a mount namespace that live until this is dropped; whoever enters is root there.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
    nsenter: PathBuf,
    dir: PathBuf,
}

impl Namespace {
    /// Makes one and runs a shell script in it that may mount what it likes: nobody else sees it.
    ///
    /// - `dir`: where that script and all that is run inside starts.
    ///
    /// `None`, said aloud, where the machine forbids it.
    ///
    /// # Panics
    ///
    /// When the script fails.
    #[must_use]
    pub fn new(dir: &Path, script: &str) -> Option<Self> {
        let unshare = tool("unshare", "util-linux")?;
        let nsenter = tool("nsenter", "util-linux")?.path().to_owned();
        let allowed = Command::new(unshare.path()).args(["-Urm", "true"]).output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            not_checked("no user and mount namespaces for this user");
            return None;
        }
        let script = format!("{script}\necho ready\nread forever");
        let mut holder = Command::new(unshare.path())
            .args(["-Urm", "sh", "-ec", &script])
            .current_dir(dir)
            .stdin(Stdio::piped()) // closed when this is dropped
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts, as it did just now");
        let stdout = holder.stdout.take().expect("its output is piped");
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        assert_eq!(line, "ready\n", "the script in the namespace failed: {script}");
        Some(Self { holder, nsenter, dir: dir.to_owned() })
    }

    /// The words to put before a command that is to run inside, for [`crate::Hoist::launched_by`].
    #[must_use]
    pub fn launcher(&self) -> Vec<String> {
        let nsenter = self.nsenter.display().to_string();
        let (target, dir) = (self.holder.id().to_string(), self.dir.display().to_string());
        let enter = [&nsenter, "-U", "-m", "--preserve-credentials", "-t", &target];
        let in_dir = ["sh", "-c", r#"cd "$0" && exec "$@""#, &dir]; // entering leads to the root
        enter.into_iter().chain(in_dir).map(str::to_owned).collect()
    }

    /// Runs a shell script inside.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn run(&self, script: &str) {
        let launcher = self.launcher();
        let mut command = Command::new(&launcher[0]);
        let output = command.args(&launcher[1..]).args(["sh", "-ec", script]).output();
        let output = output.expect("nsenter starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
    }

    /// How a path inside can be reached from outside.
    #[must_use]
    pub fn path(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
