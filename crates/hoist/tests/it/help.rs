//! What `--help` says, command by command, and what else is printed for shells and editors.

use serde_json::Value;

use crate::hoist;

/// The subcommands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_explains_itself() {
    let hoist = hoist();
    let mut pending = vec![vec!["--help".to_owned()]];
    while let Some(words) = pending.pop() {
        let help = hoist.stdout(&words);
        let below = &words[..words.len() - 1];
        for name in commands(&help).into_iter().filter(|name| name != "help") {
            pending.push([below, &[name, "--help".to_owned()]].concat());
        }
        let name = if below.is_empty() { "hoist".to_owned() } else { below.join("-") };
        insta::assert_snapshot!(name, help);
    }
}

#[test]
fn the_short_help_is_short() {
    let help = hoist().stdout(["ship", "-h"]);
    assert!(help.lines().count() < 30, "{help}");
}

#[test]
fn an_unknown_argument_is_a_usage_error_with_the_nearest_one() {
    let run = hoist().run(["ship", "--cald"]).ended(2);
    assert!(run.stderr.contains("'--cold'"), "{}", run.stderr);
    let _ = hoist().run::<_, &str>([]).ended(2);
}

#[test]
fn the_schema_describes_the_manifest() {
    let schema: Value = serde_json::from_str(&hoist().stdout(["schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let sections = schema["properties"].as_object().unwrap();
    for section in ["package", "build", "library", "check", "bench"] {
        assert!(sections.contains_key(section), "{section}");
    }
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let completions = hoist().stdout(["completions", shell]);
        assert!(completions.contains("ship") && completions.contains("rollback"), "{shell}");
    }
}

#[test]
fn doctor_looks_at_every_part_and_says_what_to_install() {
    let hoist = hoist();
    let records = hoist.run(["doctor", "--json"]).ended(0).records();
    let parts: Vec<_> = records.iter().map(|record| record["part"].as_str().unwrap()).collect();
    for part in ["sandbox", "cc", "cargo", "python3", "nix-store", "store", "store disk"] {
        assert!(parts.contains(&part), "{part} in {parts:?}");
    }

    let mut without_programs = hoist.command(["doctor", "--json"]);
    without_programs.env("PATH", hoist.dir().join("home"));
    let records = hoist_testkit::Run::of(&mut without_programs).ended(0).records();
    let cc = records.iter().find(|record| record["part"] == "cc").unwrap();
    assert_eq!(cc["state"], "limited");
    assert!(cc["hint"].as_str().unwrap().contains("apt-get install gcc"), "{cc}");
}

#[test]
fn doctor_says_no_where_the_store_cannot_be_used() {
    let hoist = hoist();
    hoist.write("in-the-way", "");
    let root = hoist.project().join("in-the-way");
    let run = hoist.run(["doctor".as_ref(), "--store".as_ref(), root.as_os_str()]);
    let _ = run.ended(3);
}
