//! `hoist flake`, and the `hoist.lock` that it writes and every ship keeps current.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use hoist_testkit::{ADDER_MANIFEST, Hoist, tool};
use serde_json::Value;

use crate::{adder, generations, stage, stages, tidy};

/// A home with `adder` shipped and its flake written.
fn flaked(words: &[&str]) -> Hoist {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let _ = hoist.run([&["flake"], words].concat()).ended(0);
    hoist
}

fn lock_text(hoist: &Hoist) -> String {
    fs::read_to_string(hoist.project().join("hoist.lock")).unwrap()
}

/// What the lock says of `x86_64-linux`, or whatever this machine is.
fn locked(hoist: &Hoist) -> Value {
    let mut lock: Value = serde_json::from_str(&lock_text(hoist)).unwrap();
    lock["systems"].as_object_mut().unwrap().values_mut().next().unwrap().take()
}

/// What tells whether a file was written: another file has another number.
fn written(hoist: &Hoist) -> [(u64, i64); 2] {
    ["hoist.lock", "flake.nix"].map(|file| {
        let metadata = fs::metadata(hoist.project().join(file)).unwrap();
        (metadata.ino(), metadata.mtime_nsec())
    })
}

fn ship(hoist: &Hoist) -> Vec<Value> {
    hoist.run(["ship", "--json"]).ended(0).records()
}

#[test]
fn the_lock_says_what_was_shipped_and_the_flake_is_the_same_everywhere() {
    let hoist = adder();
    let records = ship(&hoist);
    let run = hoist.run(["flake"]).ended(0);
    assert!(run.stdout.starts_with("wrote hoist.lock\nwrote flake.nix\n"), "{}", run.stdout);
    assert!(run.stderr.contains("add --vendor or --cache"), "{}", run.stderr);
    let (locked, pack) = (locked(&hoist), stage(&records, "pack"));
    assert_eq!(locked["artifact"]["storePath"], pack["store_path"]);
    assert_eq!(locked["artifact"]["narHash"], pack["nar_hash"]);
    assert_eq!(locked["artifact"]["narSize"], pack["nar_size_bytes"]);
    let build = stage(&records, "build");
    assert_eq!(locked["inputs"], build["action_key"]);
    assert_eq!(locked["toolchain"]["name"], build["toolchain"]);
    let flake = fs::read_to_string(hoist.project().join("flake.nix")).unwrap();
    assert_eq!(flake, include_str!("../../src/commands/flake/flake.nix"));
    assert!(!flake.contains("adder"), "nothing in it is of the project");
}

#[test]
fn what_is_as_it_should_be_is_not_written_again() {
    let hoist = flaked(&["--vendor"]);
    let before = written(&hoist);
    let run = hoist.run(["flake"]).ended(0);
    assert!(run.stdout.starts_with("all is as it should be\n"), "{}", run.stdout);
    let records = ship(&hoist);
    assert_eq!(stage(&records, "lock")["changed"], false);
    let _ = hoist.run(["ship", "--locked"]).ended(0);
    assert_eq!(written(&hoist), before);
}

#[test]
fn a_project_without_a_lock_ships_without_one() {
    let hoist = adder();
    let records = ship(&hoist);
    assert!(!stages(&records).contains(&"lock"));
    assert!(!hoist.project().join("hoist.lock").exists());
}

#[test]
fn what_was_not_shipped_has_no_flake() {
    let hoist = adder();
    let run = hoist.run(["flake"]).ended(1);
    assert!(run.stderr.contains("hint: `hoist ship`, then"), "{}", run.stderr);
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(2);
    let run = hoist.run(["flake"]).ended(1);
    assert!(run.stderr.contains("adder-1.0 as it is now was not shipped"), "{}", run.stderr);
    assert!(!hoist.project().join("flake.nix").exists());
    assert!(!hoist.project().join("hoist.lock").exists());
}

