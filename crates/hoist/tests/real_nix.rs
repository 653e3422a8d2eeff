//! What `hoist ship` leaves, held against real Nix.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use hoist_testkit::{Hoist, Run, Tool, tool};

/// A home in which `editions` of `adder` were shipped, and the store paths of them.
fn shipped(editions: u32) -> (Hoist, Vec<String>) {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let paths = (1..=editions).map(|edition| {
        hoist.adder_edition(edition);
        let records = hoist.run(["ship", "--json"]).ended(0).records();
        let ship = records.last().unwrap();
        ship["store_path"].as_str().unwrap().to_owned()
    });
    let paths = paths.collect();
    (hoist, paths)
}

/// A program of Nix on the store of `hoist`.
fn on_store(tool: &Tool, hoist: &Hoist) -> Command {
    let mut command = tool.command();
    command.env("HOME", hoist.dir().join("home")).arg("--store");
    command.arg(format!("local?root={}", hoist.root().display()));
    command
}

#[test]
fn nix_finds_every_content_as_registered() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let (hoist, paths) = shipped(2);
    let run = Run::of(on_store(&nix_store, &hoist).args(["--verify", "--check-contents"])).ended(0);
    for complaint in ["error", "warning", "modified", "disappeared", "missing"] {
        assert!(!run.stderr.contains(complaint), "{}", run.stderr);
    }
    let listed = Run::of(on_store(&nix_store, &hoist).args(["--query", "--hash"]).args(&paths));
    assert_eq!(listed.ended(0).stdout.lines().count(), 2);
}

#[test]
fn nix_gives_the_artifact_the_same_path() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let (hoist, paths) = shipped(1);
    // Nix names a path by the last part of what it adds.
    let (hash, name) = paths[0].strip_prefix("/nix/store/").unwrap().split_at(32);
    let tree = hoist.project().join(&name[1..]);
    let artifact = format!("{}{}", hoist.root().display(), paths[0]);
    let copied = Command::new("cp").arg("-r").args([artifact.as_ref(), tree.as_os_str()]).status();
    assert!(copied.unwrap().success());

    let elsewhere = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    let mut add = on_store(&nix_store, &elsewhere);
    add.args(["--add-fixed", "--recursive", "sha256"]).arg(&tree);
    assert_eq!(Run::of(&mut add).ended(0).stdout.trim_end(), paths[0], "{hash}");
}

#[test]
fn nix_lists_the_generations_and_switches_them() {
    let Some(nix_env) = tool("nix-env", "nix-bin") else { return };
    let (hoist, _) = shipped(3);
    let _ = hoist.run(["rollback", "adder", "--to", "2"]).ended(0);
    let profile = hoist.root().join("nix/var/nix/profiles/adder");
    let on_profile = |words: &[&str]| {
        let mut command = on_store(&nix_env, &hoist);
        Run::of(command.arg("--profile").arg(&profile).args(words)).ended(0).stdout
    };
    let listed = on_profile(&["--list-generations"]);
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[1].trim_start().starts_with('2') && lines[1].ends_with("(current)"), "{listed}");

    on_profile(&["--switch-generation", "3"]);
    let ours = hoist.run(["generations", "adder", "--json"]).ended(0).records();
    assert_eq!(
        ours.iter().map(|record| record["current"] == true).collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[test]
fn nix_and_hoist_notice_the_same_damage() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let (hoist, paths) = shipped(2);
    let library = hoist.root().join(&paths[0][1..]).join("lib/libadder.so");
    let mut bytes = fs::read(&library).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::set_permissions(&library, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&library, bytes).unwrap();

    let ours = hoist.run(["store", "verify"]).ended(1);
    let name = paths[0].strip_prefix("/nix/store/").unwrap();
    assert!(ours.stdout.contains(&format!("`{name}` was modified")), "{}", ours.stdout);
    assert_eq!(ours.stdout.lines().count(), 1);
    let theirs =
        Run::of(on_store(&nix_store, &hoist).args(["--verify", "--check-contents"])).ended(1);
    assert!(
        theirs.stderr.contains(&format!("path '{}' was modified", paths[0])),
        "{}",
        theirs.stderr
    );
    assert!(!theirs.stderr.contains(&paths[1]), "{}", theirs.stderr);
}

#[test]
fn nix_keeps_every_generation_and_collects_what_was_refused() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let (hoist, mut paths) = shipped(2);
    hoist.adder_edition(3);
    let unswitched = hoist.stdout(["build", "--quiet"]);
    assert_eq!(hoist.stdout(["store", "ls"]).lines().count(), 3);
    let _ = Run::of(on_store(&nix_store, &hoist).arg("--gc")).ended(0);
    let mut left: Vec<_> = hoist.stdout(["store", "ls"]).lines().map(str::to_owned).collect();
    left.sort();
    paths.sort();
    assert_eq!(left, paths, "{unswitched} was switched to by nobody");
    assert_eq!(hoist.stdout(["store", "verify"]), "2 store paths, all as registered");
}
