//! How runs end, and that nothing outlives them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use hoist_sandbox::{End, GRACE, Limits, Spec};

use crate::support::{Probe, command, marked, marker, shell, until};

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let Some(probe) = Probe::hermetic() else { return };
    assert_eq!(probe.run(&shell("exit 0")).end(), End::Code(0));
    assert_eq!(probe.run(&shell("exit 42")).end(), End::Code(42));
    assert_eq!(probe.run(&shell("exit 134")).end(), End::Code(134));
    assert_eq!(probe.run(&shell("kill -ABRT $$")).end(), End::Signal(6));
    assert_eq!(probe.run(&shell("kill -TERM $$")).end(), End::Signal(15));
    assert_eq!(probe.run(&shell("kill -PIPE $$")).end(), End::Signal(13));
}

#[test]
fn a_daemon_that_holds_the_output_does_not_delay_the_end() {
    let Some(probe) = Probe::hermetic() else { return };
    let marker = marker(1);
    let ran = probe.run(&shell(&format!("setsid sleep {marker} & echo done")));
    assert_eq!(ran.said(), "done\n");
    assert!(ran.elapsed < GRACE + Duration::from_secs(2), "{:?}", ran.elapsed);
    assert!(ran.outcome().wall < Duration::from_secs(1));
    assert_eq!(marked(&marker), 0);
}

#[test]
fn what_a_command_leaves_behind_may_finish_within_the_grace() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&shell("(sleep 0.02; echo late) & echo early"));
    assert_eq!(ran.said(), "early\nlate\n");
}

#[test]
fn the_time_limit_ends_the_whole_tree() {
    let Some(probe) = Probe::hermetic() else { return };
    let marker = marker(2);
    // One that ignores what can be ignored, one that left the session, one whose parent is gone.
    let script = format!(
        "trap '' TERM INT HUP; echo begun
         setsid sleep {marker} & (setsid sh -c 'sleep {marker} & sleep {marker}' &)
         sleep {marker}"
    );
    let limits = Limits { wall: Some(Duration::from_millis(300)), ..Limits::default() };
    let ran = probe.run(&Spec { limits, ..shell(&script) });
    assert_eq!(ran.end(), End::TimedOut);
    assert_eq!(ran.text(), "begun\n");
    assert!(ran.outcome().wall >= Duration::from_millis(300));
    assert!(ran.elapsed < Duration::from_secs(3), "{:?}", ran.elapsed);
    assert_eq!(marked(&marker), 0);
}

#[test]
fn a_run_dies_with_hoist() {
    let Some(probe) = Probe::hermetic() else { return };
    for (signal, test) in [("KILL", 3), ("TERM", 4), ("INT", 5)] {
        let marker = marker(test);
        let mut hoist =
            probe.start("run", &shell(&format!("setsid sleep {marker} & sleep {marker}")));
        until("two sleeps run", || marked(&marker) == 2);
        let kill = format!("kill -{signal} {}", hoist.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        hoist.wait().unwrap();
        until("both sleeps are gone", || marked(&marker) == 0);
    }
}

#[test]
fn a_killed_init_takes_the_run_along_and_is_reported() {
    let Some(probe) = Probe::hermetic() else { return };
    let marker = marker(6);
    let hoist = probe.start("run", &shell(&format!("setsid sleep {marker} & sleep {marker}")));
    until("two sleeps run", || marked(&marker) == 2);
    let children = format!("/proc/{0}/task/{0}/children", hoist.id());
    let init = fs::read_to_string(children).unwrap();
    let kill = format!("kill -KILL {init}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = hoist.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("ended without a report"));
    until("both sleeps are gone", || marked(&marker) == 0);
}

#[test]
fn orphans_are_reaped() {
    let Some(probe) = Probe::hermetic() else { return };
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (sh -c 'exit 0' & sh -c 'exit 0' &); done
                  sleep 0.2
                  for p in /proc/[0-9]*; do cut -d' ' -f3 $p/stat; done 2>/dev/null | sort | uniq -c";
    let said = probe.run(&shell(script)).said();
    assert!(!said.contains('Z'), "{said}");
}

#[test]
fn a_large_log_arrives_whole() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&command(&["head", "-c", "10485760", "/dev/zero"]));
    assert_eq!(ran.end(), End::Code(0));
    assert_eq!(ran.log.len(), 10 << 20);
    assert!(ran.log.iter().all(|&byte| byte == 0));
}

#[test]
fn output_and_errors_are_one_log_in_order() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2"));
    assert_eq!(ran.said(), "1\n2\n3\n4\n");
}

#[test]
fn an_alarm_goes_off_since_the_command_is_not_pid_1() {
    let Some(probe) = Probe::hermetic() else { return };
    let ran = probe.run(&shell("(sleep 0.1; kill -ALRM $$) & sleep 5"));
    assert_eq!(ran.end(), End::Signal(14));
}

#[test]
fn cpu_time_counts_processes_that_nobody_waited_for() {
    let Some(probe) = Probe::hermetic() else { return };
    let spin = "setsid sh -c 'while :; do :; done' & sleep 0.3";
    let outcome = probe.run(&shell(spin)).outcome();
    assert!(outcome.user + outcome.system > Duration::from_millis(50), "{outcome:?}");
    assert!(outcome.wall >= Duration::from_millis(300), "{outcome:?}");
    assert!(outcome.max_rss_bytes > 64 << 10, "{outcome:?}");
}

#[test]
fn setting_up_costs_little() {
    let Some(probe) = Probe::hermetic() else { return };
    let spec = command(&["true"]);
    let mut bare: Vec<_> = Vec::new();
    let mut sandboxed: Vec<_> = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        assert!(Command::new("true").status().unwrap().success());
        bare.push(started.elapsed());
        let ran = probe.run(&spec);
        assert_eq!(ran.end(), End::Code(0));
        sandboxed.push(ran.elapsed);
    }
    bare.sort();
    sandboxed.sort();
    println!("true, medians of 21: bare {:?}, in a sandbox {:?}", bare[10], sandboxed[10]);
}
