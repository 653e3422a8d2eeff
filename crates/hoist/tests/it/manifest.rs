//! What is wrong in `hoist.toml`: shown with its place, before anything is made.

use hoist_testkit::{ADDER_MANIFEST, Hoist};

use crate::{adder, hoist, tidy};

/// Ships `adder` with a part of its manifest replaced, which must be refused, and returns what was
/// said.
#[track_caller]
fn refusal(hoist: &Hoist, from: &str, to: &str) -> String {
    assert!(ADDER_MANIFEST.contains(from), "{from}");
    hoist.write("hoist.toml", ADDER_MANIFEST.replace(from, to));
    let run = hoist.run(["ship"]).ended(2);
    assert_eq!(run.stdout, "");
    assert!(!hoist.root().join("nix").exists(), "a store was made");
    tidy(hoist, &run.stderr)
}

#[test]
fn unknown_keys_are_shown_all_at_once_with_the_nearest_right_one() {
    let hoist = adder();
    let said = refusal(&hoist, "sources = [", "timout = \"5s\"\nsorces = [");
    insta::assert_snapshot!(said, @r#"
    error: ~/project/hoist.toml:7:1: unknown key `timout` in [build]
      |
    7 | timout = "5s"
      | ^^^^^^
    hint: did you mean `timeout`? [build] takes `toolchain`, `sources`, `compiler`, `command`, `env`, `system`, `network`, `timeout`
    error: ~/project/hoist.toml:8:1: unknown key `sorces` in [build]
      |
    8 | sorces = ["src/*.c", "include/*.h"]
      | ^^^^^^
    hint: did you mean `sources`? [build] takes `toolchain`, `sources`, `compiler`, `command`, `env`, `system`, `network`, `timeout`
    "#);
}

#[test]
fn a_value_of_a_wrong_type_is_shown_with_what_was_wanted() {
    let hoist = adder();
    let said = refusal(&hoist, "\"1.0\"", "1.0");
    insta::assert_snapshot!(said, @r#"
    error: ~/project/hoist.toml:3:11: invalid type: floating point `1.0`, expected a string
      |
    3 | version = 1.0
      |           ^^^
    hint: `hoist schema` tells what every key takes
    "#);
}

#[test]
fn an_unknown_toolchain_is_shown_with_those_there_are() {
    let hoist = adder();
    let said = refusal(&hoist, "\"cc\"", "\"gcc\"");
    insta::assert_snapshot!(said, @r#"
    error: ~/project/hoist.toml:6:13: unknown variant `gcc`, expected one of `cargo`, `cc`, `c++`, `mojo`, `zig`, `go`, `crystal`, `swift`, `custom`
      |
    6 | toolchain = "gcc"
      |             ^^^^^
    hint: `hoist schema` tells what every key takes
    "#);
}

#[test]
fn broken_syntax_is_shown_where_it_breaks() {
    let hoist = adder();
    let said = refusal(&hoist, "toolchain =", "toolchain");
    insta::assert_snapshot!(said, @r#"
    error: ~/project/hoist.toml:6:11: key with no value, expected `=`
      |
    6 | toolchain "cc"
      |           ^
    "#);
}

#[test]
fn values_that_make_no_sense_are_shown_all_at_once() {
    let hoist = adder();
    let said = refusal(&hoist, "\"1.0\"\n\n[build]", "\"1 0\"\n\n[build]\nsystem = [\"usr\"]");
    insta::assert_snapshot!(said, @r#"
    error: ~/project/hoist.toml:3:11: `1 0` cannot be part of a store path's name
      |
    3 | version = "1 0"
      |           ^^^^^
    hint: use up to 100 letters, digits and `+-._?=`, first a letter or a digit
    error: ~/project/hoist.toml:6:11: the system folder `usr` is not absolute
      |
    6 | system = ["usr"]
      |           ^^^^^
    hint: write it from `/` on
    "#);
}

#[test]
fn a_refusal_is_a_record_as_well() {
    let hoist = adder();
    hoist.write("hoist.toml", "[package]\nnam = \"x\"\n");
    let run = hoist.run(["ship", "--json"]).ended(2);
    let [record] = run.records().try_into().unwrap();
    assert_eq!(record["exit"], 2);
    assert!(record["error"].as_str().unwrap().contains("hoist.toml:2:1: unknown key `nam`"));
    assert!(record["hint"].as_str().unwrap().contains("did you mean `name`?"));
}

#[test]
fn a_folder_without_a_manifest_is_told_how_to_get_one() {
    let hoist = hoist();
    let run = hoist.run(["ship"]).ended(2);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: no hoist.toml in ~/project or above it
    hint: name a project folder, or write one: `hoist init`
    ");
    let run = hoist.run(["ship", "nowhere"]).ended(2);
    insta::assert_snapshot!(run.stderr, @r"
    error: the project folder nowhere is not there
    hint: name the folder that holds hoist.toml, or go there and name none
    ");
}

#[test]
fn a_manifest_that_is_no_text_is_refused() {
    let hoist = adder();
    hoist.write("hoist.toml", b"[package]\nname = \"\xff\xfe\"\n");
    let run = hoist.run(["ship"]).ended(2);
    assert!(run.stderr.contains("UTF-8"), "{}", run.stderr);
    hoist.write("hoist.toml", " ".repeat((1 << 20) + 1));
    let run = hoist.run(["ship"]).ended(2);
    assert!(run.stderr.contains("more than a manifest may have"), "{}", run.stderr);
}
