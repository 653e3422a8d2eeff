//! The stores of real Nix daemons: every release that is installed, over pipes and over a socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../backend/archives.rs"]
mod archives;
#[path = "../backend/checks/mod.rs"]
mod checks;
mod death;
mod roots;
#[path = "../backend/site.rs"]
mod site;
mod sockets;
mod talking;
mod trust;
#[path = "../backend/vectors.rs"]
mod vectors;
mod world;

use std::path::Path;

use hoist_store::{Backend, DaemonStore};
use hoist_testkit::{NixRelease, nix_releases};

use site::{Kind, Site};
use world::{World, daemon};

/// Runs a test on a new store of each release.
fn with_each(test: impl Fn(&World)) {
    for release in nix_releases() {
        test(&World::new(release));
    }
}

/// The suite that every store passes, over pipes.
struct OverPipes(NixRelease);

impl Kind for OverPipes {
    fn name(&self) -> String {
        format!("daemon of {}", self.0)
    }

    fn open(&self, root: &Path) -> Box<dyn Backend> {
        Box::new(DaemonStore::spawn(daemon(&self.0, root)).unwrap())
    }
}

#[test]
fn a_daemon_does_what_every_store_does() {
    for release in nix_releases() {
        let kind = OverPipes(release);
        for (name, check) in checks::ALL {
            println!("{}: {name}", kind.name());
            check(&Site::new(&kind));
        }
        let counts = vectors::run(&kind);
        println!("{}: {} checks, {counts}", kind.name(), checks::ALL.len());
    }
}
