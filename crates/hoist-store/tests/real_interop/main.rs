//! Closures, roots and profiles that go between hoist's store and those of every installed Nix.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod closure;
mod collecting;
mod copying;
mod profile;
mod reading;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use hoist_store::Store;
use hoist_testkit::{NixRelease, nix_releases};
use tempfile::TempDir;

/// Two roots, ours and theirs, beside each other.
struct World {
    nix: NixRelease,
    dir: TempDir,
}

/// Runs a test with each installed release of Nix.
fn with_each_nix(test: impl Fn(&World)) {
    for nix in nix_releases() {
        let world = World { nix, dir: tempfile::tempdir().unwrap() };
        fs::create_dir(world.path("home")).unwrap();
        test(&world);
    }
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens the store below the root of that name, after making it where there is none.
    fn open(&self, root: &str) -> Store {
        Store::open_or_create(&self.path(root)).unwrap()
    }

    /// How Nix names the store below the root of that name.
    fn uri(&self, root: &str) -> String {
        format!("local?root={}", self.path(root).display())
    }

    /// A program of Nix on the store below the root of that name.
    fn command(&self, root: &str, program: &str) -> Command {
        let mut command = self.nix.command(program);
        command.env("HOME", self.path("home")).env("NIX_REMOTE", self.uri(root));
        command
    }

    /// Runs a program of Nix. Returns what it printed, and what it said beside that.
    #[track_caller]
    fn run(&self, root: &str, program: &str, args: &[&str]) -> (String, String) {
        let mut command = self.command(root, program);
        let output = command.args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {args:?}: {said}", self.nix);
        (String::from_utf8_lossy(&output.stdout).trim_end().to_owned(), said)
    }

    /// Lets Nix hold every file of a store against its database, and finds nothing said.
    #[track_caller]
    fn verify(&self, root: &str) {
        let (_, said) = self.run(root, "nix-store", &["--verify", "--check-contents"]);
        // Progress ends with dots; a complaint is another line, and does not fail the command.
        assert!(said.lines().all(|line| line.ends_with("...")), "{}: {said}", self.nix);
    }
}
