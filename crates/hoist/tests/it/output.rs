//! What is printed where: records, quiet, colour, and readers that go away.

use std::process::Stdio;

use hoist_testkit::{Run, tool};

use crate::{adder, generations, stage, stages};

const FAST: &str = "echo '{\"speedup\": 20.0}'\n";

#[test]
fn records_come_in_the_order_of_the_stages() {
    let hoist = adder();
    hoist.adder_bench(FAST);
    let run = hoist.run(["ship", "--json"]).ended(0);
    assert_eq!(run.stderr, "");
    let records = run.records();
    assert_eq!(stages(&records), ["build", "check", "pack", "store", "bench", "switch", "ship"]);
    for record in &records {
        assert!(record["ms"].as_f64().unwrap() >= 0.0, "{record}");
    }
    let ship = stage(&records, "ship");
    let store_path = ship["store_path"].as_str().unwrap();
    assert_eq!(store_path, stage(&records, "pack")["store_path"]);
    assert_eq!(ship["generation"], 1);
    let on_disk = stage(&records, "store")["path"].as_str().unwrap().to_owned();
    assert_eq!(on_disk, format!("{}{store_path}", hoist.root().display()));
    assert!(stage(&records, "pack")["nar_hash"].as_str().unwrap().starts_with("sha256-"));
    assert_eq!(stage(&records, "bench")["bars"]["speedup"], 13.1);
    let check = stage(&records, "check");
    assert_eq!(check["libraries"][0]["path"], "lib/libadder.so");
    assert_eq!(check["libraries"][0]["exports"], 4);
}

#[test]
fn a_receipt_has_a_line_for_each_stage() {
    let hoist = adder();
    hoist.adder_bench(FAST);
    let run = hoist.run(["ship"]).ended(0);
    assert_eq!(run.stderr, "");
    let first_words: Vec<_> =
        run.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(
        first_words,
        ["adder", "build", "check", "pack", "store", "bench", "switch", "total"]
    );
}

#[test]
fn quiet_leaves_problems_only() {
    let hoist = adder();
    let run = hoist.run(["ship", "--quiet"]).ended(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    hoist.write("src/wrong.c", "wrong");
    let run = hoist.run(["ship", "--quiet"]).ended(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.starts_with("error: the build of adder"), "{}", run.stderr);
}

#[test]
fn what_is_no_terminal_gets_no_escape_codes() {
    let hoist = adder();
    hoist.adder_bench("echo '{\"speedup\": 1}'\n");
    let run = hoist.run(["ship"]).ended(1);
    assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'));
    let help = hoist.stdout(["--help"]);
    assert!(!help.contains('\x1b'));
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let Some(script) = tool("script", "bsdutils") else { return };
    let hoist = adder();
    hoist.adder_bench("echo '{\"speedup\": 1}'\n");
    let on_a_terminal = |no_color: bool| {
        let ship = hoist.command(["ship", "--cold"]);
        let mut command = script.command();
        command.args(["-qec", &format!("{} ship --cold", env!("CARGO_BIN_EXE_hoist"))]);
        command.arg("/dev/null").env_clear().current_dir(hoist.project());
        let set = ship.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(set).env("TERM", "xterm").stdin(Stdio::null());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        Run::of(&mut command).ended(1).stdout
    };
    let coloured = on_a_terminal(false);
    assert!(coloured.contains("\x1b[1m") && coloured.contains("\x1b[31m"), "{coloured:?}");
    let plain = on_a_terminal(true);
    assert!(plain.contains("error: the gate is closed"), "{plain:?}");
    // A spinner still moves the cursor; what sets a colour or a weight ends with `m`.
    let codes = plain
        .split("\x1b[")
        .skip(1)
        .filter_map(|rest| rest.find(|c: char| c.is_ascii_alphabetic()).map(|end| &rest[..=end]));
    assert_eq!(codes.filter(|code| code.ends_with('m')).collect::<Vec<_>>(), [""; 0]);
}

/// The words of the man who pulled the plug must not stop the work.
#[test]
fn a_reader_that_goes_away_does_not_stop_a_ship_half_way() {
    for more in [&[][..], &["--json"]] {
        let hoist = adder();
        let mut command = hoist.command([&["ship"], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(generations(&hoist), (vec![1], 1));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let hoist = adder();
    let path = hoist.stdout(["build", "--quiet"]);
    for words in
        [&["store", "ls"][..], &["store", "dump", &path], &["completions", "bash"], &["schema"]]
    {
        let mut command = hoist.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
        assert_eq!(output.status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let hoist = adder();
    let path = hoist.stdout(["build", "--quiet"]);
    for words in [
        &["store", "ls"][..],
        &["store", "ls", "--json"],
        &["store", "dump", &path],
        &["completions", "bash"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = hoist.command(words);
        let output = command.stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.contains("caused by: No space left on device"), "{words:?}: {said}");
    }
}
