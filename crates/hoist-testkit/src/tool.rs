//! Real tools, found on `PATH`; an absent one is never passed over in silence.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A reference tool that is installed on this machine.
#[derive(Debug, Clone)]
pub struct Tool {
    path: PathBuf,
}

/// Finds `program` on `PATH`.
///
/// `None` when it is absent, after saying so on standard error.
///
/// # Panics
///
/// When it is absent and `HOIST_REQUIRE_TOOLS` is set, as where every part was installed.
#[must_use]
pub fn tool(program: &str, debian_package: &str) -> Option<Tool> {
    let found = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
    });
    if found.is_none() {
        not_checked(&format!("no {program} on PATH (Debian package {debian_package})"));
    }
    found.map(|path| Tool { path })
}

/// Says that a test could not look, and why.
///
/// # Panics
///
/// When `HOIST_REQUIRE_TOOLS` is set: there, a test that cannot look has failed.
#[expect(clippy::print_stderr, reason = "the runner shows it beside the test's name")]
pub fn not_checked(why: &str) {
    assert!(
        env::var_os("HOIST_REQUIRE_TOOLS").is_none(),
        "NOT CHECKED: {why}, and HOIST_REQUIRE_TOOLS asks for it"
    );
    eprintln!("NOT CHECKED: {why}");
}

impl Tool {
    /// Where it is installed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that runs it, for tests that need more than its output.
    ///
    /// Nix's programs are kept from the machine's configuration: no sandbox, no build users, no
    /// substituters.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        for_nix(&mut command);
        command
    }

    /// Runs it and returns its standard output without trailing white space.
    ///
    /// # Panics
    ///
    /// When it cannot be started, fails, or prints bytes that are not UTF-8.
    #[track_caller]
    pub fn stdout<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        printed(self.command().args(args))
    }
}

/// Keeps Nix from the machine's configuration; other programs do not look at it.
pub(crate) fn for_nix(command: &mut Command) {
    command.env("LC_ALL", "C").env(
        "NIX_CONFIG",
        "sandbox = false\nbuild-users-group =\nsubstitute = false\nsubstituters =\n\
         experimental-features = nix-command flakes\nwarn-dirty = false",
    );
}

/// What a command that must succeed prints, without trailing white space.
#[track_caller]
pub(crate) fn printed(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("the tool prints UTF-8");
    text.trim_end().to_owned()
}