#[test]
fn a_ship_brings_the_lock_up_to_date_and_keeps_what_is_said_of_others() {
    let hoist = flaked(&["--cache", "https://a.example.org/", "--cache", "file:///srv/cache"]);
    let mut lock: Value = serde_json::from_str(&lock_text(&hoist)).unwrap();
    lock["systems"]["riscv64-linux"] = locked(&hoist);
    fs::write(hoist.project().join("hoist.lock"), lock.to_string()).unwrap();

    hoist.adder_edition(2);
    let manifest = ADDER_MANIFEST.replace("\"1.0\"", "\"1.1\"");
    hoist.write("hoist.toml", manifest);
    let records = ship(&hoist);
    let names = stages(&records);
    assert_eq!(names, ["build", "check", "pack", "store", "lock", "switch", "ship"]);
    assert_eq!(stage(&records, "lock")["changed"], true);
    let now: Value = serde_json::from_str(&lock_text(&hoist)).unwrap();
    assert_eq!(now["systems"]["riscv64-linux"], lock["systems"]["riscv64-linux"]);
    let other = now["systems"].as_object().unwrap().keys().find(|key| *key != "riscv64-linux");
    let own = &now["systems"][other.unwrap()];
    assert_eq!(own["artifact"]["storePath"], stage(&records, "ship")["store_path"]);
    assert_eq!(own["caches"].to_string(), r#"["https://a.example.org","file:///srv/cache"]"#);
    assert_eq!(now["package"]["version"], "1.1");
    assert!(lock_text(&hoist).ends_with("}\n"));
}

#[test]
fn locked_refuses_a_change_and_says_which() {
    let hoist = adder();
    let run = hoist.run(["ship", "--locked"]).ended(1);
    assert!(tidy(&hoist, &run.stderr).contains("there is no ~/project/hoist.lock"));

    let hoist = flaked(&[]);
    let (before, text) = (written(&hoist), lock_text(&hoist));
    hoist.adder_edition(2);
    let run = hoist.run(["ship", "--locked"]).ended(1);
    for part in ["artifact.narHash: sha256-", "inputs: ", "artifact.storePath: /nix/store/", " → "]
    {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("toolchain"), "{}", run.stderr);
    assert_eq!((written(&hoist), lock_text(&hoist)), (before, text));
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn a_closed_gate_leaves_the_lock() {
    let hoist = flaked(&[]);
    let before = written(&hoist);
    hoist.adder_edition(2);
    hoist.adder_bench("echo '{\"speedup\": 1.0}'\n");
    let _ = hoist.run(["ship"]).ended(1);
    assert_eq!(written(&hoist), before);
}

#[test]
fn a_flake_of_the_users_own_is_not_overwritten() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let flake = hoist.write("flake.nix", "{ outputs = _: { }; }\n");
    let run = hoist.run(["flake"]).ended(1);
    let said = tidy(&hoist, &run.stderr);
    assert!(said.contains("~/project/flake.nix is not the one that hoist writes"), "{said}");
    assert_eq!(fs::read_to_string(&flake).unwrap(), "{ outputs = _: { }; }\n");
    assert!(!hoist.project().join("hoist.lock").exists());
    let _ = hoist.run(["flake", "--force"]).ended(0);
    assert!(fs::read_to_string(&flake).unwrap().contains("builtin:fetchurl"));
}

#[test]
fn the_copy_in_the_project_follows_every_ship() {
    let hoist = flaked(&["--vendor=./dist/"]);
    let copy = hoist.project().join("dist/package");
    let library = copy.join("lib/libadder.so");
    assert_eq!(locked(&hoist)["artifact"]["path"], "dist/package");
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&library), mode(&copy)), (0o755, 0o755));
    assert_eq!(mode(&copy.join("include/adder.h")), 0o644);
    let attributes = fs::read_to_string(hoist.project().join("dist/.gitattributes")).unwrap();
    assert!(attributes.contains("* -text "), "{attributes}");

    let before = fs::read(&library).unwrap();
    hoist.adder_edition(2);
    let _ = ship(&hoist);
    assert_ne!(fs::read(&library).unwrap(), before);
    let store = locked(&hoist)["artifact"]["storePath"].as_str().unwrap().to_owned();
    let stored = format!("{}{store}/lib/libadder.so", hoist.root().display());
    assert_eq!(fs::read(&library).unwrap(), fs::read(stored).unwrap());
    let names: Vec<_> = fs::read_dir(hoist.project().join("dist")).unwrap().flatten().collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");

    fs::remove_dir_all(&copy).unwrap();
    assert_eq!(stage(&ship(&hoist), "lock")["changed"], false);
    assert!(library.is_file(), "a copy that was lost is made again");
}

