//! Daemons that listen at a socket.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use hoist_store::{Backend, DaemonError, DaemonStore};

use crate::archives::{file, read};
use crate::with_each;
use crate::world::{World, added};

/// A daemon that listens until this is dropped.
pub(crate) struct Listener {
    daemon: Child,
    pub(crate) socket: PathBuf,
}

impl Listener {
    /// Starts a daemon with more lines in its configuration.
    pub(crate) fn start(world: &World, config: &str) -> Self {
        let socket = world.path("socket");
        let mut command = world.release.command("nix-daemon");
        let mut envs = command.get_envs().filter(|(name, _)| *name == "NIX_CONFIG");
        let lines = envs.next().and_then(|(_, value)| value).unwrap().to_str().unwrap();
        let config = format!("{lines}\n{config}");
        command
            .env("NIX_CONFIG", config)
            .env("NIX_REMOTE", format!("local?root={}", world.root().display()))
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let listener = Self { daemon: command.spawn().unwrap(), socket };
        let began = Instant::now();
        // It is open to all by the time that somebody listens.
        while let Err(error) = listener.connect() {
            assert!(matches!(error, DaemonError::NotThere { .. }), "{error:?}");
            assert!(began.elapsed() < Duration::from_secs(30), "no daemon listens");
            thread::sleep(Duration::from_millis(10));
        }
        // Other users have to get there.
        let dir = listener.socket.parent().unwrap();
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        listener
    }

    pub(crate) fn connect(&self) -> Result<DaemonStore, DaemonError> {
        DaemonStore::connect(&self.socket)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn a_daemon_at_a_socket_serves_several_at_once() {
    with_each(|world| {
        let listener = Listener::start(world, "");
        let [first, second] = [(); 2].map(|()| listener.connect().unwrap());
        let nar = file(&vec![5; 2_000_000]);
        let path = added(&first, "x-1", &nar).unwrap();
        assert!(second.is_valid(&path).unwrap());
        assert!(read(&second, &path).unwrap() == nar);
        assert_eq!(first.version(), second.version());
    });
}

#[test]
fn a_socket_without_a_daemon_is_told() {
    with_each(|world| {
        let absent = DaemonStore::connect(&world.path("socket")).unwrap_err();
        assert!(matches!(absent, DaemonError::NotThere { .. }), "{absent:?}");
        let listener = Listener::start(world, "");
        listener.connect().unwrap();
        let socket = listener.socket.clone();
        drop(listener);
        let left = DaemonStore::connect(&socket).unwrap_err();
        assert!(matches!(left, DaemonError::NotThere { .. }), "{left:?}");
    });
}
