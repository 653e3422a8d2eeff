//! The memory that a command shares with hoist.

use hoist_sandbox::{End, SLATE_MAX_BYTES, Spec};

use crate::support::{Probe, command, file, shell};

fn with_slate(spec: Spec, slate: &[u8]) -> Spec {
    Spec { slate: slate.to_vec(), ..spec }
}

#[test]
fn a_slate_is_read_and_comes_back_as_it_was_left() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran =
        probe.run(&with_slate(shell("head -c 6 <&3; printf bye 1<>/proc/self/fd/3"), b"hello\n"));
    assert_eq!(ran.said(), "hello\n");
    assert_eq!(ran.outcome().slate, b"byelo\n");
}

#[test]
fn a_slate_never_changes_its_size() {
    let Some(probe) = Probe::hermetic() else { return };
    let longer = "printf 123456789 1<>/proc/self/fd/3 || true; : >/proc/self/fd/3 || true";
    let ran = probe.run(&with_slate(shell(longer), &[0; 8]));
    assert_eq!(ran.outcome().slate.len(), 8, "{}", ran.text());
}

#[test]
fn output_and_closed_files_leave_a_slate_alone() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&with_slate(shell("echo said; exec 3>&-; echo more"), b"kept"));
    assert_eq!(ran.said(), "said\nmore\n");
    assert_eq!(ran.outcome().slate, b"kept");
}

#[test]
fn what_a_crash_left_on_a_slate_comes_back() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&with_slate(shell("printf last >&3; kill -SEGV $$"), &[0; 4]));
    assert_eq!(ran.end(), End::Signal(11));
    assert_eq!(ran.outcome().slate, b"last");
}

#[test]
fn file_3_is_closed_without_a_slate() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&shell("ls /proc/self/fd"));
    assert_eq!(ran.said(), "0\n1\n2\n3\n"); // the last one is what `ls` reads
    let ran = probe.run(&with_slate(shell("ls /proc/self/fd"), b"x"));
    assert_eq!(ran.said(), "0\n1\n2\n3\n4\n");
}

#[test]
fn a_slate_that_is_too_large_is_refused() {
    let Some(probe) = Probe::hermetic() else { return };
    let refused = probe.run(&with_slate(shell("true"), &vec![0; SLATE_MAX_BYTES + 1]));
    let wanted = "`slate` of the sandbox is `32769 bytes`, wanted at most 32 KiB";
    assert_eq!(refused.error("message"), wanted);
    let largest = with_slate(shell("true"), &vec![0xff; SLATE_MAX_BYTES]);
    assert_eq!(probe.run(&largest).outcome().slate, vec![0xff; SLATE_MAX_BYTES]);
}

#[test]
fn a_made_file_is_executed_where_it_may_be() {
    let Some(probe) = Probe::hermetic() else { return };
    let mut spec = command(&["/made"]);
    spec.files =
        vec![hoist_sandbox::File { executable: true, ..file("/made", "#!/bin/sh\necho ran\n") }];
    assert_eq!(probe.run(&spec).said(), "ran\n");
    spec.files[0].executable = false;
    assert_eq!(probe.run(&spec).error("message"), "cannot execute `/made`");
}