#[test]
fn a_damaged_copy_is_made_again() {
    let hoist = flaked(&["--vendor"]);
    let path = locked(&hoist)["artifact"]["path"].as_str().unwrap().to_owned();
    let header = hoist.project().join(path).join("include/adder.h");
    let right = fs::read(&header).unwrap();
    fs::write(&header, "").unwrap();
    let _ = hoist.run(["flake"]).ended(0);
    assert_eq!(fs::read(&header).unwrap(), right);
    fs::set_permissions(&header, Permissions::from_mode(0o755)).unwrap();
    let run = hoist.run(["flake"]).ended(0);
    assert!(run.stdout.contains("wrote artifacts/"), "{}", run.stdout);
}

#[test]
fn a_folder_that_the_lock_does_not_name_is_not_replaced() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let kept = hoist.write("dist/package/precious", "x");
    let run = hoist.run(["flake", "--vendor=dist"]).ended(1);
    assert!(run.stderr.contains("and hoist.lock does not name it"), "{}", run.stderr);
    assert!(kept.is_file());
    for folder in ["../x", "/tmp/x", "a/../b"] {
        let _ = hoist.run(["flake", &format!("--vendor={folder}")]).ended(2);
    }
    std::os::unix::fs::symlink(hoist.dir().join("tmp"), hoist.project().join("out")).unwrap();
    let run = hoist.run(["flake", "--vendor=out"]).ended(2);
    assert!(run.stderr.contains("leads out of the project"), "{}", run.stderr);
    assert_eq!(fs::read_dir(hoist.dir().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_artifact_with_an_empty_folder_has_no_copy_in_git() {
    let hoist = adder();
    let command = "command = [\"sh\", \"-c\", \"mkdir -p {out}/lib {out}/share/empty && \
                   cc -shared -fPIC -Iinclude -Wl,-soname,libadder.so,-z,relro,-z,now \
                   -o {out}/lib/libadder.so src/adder.c\"]\nsources";
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("sources", command));
    let _ = hoist.run(["ship"]).ended(0);
    let run = hoist.run(["flake", "--vendor"]).ended(1);
    assert!(run.stderr.contains("git would not keep the empty folder"), "{}", run.stderr);
    assert!(!hoist.project().join("artifacts").exists());
}

#[test]
fn no_glob_makes_the_lock_a_source() {
    let hoist = adder();
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("\"src/*.c\"", "\"src/*.c\", \"*\""));
    let _ = hoist.run(["ship"]).ended(0);
    let run = hoist.run(["flake"]).ended(0);
    assert!(run.stderr.contains("takes in flake.nix"), "{}", run.stderr);
    let _ = hoist.run(["ship"]).ended(0);
    let records = ship(&hoist);
    assert_eq!(stage(&records, "build")["cached"], true, "the second one has changed nothing");
    assert_eq!(stage(&records, "lock")["changed"], false);
}

