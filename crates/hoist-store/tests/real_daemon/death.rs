//! Daemons that die in the middle.

use std::fs;
use std::io::{self, Read};
use std::process::Command;

use hoist_store::{Backend, DaemonError, DaemonStore, StoreError, Trust};

use crate::archives::{add, library, offer, path, read};
use crate::with_each;
use crate::world::added;

/// Does something once so many bytes were read.
struct Interrupted<'a, F> {
    bytes: &'a [u8],
    after: usize,
    interrupt: Option<F>,
}

impl<F: FnOnce()> Read for Interrupted<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.after = self.after.saturating_sub(count);
        if self.after == 0
            && let Some(interrupt) = self.interrupt.take()
        {
            interrupt();
        }
        Ok(count)
    }
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_leaves_nothing_half_added() {
    with_each(|world| {
        let nar = library(&vec![9; 3_000_000]);
        let new = offer(path("x-1"), &nar);
        for after in [1, 200_000, 1_500_000, nar.len()] {
            let (command, pid) = world.daemon_with_pid();
            let store = DaemonStore::spawn(command).unwrap();
            let interrupt = || kill(&fs::read_to_string(&pid).unwrap());
            let mut source = Interrupted { bytes: &nar, after, interrupt: Some(interrupt) };
            let error = store.add_nar(&new, &mut source, Trust::Caller).unwrap_err();
            assert!(
                matches!(&error, StoreError::Daemon(DaemonError::Died { .. })),
                "{after}: {error:?}"
            );
            let again = store.is_valid(&new.path).unwrap_err();
            assert!(matches!(again, StoreError::Daemon(DaemonError::Ended)), "{again:?}");
            assert!(!world.store().is_valid(&new.path).unwrap(), "{after}");
        }
        let store = world.store();
        assert!(!add(&store, &new, &nar).unwrap());
        assert!(read(&store, &new.path).unwrap() == nar);
    });
}

#[test]
fn a_program_that_is_no_daemon_is_told_from_one() {
    let spawn = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        DaemonStore::spawn(command).unwrap_err().to_string()
    };
    assert_eq!(
        spawn("echo '\x1b[31;1merror:\x1b[0m no such store' >&2"),
        "the Nix daemon closed the connection when it was greeted, and said: error: no such store"
    );
    assert_eq!(
        spawn("echo HTTP/1.0 400 Bad Request; cat > /dev/null"),
        "what the Nix daemon says about `the greeting` is not its protocol"
    );
    let absent = DaemonStore::spawn(Command::new("/nonexistent/nix-daemon")).unwrap_err();
    assert_eq!(absent.to_string(), "cannot start `/nonexistent/nix-daemon`");
}

#[test]
fn adders_over_connections_of_their_own_meet() {
    with_each(|world| {
        world.store(); // makes the store, so that its adders do not
        let nar = library(&vec![1; 500_000]);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let nar = &nar;
                scope.spawn(move || {
                    let store = world.store();
                    add(&store, &offer(path("same"), nar), nar).unwrap();
                    added(&store, &format!("other-{number}"), nar).unwrap();
                });
            }
        });
        let store = world.store();
        assert_eq!(store.paths().unwrap().len(), 5);
        for path in store.paths().unwrap() {
            assert!(read(&store, &path).unwrap() == nar);
        }
        let (_, said) = world.nix("nix-store", &["--verify", "--check-contents"]);
        assert!(said.lines().all(|line| line.ends_with("...")), "{said}");
    });
}
