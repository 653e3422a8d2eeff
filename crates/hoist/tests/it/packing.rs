//! `hoist pack` and `hoist store`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use hoist_testkit::{Hoist, Run, tool};

use crate::{adder, hoist, tidy};

/// Packs a small tree and returns its store path.
fn packed(hoist: &Hoist) -> String {
    hoist.write("tree/bin/tool", "#!/bin/sh\n");
    let tool = hoist.project().join("tree/bin/tool");
    fs::set_permissions(tool, PermissionsExt::from_mode(0o700)).unwrap();
    hoist.write("tree/empty", "");
    symlink("bin/tool", hoist.project().join("tree/link")).unwrap();
    hoist.stdout(["pack", "tree", "--name", "small-1"])
}

#[test]
fn a_tree_is_packed_listed_told_about_and_verified() {
    let hoist = hoist();
    let path = packed(&hoist);
    assert_eq!(hoist.stdout(["store", "ls"]), path);
    assert_eq!(hoist.stdout(["pack", "tree", "--name", "small-1"]), path);

    let info = hoist.stdout(["store", "info", &path]);
    assert!(info.starts_with(&format!("store path  {path}\n")), "{info}");
    let told = hoist.run(["store", "info", "--json", &path]).ended(0).records();
    assert_eq!(told[0]["store_path"], *path);
    assert!(told[0]["ca"].as_str().unwrap().starts_with("fixed:r:sha256:"), "{told:?}");
    assert_eq!(hoist.run(["store", "ls", "--json"]).ended(0).records(), told);
    let packed_again = hoist.run(["pack", "tree", "--name", "small-1", "--json"]).ended(0);
    assert_eq!(packed_again.records(), told);
    assert_eq!(hoist.stdout(["store", "verify"]), "1 store path, all as registered");
}

#[test]
fn a_dump_is_what_nix_dumps() {
    let Some(nix_store) = tool("nix-store", "nix-bin") else { return };
    let hoist = hoist();
    let path = packed(&hoist);
    let ours = hoist.command(["store", "dump", &path]).output().unwrap();
    let physical = format!("{}{path}", hoist.root().display());
    let theirs = nix_store.command().args(["--dump", &physical]).output().unwrap();
    assert!(ours.status.success() && theirs.status.success());
    assert!(ours.stdout == theirs.stdout, "{} and {}", ours.stdout.len(), theirs.stdout.len());
}

#[test]
fn what_is_not_there_is_said_not_to_be() {
    let hoist = hoist();
    let run = hoist.run(["store", "ls"]).ended(3);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: `~/root` holds no store
    hint: `hoist ship` makes one; or name another (`--store`)
    ");
    packed(&hoist);
    let unknown = "/nix/store/00000000000000000000000000000000-small-1";
    for verb in ["info", "dump"] {
        let run = hoist.run(["store", verb, unknown]).ended(1);
        assert!(run.stderr.contains(&format!("{unknown} is not in ")), "{}", run.stderr);
        let run = hoist.run(["store", verb, "small"]).ended(2);
        assert!(run.stderr.contains("`small` is not a store path"), "{}", run.stderr);
    }
    let run = hoist.run(["pack", "nowhere"]).ended(3);
    assert!(run.stderr.contains("cannot find nowhere"), "{}", run.stderr);
    let run = hoist.run(["pack", "tree", "--name", "a b"]).ended(2);
    assert!(run.stderr.contains("--name"), "{}", run.stderr);
}

#[test]
fn a_modified_store_is_noticed() {
    let hoist = hoist();
    let path = packed(&hoist);
    let file = hoist.dir().join(format!("root{path}/empty"));
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&file, "not empty").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o444)).unwrap();

    let run = hoist.run(["store", "verify"]).ended(1);
    assert!(run.stdout.contains("was modified"), "{}", run.stdout);
    assert!(run.stderr.starts_with("error: 1 problem in "), "{}", run.stderr);
    let _ = hoist.run(["store", "verify", "--no-contents"]).ended(0);

    hoist.write("../root/nix/store/stray", "");
    let records = hoist.run(["store", "verify", "--json"]).ended(1).records();
    let problems: Vec<_> = records.iter().filter_map(|record| record["problem"].as_str()).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[1], "`stray` is there, but not registered");
}

#[test]
fn a_store_may_lie_below_a_path_with_spaces() {
    let hoist = adder();
    let root = hoist.dir().join("a root with spaces, and 'quotes'");
    let cache = hoist.dir().join("a cache");
    let run = |words: &[&str]| {
        let mut command = hoist.command(words);
        command.env("HOIST_CACHE_DIR", &cache).arg("--store").arg(&root);
        Run::of(&mut command).ended(0).stdout
    };
    run(&["ship"]);
    run(&["ship"]);
    assert!(run(&["store", "verify"]).contains("all as registered"));
    assert!(run(&["generations"]).contains("current"));
    if let Some(python) = tool("python3", "python3") {
        let script = "import os, hoist_runtime; \
                      print(hoist_runtime.load('adder', root=os.environ['ROOT']).adder_add(1, 2))";
        let mut command = python.command();
        command.env("ROOT", &root).args(["-c", script]);
        command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../../python"));
        assert_eq!(Run::of(&mut command).ended(0).stdout, "3\n");
    }
}
