//! What a command may use up.

use std::time::Duration;

use hoist_sandbox::{End, Limits, Spec};

use crate::support::{Probe, command, marked, marker, shell};

const MIB: u64 = 1 << 20;

fn limited(spec: Spec, limits: Limits) -> Spec {
    Spec { limits, ..spec }
}

#[test]
fn a_file_beyond_its_limit_ends_the_writer() {
    let Some(probe) = Probe::hermetic() else { return };
    let write = command(&["dd", "if=/dev/zero", "of=/tmp/file", "bs=1M", "count=3"]);
    let limits = |mib| Limits { file_size_bytes: Some(mib * MIB), ..Limits::default() };
    assert_eq!(probe.run(&limited(write.clone(), limits(2))).end(), End::Signal(25)); // SIGXFSZ
    assert_eq!(probe.run(&limited(write, limits(3))).end(), End::Code(0));
}

#[test]
fn memory_beyond_its_limit_is_refused() {
    let Some(probe) = Probe::hermetic() else { return };
    let allocate = command(&["dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1"]);
    let limits = |mib| Limits { memory_bytes: Some(mib * MIB), ..Limits::default() };
    let ran = probe.run(&limited(allocate.clone(), limits(64)));
    assert_eq!(ran.end(), End::Code(1), "{}", ran.text());
    assert_eq!(probe.run(&limited(allocate, limits(256))).end(), End::Code(0));
}

#[test]
fn limits_are_hard() {
    let Some(probe) = Probe::hermetic() else { return };
    let limits = Limits { open_files: Some(64), ..Limits::default() };
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; ! ulimit -n 65 2>/dev/null";
    assert_eq!(probe.run(&limited(shell(script), limits)).said(), "64\n64\n0\n");
}

#[test]
fn processes_beyond_their_limit_are_refused() {
    // The kernel exempts root.
    let Some(probe) = Probe::unprivileged() else { return };
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done; wait";
    let limits = |count| Limits { processes: Some(count), ..Limits::default() };
    let ran = probe.run(&limited(shell(script), limits(6)));
    assert_ne!(ran.end(), End::Code(0));
    assert!(ran.text().contains("fork"), "{}", ran.text());
    assert_eq!(probe.run(&limited(shell(script), limits(9))).end(), End::Code(0));
}

#[test]
fn a_fork_bomb_goes_off_inside() {
    let Some(probe) = Probe::unprivileged() else { return };
    let marker = marker(20);
    let bomb = format!("bomb() {{ bomb & bomb; }}; sleep {marker} & bomb");
    let limits =
        Limits { wall: Some(Duration::from_millis(500)), processes: Some(64), ..Limits::default() };
    let ran = probe.run(&limited(shell(&bomb), limits));
    assert!(ran.elapsed < Duration::from_secs(5), "{:?}", ran.elapsed);
    assert_eq!(marked(&marker), 0);
}