#[test]
fn a_lock_that_makes_no_sense_is_refused_with_a_reason() {
    let hoist = flaked(&[]);
    let text = lock_text(&hoist);
    for (from, to, said) in [
        ("\"version\": 1", "\"version\": 2", "it has version 2, and this hoist reads versions up"),
        ("\"narSize\"", "\"narSise\"", "unknown key `narSise` in systems."),
        ("-adder-1.0\"", "-adder-1.1\"", "which follows from narHash"),
        ("{\n", "<<<<<<< HEAD\n{\n", "expected value at line 1 column 1"),
    ] {
        hoist.write("hoist.lock", text.replacen(from, to, 1));
        for command in ["ship", "flake"] {
            let run = hoist.run([command]).ended(2);
            assert!(run.stderr.contains(said), "{command}: {}", run.stderr);
            assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        }
    }
}

#[test]
fn files_that_git_does_not_track_are_named() {
    let Some(git) = tool("git", "git") else { return };
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let run_git = |words: &[&str]| {
        let mut command = git.command();
        command.args(words).current_dir(hoist.project()).env("HOME", hoist.dir().join("home"));
        assert!(command.output().unwrap().status.success(), "{words:?}");
    };
    run_git(&["init", "--quiet"]);
    hoist.write(".gitignore", "*.so\n");
    run_git(&["add", "."]);
    let run = hoist.run(["flake", "--vendor=dist", "--json"]).ended(0);
    assert!(run.stderr.contains("git does not track flake.nix"), "{}", run.stderr);
    assert!(run.stderr.contains("`git add --force flake.nix hoist.lock dist`"), "{}", run.stderr);
    let untracked = run.records()[0]["untracked"].as_array().unwrap().len();
    assert_eq!(untracked, 6, "{}", run.stdout);

    run_git(&["add", "."]);
    let run = hoist.run(["flake", "--json"]).ended(0);
    assert_eq!(run.records()[0]["untracked"].to_string(), r#"["dist/package/lib/libadder.so"]"#);
    run_git(&["add", "--force", "flake.nix", "hoist.lock", "dist"]);
    let run = hoist.run(["flake"]).ended(0);
    assert!(!run.stderr.contains("git does not track"), "{}", run.stderr);
}

#[test]
fn a_hoist_that_needs_libraries_is_refused() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let run = hoist.run(["flake", "--hoist", env!("CARGO_BIN_EXE_hoist")]).ended(1);
    assert!(run.stderr.contains("is no static hoist: it asks for a loader"), "{}", run.stderr);
    assert!(run.stderr.contains("target-feature=+crt-static"), "{}", run.stderr);
    let library = "/proc/self/maps"; // no ELF
    let _ = hoist.run(["flake", "--hoist", library]).ended(1);
    assert!(!hoist.project().join("hoist.lock").exists());
}

#[test]
fn caches_with_secrets_or_queries_are_refused() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    for url in ["https://user:word@example.org", "/srv/cache", "file:///srv?compression=none"] {
        let run = hoist.run(["flake", "--cache", url]).ended(2);
        assert!(run.stderr.contains("wanted "), "{}", run.stderr);
    }
}

#[test]
fn a_report_holds_all_that_was_looked_at_and_found() {
    let hoist = adder();
    let records = ship(&hoist);
    let path = stage(&records, "ship")["store_path"].as_str().unwrap().to_owned();
    let _ = hoist.run(["check", &path, "--report", "report.json"]).ended(0);
    let read = || -> Value {
        let text = fs::read_to_string(hoist.project().join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(read()["libraries"][0]["path"], "lib/libadder.so");
    assert_eq!(read()["worst"], "info", "it has no debug information");
    let wanted = ["check", &path, "--export", "absent", "--report", "report.json"];
    let _ = hoist.run(wanted).ended(1);
    assert_eq!(
        (read()["worst"].as_str(), &read()["findings"][0]["rule"]),
        (Some("error"), &"export.missing".into())
    );
}

#[test]
fn the_schema_of_the_lock_is_printed() {
    let schema: Value = serde_json::from_str(&adder().stdout(["schema", "lock"])).unwrap();
    assert!(schema["properties"]["systems"].is_object(), "{schema}");
}
