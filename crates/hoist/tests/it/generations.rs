//! Generations: switch, roll back, and who sees which.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use hoist_testkit::{Hoist, tool};

use crate::{adder, generations};

/// A home in which editions 1 and 2 of `adder` were shipped.
fn two_generations() -> Hoist {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(2);
    let _ = hoist.run(["ship"]).ended(0);
    hoist
}

/// What a new Python process gets from the active generation.
fn edition(hoist: &Hoist) -> String {
    let script = "import hoist_runtime; print(hoist_runtime.load('adder').adder_edition())";
    hoist.stdout(["run", "--", "python3", "-c", script])
}

#[test]
fn a_rollback_reaches_the_next_python_process_and_no_running_one() {
    if tool("python3", "python3").is_none() {
        return;
    }
    let hoist = two_generations();
    assert_eq!(edition(&hoist), "2");

    let script = "import hoist_runtime\n\
                  adder = hoist_runtime.load('adder')\n\
                  while True: print(adder.adder_edition(), flush=True); input()\n";
    let mut running = hoist
        .command(["run", "--", "python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null()) // it ends with an EOFError
        .spawn()
        .unwrap();
    let mut answers = BufReader::new(running.stdout.take().unwrap()).lines();
    assert_eq!(answers.next().unwrap().unwrap(), "2");

    let run = hoist.run(["rollback"]).ended(0);
    assert!(run.stdout.contains("generation 1 of adder, was 2"), "{}", run.stdout);
    assert_eq!(generations(&hoist), (vec![1, 2], 1));
    assert_eq!(edition(&hoist), "1");
    writeln!(running.stdin.as_mut().unwrap()).unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "2", "a running process was changed");
    drop(running.stdin.take());
    running.wait().unwrap();

    let _ = hoist.run(["rollback", "adder", "--to", "2"]).ended(0);
    assert_eq!(edition(&hoist), "2");
}

#[test]
fn a_rollback_to_nowhere_is_refused() {
    let hoist = two_generations();
    let run = hoist.run(["rollback", "--to", "7"]).ended(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: profile `adder` has no generation 7
    hint: `hoist generations` lists what there is
    ");
    let _ = hoist.run(["rollback"]).ended(0);
    let run = hoist.run(["rollback"]).ended(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: profile `adder` has no generation before 1 that is not marked bad
    hint: `hoist generations` lists what there is
    ");
    let run = hoist.run(["rollback", "another"]).ended(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: profile `another` has no generation
    hint: `hoist ship` makes the first
    ");
    let _ = hoist.run(["rollback", "../another"]).ended(2);
    assert_eq!(generations(&hoist), (vec![1, 2], 1));
}

#[test]
fn a_ship_after_a_rollback_makes_a_generation_of_its_own() {
    let hoist = two_generations();
    let _ = hoist.run(["rollback"]).ended(0);
    hoist.adder_edition(3);
    let _ = hoist.run(["ship"]).ended(0);
    assert_eq!(generations(&hoist), (vec![1, 2, 3], 3));
    let records = hoist.run(["generations", "--json"]).ended(0).records();
    assert_eq!(records[2]["parent"], 1);
    assert_eq!(records[2]["health"], "unknown");
    assert!(records[2]["created"].as_str().unwrap().starts_with("20"));
}

#[test]
fn switch_takes_a_store_path_as_it_is_printed_where_it_lies_or_its_last_part() {
    let hoist = two_generations();
    let records = hoist.run(["generations", "--json"]).ended(0).records();
    let first = records[0]["store_path"].as_str().unwrap();
    let last_part = first.strip_prefix("/nix/store/").unwrap();
    let on_disk = hoist.root().join("nix/store").join(last_part);
    for (profile, written) in [("a", first), ("b", last_part), ("c", on_disk.to_str().unwrap())] {
        let _ = hoist.run(["switch", profile, written]).ended(0);
        let link = hoist.root().join(format!("nix/var/nix/profiles/{profile}-1-link"));
        assert_eq!(std::fs::read_link(link).unwrap().to_str(), Some(first));
    }

    let unknown = "/nix/store/00000000000000000000000000000000-adder-1.0";
    let run = hoist.run(["switch", "adder", unknown]).ended(1);
    assert!(run.stderr.contains("is not in the store"), "{}", run.stderr);
    let _ = hoist.run(["switch", "adder", "adder-1.0"]).ended(2);
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn a_profile_without_a_generation_has_none_to_list() {
    let hoist = two_generations();
    let run = hoist.run(["generations", "another"]).ended(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: profile `another` has no generation
    hint: `hoist ship` makes the first
    ");
}

#[test]
fn run_puts_the_active_generations_on_the_paths() {
    let hoist = two_generations();
    let script = "echo $HOIST_LIB_PATH; echo $LD_LIBRARY_PATH; ls $HOIST_LIB_PATH; exit 7";
    let mut command = hoist.command(["run", "--", "sh", "-c", script]);
    command.env("LD_LIBRARY_PATH", "/elsewhere");
    let run = hoist_testkit::Run::of(&mut command).ended(7);
    let [ours, theirs, listed] = run.stdout.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(ours.starts_with(hoist.root().join("nix/store").to_str().unwrap()), "{ours}");
    assert_eq!(theirs, format!("{ours}:/elsewhere"));
    assert_eq!(listed, "libadder.so");

    let run = hoist.run(["run", "--package", "another", "--", "true"]).ended(1);
    assert!(run.stderr.contains("`another` has no active generation"), "{}", run.stderr);
    let run = hoist.run(["run", "--", "no-such-program"]).ended(3);
    assert!(run.stderr.contains("cannot start no-such-program"), "{}", run.stderr);
}
