//! The gate: what a bench may print, and what keeps the gate closed.

use std::fs;
use std::time::{Duration, Instant};

use hoist_testkit::{ADDER_MANIFEST, Hoist};

use crate::{generations, hoist, stage, tidy};

const FAST: &str = "echo '{\"speedup\": 20.0, \"baseline\": \"a snail\"}'\n";

/// A home with the project `adder`, shipped once without a bench and then changed, and `script` as
/// its bench.
fn benched(script: &str) -> Hoist {
    let hoist = hoist();
    hoist.adder();
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(2);
    hoist.adder_bench(script);
    hoist
}

/// Ships, which must be refused, and returns what was said; the profile must be where it was.
#[track_caller]
fn refusal(hoist: &Hoist) -> String {
    let run = hoist.run(["ship"]).ended(1);
    assert_eq!(generations(hoist), (vec![1], 1), "{}", run.stderr);
    tidy(hoist, &run.stderr)
}

#[test]
fn an_open_gate_lets_the_profile_switch() {
    let hoist = benched(FAST);
    let run = hoist.run(["ship"]).ended(0);
    assert!(run.stdout.contains("speedup 20.0x (bar 13.1x)"), "{}", run.stdout);
    assert!(run.stdout.contains("over a snail"), "{}", run.stdout);
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn a_closed_gate_leaves_the_profile_where_it_was() {
    let hoist = benched("echo '{\"speedup\": 2.5}'\n");
    insta::assert_snapshot!(refusal(&hoist), @r"
    error: the gate is closed: `speedup` is 2.5, wanted at least 13.1
    hint: the store path is kept, the profile was not switched; make it faster or lower `min`
    ");
    assert_eq!(hoist.stdout(["store", "ls"]).lines().count(), 2);
}

#[test]
fn a_gate_just_below_its_bar_shows_the_difference() {
    let hoist = benched("echo '{\"speedup\": 13.0999}'\n");
    let said = refusal(&hoist);
    assert!(said.contains("`speedup` is 13.0999, wanted at least 13.1"), "{said}");
}

#[test]
fn nonsense_is_no_measurement() {
    for (script, expected) in [
        ("echo fast enough", "the bench printed no JSON object on a line of its own"),
        ("echo 31.4", "the bench printed no JSON object on a line of its own"),
        ("true", "the bench printed nothing"),
        ("echo '{\"speed\": 31.4}'", "the bench measured no `speedup`; it printed speed"),
        ("echo '{\"speedup\": \"31.4\"}'", "the bench measured no `speedup`"),
        ("echo '{\"speedup\": null}'", "the bench measured no `speedup`"),
        ("head -c 3000000 /dev/zero", "the bench printed no JSON object on a line of its own"),
    ] {
        let said = refusal(&benched(script));
        assert!(said.starts_with(&format!("error: {expected}")), "{script}: {said}");
        assert!(said.contains("\nhint: "), "{script}: {said}");
    }
}

#[test]
fn a_bench_that_fails_is_quoted() {
    let hoist = benched("echo this is why >&2\nexit 3\n");
    insta::assert_snapshot!(refusal(&hoist), @r"
    error: the bench ended with exit code 3
      | this is why
    hint: the profile was not switched
    ");
}

#[test]
fn a_bench_that_crashes_is_said_to_have_crashed() {
    let hoist = benched("kill -SEGV $$\n");
    insta::assert_snapshot!(refusal(&hoist), @r"
    error: the bench was ended by signal 11
    hint: the profile was not switched
    ");
}

#[test]
fn a_bench_that_hangs_is_stopped_with_all_it_started() {
    // A number of seconds that nobody else sleeps for.
    let marker = format!("60.{}", std::process::id());
    let hoist = benched(&format!("sleep {marker} &\nsleep {marker}\n"));
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", format!("{manifest}timeout = \"1s\"\n"));
    let start = Instant::now();
    insta::assert_snapshot!(refusal(&hoist), @r"
    error: the bench did not end within 1.00 s
    hint: raise `timeout` in [bench] if it needs longer; the profile was not switched
    ");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let has_marker = |entry: &fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|&byte| byte == 0).any(|word| word == marker.as_bytes())
    };
    assert_eq!(fs::read_dir("/proc").unwrap().flatten().filter(has_marker).count(), 0);
}

#[test]
fn a_bench_that_is_not_there_is_named() {
    let hoist = benched(FAST);
    let bench = "\n[bench]\ncommand = [\"./measure\"]\nmin = { speedup = 13.1 }\n";
    hoist.write("hoist.toml", format!("{ADDER_MANIFEST}{bench}"));
    let run = hoist.run(["ship"]).ended(3);
    assert!(run.stderr.contains("./measure"), "{}", run.stderr);
    assert!(run.stderr.contains("[bench]"), "{}", run.stderr);
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn a_bench_finds_the_store_path_and_the_python_runtime() {
    let hoist = benched(
        "test -f \"$HOIST_ARTIFACT/lib/libadder.so\" || exit 1\n\
         test -f \"$PYTHONPATH/hoist_runtime/__init__.py\" || exit 2\n\
         test \"$PWD/bench.sh\" -ef bench.sh || exit 3\n\
         echo a warning >&2\necho '{\"speedup\": 20}'\necho another >&2\n",
    );
    let _ = hoist.run(["ship"]).ended(0);
}

#[test]
fn a_measurement_is_remembered_until_the_artifact_or_the_bench_changes() {
    let hoist = benched(FAST);
    let ship = |more: &[&str]| {
        let records = hoist.run([&["ship", "--json"], more].concat()).ended(0).records();
        stage(&records, "bench")["cached"].as_bool().unwrap()
    };
    assert!(!ship(&[]));
    assert!(ship(&[]));
    assert!(!ship(&["--bench"]));
    hoist.write("bench.sh", format!("# changed\n{FAST}"));
    assert!(!ship(&[]));
    assert!(ship(&[]));
    hoist.adder_edition(3);
    assert!(!ship(&[]));
}

#[test]
fn a_closed_gate_is_measured_again() {
    let hoist = benched("echo '{\"speedup\": 2.5}'\n");
    let _ = hoist.run(["ship"]).ended(1);
    let records = hoist.run(["ship", "--json"]).ended(1).records();
    assert_eq!(stage(&records, "bench")["cached"], false);
    assert!(records.iter().all(|record| record["stage"] != "switch"));
}

#[test]
fn the_gate_can_be_left_out() {
    let hoist = benched("exit 1\n");
    let _ = hoist.run(["ship", "--no-bench"]).ended(0);
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn a_measurement_without_the_wheels_it_wants_is_not_remembered() {
    let hoist = hoist();
    hoist.adder();
    let bench = "\n[bench]\ncommand = [\"python3\", \"bench.py\"]\nmin = { speedup = 13.1 }\n\
                 wheels = [\"no-such-distribution-for-hoist\"]\n";
    hoist.write("hoist.toml", format!("{ADDER_MANIFEST}{bench}"));
    hoist.write(
        "bench.py",
        "import json, os\n\
         print(json.dumps({'speedup': 20, 'note': 'without ' + os.environ['HOIST_BENCH_WITHOUT']}))\n",
    );
    for _ in 0..2 {
        let mut command = hoist.command(["ship", "--json"]);
        command.env("PIP_NO_INDEX", "1").env_remove("PIP_FIND_LINKS");
        let run = hoist_testkit::Run::of(&mut command).ended(0);
        assert!(
            run.stderr
                .starts_with("warning: the bench runs without no-such-distribution-for-hoist: `"),
            "{}",
            run.stderr
        );
        let bench = stage(&run.records(), "bench");
        assert_eq!(bench["cached"], false);
        assert_eq!(bench["measured"]["note"], "without no-such-distribution-for-hoist");
    }
}
