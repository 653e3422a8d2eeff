//! Tests that need a process of their own: one that is killed, one that sees other mounts, one of
//! another user. The process is this program again, at the same test, which sees [`dir`].

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DIR: &str = "HOIST_STORE_TEST_DIR";

/// The folder that the parent gave; `None` when the test was not started by one.
pub(crate) fn dir() -> Option<PathBuf> {
    env::var_os(DIR).map(PathBuf::from)
}

/// A command that runs the test `name` with a folder to work in.
pub(crate) fn command(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", name]);
    command.env(DIR, dir).stdout(Stdio::null());
    command
}

/// Runs the test `name` after a shell script that may mount what it likes, seen by nobody
/// else. Returns whether the machine allows that.
pub(crate) fn run_with_mounts(script: &str, name: &str, dir: &Path) -> bool {
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        hoist_testkit::not_checked("no mount namespace for this user");
        return false;
    }
    let test = command(name, dir);
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-ec", &format!("cd \"${DIR}\"\n{script}\nexec \"$0\" \"$@\"")]);
    let output = shell.arg(test.get_program()).args(test.get_args()).env(DIR, dir).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    true
}
