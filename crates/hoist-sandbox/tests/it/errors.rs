//! What the reader is told when a command could not run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hoist_sandbox::{Access, End, Spec};

use crate::support::{Probe, command, mount, open_dir, shell};

#[test]
fn a_command_that_is_nowhere_on_its_path_is_named_with_the_path() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&command(&["no-such-compiler", "-c"]));
    assert_eq!(
        ran.error("message"),
        "command `no-such-compiler` not found; its PATH is `/usr/bin:/bin`"
    );
    assert!(ran.error("hint").contains("install it"));
}

#[test]
fn a_command_that_is_a_missing_file_is_named_alone() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&command(&["/opt/cc"]));
    assert_eq!(ran.error("message"), "command `/opt/cc` not found");
}

#[test]
fn a_missing_mount_source_is_named_with_its_target() {
    let Some(probe) = Probe::hermetic() else { return };
    let mut spec = shell("true");
    spec.mounts.push(mount(Path::new("/no/such/source"), "/src", Access::ReadOnly));
    let ran = probe.run(&spec);
    assert_eq!(ran.error("message"), "cannot mount `/no/such/source` at `/src` in the sandbox");
    assert!(ran.error("cause").contains("No such file"));
    assert!(!ran.error("hint").is_empty());
}

/// A sandbox that has `contents` as `/bin/tool` with `mode`, and runs it.
fn tool(dir: &Path, contents: &str, mode: u32) -> Spec {
    let path = dir.join("tool");
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let mut spec = command(&["tool"]);
    spec.mounts.push(mount(dir, "/tools", Access::ReadOnly));
    spec.env.insert("PATH".into(), "/nowhere:/tools".into());
    spec
}

#[test]
fn a_file_that_is_not_executable_is_named_with_the_cure() {
    let Some(probe) = Probe::hermetic() else { return };
    let dir = open_dir();
    let ran = probe.run(&tool(dir.path(), "#!/bin/sh\n", 0o644));
    assert_eq!(ran.error("message"), "cannot execute `/tools/tool`");
    assert_eq!(ran.error("hint"), "make it executable with `chmod +x`");
}

#[test]
fn a_file_that_is_no_program_is_named_with_the_cure() {
    let Some(probe) = Probe::hermetic() else { return };
    let dir = open_dir();
    let ran = probe.run(&tool(dir.path(), "echo no shebang\n", 0o755));
    assert_eq!(ran.error("message"), "cannot execute `/tools/tool`");
    assert!(ran.error("hint").contains("#!"));
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_command() {
    let Some(probe) = Probe::hermetic() else { return };
    let dir = open_dir();
    let ran = probe.run(&tool(dir.path(), "#!/opt/python\n", 0o755));
    assert_eq!(
        ran.error("message"),
        "`/tools/tool` is in the sandbox, but its interpreter or loader is not"
    );
}

#[test]
fn a_missing_loader_is_told_from_a_missing_command() {
    let Some(probe) = Probe::hermetic() else { return };
    let mut spec = command(&["/only/env"]);
    spec.mounts = vec![mount(Path::new("/usr/bin/env"), "/only/env", Access::ReadOnly)];
    spec.symlinks.clear();
    assert!(probe.run(&spec).error("message").starts_with("`/only/env` is in the sandbox"));
}

#[test]
fn a_missing_working_directory_is_named() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&Spec { cwd: "/build/x".into(), ..shell("true") });
    assert_eq!(
        ran.error("message"),
        "cannot enter the working directory `/build/x` for the sandbox"
    );
}

#[test]
fn a_mount_point_that_cannot_be_made_is_named() {
    let Some(probe) = Probe::hermetic() else { return };
    let (outer, inner) = (open_dir(), open_dir());
    let mut spec = shell("true");
    spec.mounts.push(mount(outer.path(), "/src", Access::ReadOnly));
    spec.mounts.push(mount(inner.path(), "/src/out", Access::ReadWrite));
    let ran = probe.run(&spec);
    assert_eq!(ran.error("message"), "cannot make the directory `/src/out` for the sandbox");
    assert!(ran.error("cause").contains("Read-only"));
}

#[test]
fn a_program_whose_main_does_not_offer_the_init_is_refused() {
    // This test program's main is the test harness, so `run` here would start the tests again.
    let refusal = hoist_sandbox::run(&shell("true"), &mut |_| ()).unwrap_err();
    assert!(refusal.to_string().contains("init_if_asked"));
}

#[test]
fn a_command_may_exit_like_a_failed_set_up() {
    let Some(probe) = Probe::hermetic() else { return };
    assert_eq!(probe.run(&shell("exit 127")).end(), End::Code(127));
}
