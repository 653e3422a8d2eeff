//! Real daemons of every installed release of Nix, over their pipes and over a socket.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hoist_store::{Backend, DaemonStore};
use hoist_testkit::{NixRelease, nix_releases};

use crate::run;
use crate::site::Kind;

/// The daemon of a chroot store, which has its files where the embedded store has them.
fn daemon(nix: &NixRelease, root: &Path) -> Command {
    let mut command = nix.command("nix-daemon");
    command.env("NIX_REMOTE", format!("local?root={}", root.display()));
    command.env("HOME", root.parent().unwrap()).env_remove("NIX_DAEMON_SOCKET_PATH");
    command
}

struct OverPipes(NixRelease);

impl Kind for OverPipes {
    fn name(&self) -> String {
        format!("daemon of {}, over pipes", self.0)
    }

    fn open(&self, root: &Path) -> Box<dyn Backend> {
        let mut command = daemon(&self.0, root);
        command.arg("--stdio").stderr(Stdio::null());
        Box::new(DaemonStore::spawn(command).unwrap())
    }
}

/// One daemon for each store, as long as the test runs.
struct OverASocket {
    nix: NixRelease,
    daemons: Mutex<HashMap<PathBuf, Child>>,
}

impl OverASocket {
    fn start(&self, root: &Path, socket: &Path) -> Child {
        let mut command = daemon(&self.nix, root);
        command.env("NIX_DAEMON_SOCKET_PATH", socket).arg("--daemon");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let started = Instant::now();
        while DaemonStore::connect(socket).is_err() {
            assert!(started.elapsed() < Duration::from_mins(1), "the daemon does not listen");
            sleep(Duration::from_millis(10));
        }
        child
    }
}

impl Kind for OverASocket {
    fn name(&self) -> String {
        format!("daemon of {}, over a socket", self.nix)
    }

    fn open(&self, root: &Path) -> Box<dyn Backend> {
        let socket = root.parent().unwrap().join("socket");
        let mut daemons = self.daemons.lock().unwrap();
        daemons.entry(root.to_owned()).or_insert_with(|| self.start(root, &socket));
        Box::new(DaemonStore::connect(&socket).unwrap())
    }
}

impl Drop for OverASocket {
    fn drop(&mut self) {
        for daemon in self.daemons.get_mut().unwrap().values_mut() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

#[test]
fn daemons_over_pipes() {
    for nix in nix_releases() {
        run(&OverPipes(nix));
    }
}

#[test]
fn daemons_over_a_socket() {
    for nix in nix_releases() {
        run(&OverASocket { nix, daemons: Mutex::default() });
    }
}
