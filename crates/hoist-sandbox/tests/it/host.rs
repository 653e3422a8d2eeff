//! The last rung: a plain child process.

use std::collections::BTreeMap;
use std::time::Duration;

use hoist_sandbox::{End, HostSpec, Level, Limits};

use crate::support::{Probe, marked, marker, open_dir, until};

fn shell(script: &str) -> HostSpec {
    HostSpec {
        command: vec!["sh".into(), "-c".into(), script.into()],
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        cwd: "/".into(),
        limits: Limits::default(),
    }
}

/// Even where everything else is forbidden.
fn probe() -> Probe {
    Probe::unchecked().denied(&["unshare", "mount", "fsopen"])
}

#[test]
fn a_command_on_the_host_gets_the_declared_surroundings() {
    let dir = open_dir();
    let script = "env; umask; pwd -P; readlink /proc/self/fd/0; for fd in 0 1 2 3 4 5; do [ -e /proc/$$/fd/$fd ] && echo open $fd; done; \
                  test $$ = $(cut -d' ' -f6 /proc/$$/stat); ls -d /home >&2";
    let ran = probe().run_on_host(&HostSpec { cwd: dir.path().into(), ..shell(script) });
    assert_eq!(ran.outcome().level, Level::None);
    let said = ran.said();
    let lines: Vec<_> = said.lines().collect();
    let cwd = dir.path().canonicalize().unwrap();
    assert!(lines.contains(&"PATH=/usr/bin:/bin") && lines.contains(&"0022"), "{said}");
    assert!(lines.contains(&cwd.to_str().unwrap()) && lines.contains(&"/dev/null"), "{said}");
    assert!(said.contains("open 0\nopen 1\nopen 2\n") && !said.contains("open 3"), "{said}");
    assert!(said.ends_with("/home\n"), "{said}");
}

#[test]
fn ends_are_told_as_in_a_sandbox() {
    assert_eq!(probe().run_on_host(&shell("exit 7")).end(), End::Code(7));
    assert_eq!(probe().run_on_host(&shell("kill -ABRT $$")).end(), End::Signal(6));
    let missing = HostSpec { command: vec!["no-such-compiler".into()], ..shell("") };
    assert!(probe().run_on_host(&missing).error("message").contains("`no-such-compiler`"));
}

#[test]
fn daemons_are_found_and_killed_at_the_end() {
    let marker = marker(30);
    let script = format!("(setsid sh -c 'sleep {marker} & sleep {marker}' &); echo done");
    let ran = probe().run_on_host(&shell(&script));
    assert_eq!(ran.said(), "done\n");
    assert!(ran.elapsed < Duration::from_secs(3), "{:?}", ran.elapsed);
    assert_eq!(marked(&marker), 0);
}

#[test]
fn the_time_limit_ends_daemons_too() {
    let marker = marker(31);
    let script = format!("setsid sleep {marker} & sleep {marker}");
    let limits = Limits { wall: Some(Duration::from_millis(200)), ..Limits::default() };
    let ran = probe().run_on_host(&HostSpec { limits, ..shell(&script) });
    assert_eq!(ran.end(), End::TimedOut);
    assert_eq!(marked(&marker), 0);
}

#[test]
fn a_run_on_the_host_dies_with_hoist() {
    let marker = marker(32);
    let script = format!("setsid sleep {marker} & sleep {marker}");
    let mut hoist = probe().start("host", &shell(&script));
    until("two sleeps run", || marked(&marker) == 2);
    hoist.kill().unwrap();
    hoist.wait().unwrap();
    until("both sleeps are gone", || marked(&marker) == 0);
}
