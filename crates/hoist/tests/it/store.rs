//! `hoist store` where no Nix is needed: restore, hash, export, import, and what they refuse.

use std::fs;
use std::process::Stdio;

use hoist_testkit::{Hoist, Run};

use crate::{hoist, tidy};

/// Packs a small tree and returns its store path.
fn packed(hoist: &Hoist) -> String {
    hoist.write("tree/lib/a", "alpha");
    hoist.stdout(["pack", "tree", "--name", "small-1"])
}

/// What a command writes to standard output, in a file.
fn to_file(hoist: &Hoist, args: &[&str], file: &str) {
    let output = hoist.command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    hoist.write(file, output.stdout);
}

#[test]
fn what_is_dumped_is_restored() {
    let hoist = hoist();
    let path = packed(&hoist);
    to_file(&hoist, &["store", "dump", &path], "x.nar");
    let restored = hoist.run(["store", "restore", "again", "--from", "x.nar", "--json"]).ended(0);
    assert_eq!(restored.records()[0]["path"], "again");
    assert_eq!(fs::read_to_string(hoist.project().join("again/lib/a")).unwrap(), "alpha");
    let nar = fs::File::open(hoist.project().join("x.nar")).unwrap();
    let mut command = hoist.command(["store", "restore", "piped"]);
    let _ = Run::of(command.stdin(Stdio::from(nar))).ended(0);
    let hashes = hoist.stdout(["store", "hash", "tree", "again", "piped"]);
    let mut hashes = hashes.lines().map(|line| line.split_once("  ").unwrap().0);
    let first = hashes.next().unwrap();
    assert!(first.starts_with("sha256-"), "{first}");
    assert!(hashes.all(|hash| hash == first));
    let told = hoist.run(["store", "info", "--json", &path]).ended(0).records();
    assert_eq!(told[0]["nar_hash"], first);
}

#[test]
fn nothing_is_restored_from_what_is_no_archive() {
    let hoist = hoist();
    let path = packed(&hoist);
    to_file(&hoist, &["store", "dump", &path], "x.nar");
    let mut longer = fs::read(hoist.project().join("x.nar")).unwrap();
    longer.push(0);
    hoist.write("longer.nar", longer);
    let run = hoist.run(["store", "restore", "out", "--from", "longer.nar"]).ended(1);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: longer.nar is not a NAR: bytes follow the end of the archive at byte 456
    hint: nothing was written to out
    ");
    assert!(!hoist.project().join("out").exists());
    let run = hoist.run(["store", "restore", "tree", "--from", "x.nar"]).ended(2);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: tree is there already
    hint: name a place where nothing is; nothing was changed
    ");
    assert_eq!(fs::read_to_string(hoist.project().join("tree/lib/a")).unwrap(), "alpha");
}

#[test]
fn what_is_exported_is_imported_elsewhere() {
    let hoist = hoist();
    let path = packed(&hoist);
    to_file(&hoist, &["store", "export", &path], "x.export");
    let elsewhere = |verb: &[&str]| {
        let args = ["--store", "elsewhere", "store"].into_iter().chain(verb.iter().copied());
        hoist.run(args.collect::<Vec<_>>())
    };
    let imported = elsewhere(&["import", "--from", "x.export"]).ended(0).stdout;
    assert_eq!(imported.trim_end(), path);
    let told = elsewhere(&["info", "--json", &path]).ended(0).records();
    assert!(told[0]["ca"].as_str().unwrap().starts_with("fixed:r:sha256:"), "{told:?}");
    assert_eq!(elsewhere(&["verify"]).ended(0).stdout, "1 store path, all as registered\n");

    let mut cut = fs::read(hoist.project().join("x.export")).unwrap();
    cut.truncate(cut.len() - 8);
    hoist.write("cut.export", cut);
    let run = hoist.run(["--store", "third", "store", "import", "--from", "cut.export"]).ended(1);
    assert!(run.stderr.contains("the export ends at byte"), "{}", run.stderr);
    assert_eq!(hoist.stdout(["--store", "third", "store", "ls"]), "");
}

#[test]
fn a_dump_that_nobody_can_take_fails() {
    let hoist = hoist();
    let path = packed(&hoist);
    for verb in ["dump", "export"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = hoist.command(["store", verb, &path]);
        let run = Run::of(command.stdout(Stdio::from(full))).ended(3);
        assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    }
}

#[test]
fn what_was_modified_is_not_dumped_without_a_word() {
    let hoist = hoist();
    let path = packed(&hoist);
    let file = hoist.dir().join(format!("root{path}/lib/a"));
    fs::remove_file(&file).or_else(|_| open_up(&file)).unwrap();
    fs::write(&file, "other").unwrap();
    let run = hoist.run(["store", "dump", &path]).ended(1);
    assert!(run.stderr.contains("error: "), "{}", run.stderr);
    assert!(run.stderr.contains("hoist store verify"), "{}", run.stderr);
}

/// Removes a file from a read-only folder, as its owner can.
fn open_up(file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o755))?;
    fs::remove_file(file)
}

#[test]
fn a_repair_asks_every_cache_and_believes_none() {
    let hoist = hoist();
    let path = packed(&hoist);
    let file = hoist.dir().join(format!("root{path}/lib/a"));
    fs::remove_file(&file).or_else(|_| open_up(&file)).unwrap();
    fs::create_dir(hoist.project().join("empty-cache")).unwrap();
    let run = hoist.run(["store", "verify", "--repair", "--from", "empty-cache"]).ended(1);
    assert!(run.stderr.contains("warning: empty-cache does not have "), "{}", run.stderr);
    assert!(run.stderr.contains("hint: ship the affected packages again"), "{}", run.stderr);
    let run = hoist.run(["store", "verify", "--repair", "--from", "nowhere"]).ended(4);
    assert!(run.stderr.contains("`nowhere` is not a binary cache"), "{}", run.stderr);
    let _ = hoist.run(["store", "verify", "--repair"]).ended(2);
    let bad_key = ["store", "verify", "--repair", "--from", "x", "--trusted-key", "k:AAAA"];
    let _ = hoist.run(bad_key).ended(2);
}

#[test]
fn a_daemon_that_does_not_listen_is_named() {
    let hoist = hoist();
    let run = hoist.run(["--store", "unix:///nowhere/socket", "store", "ls"]).ended(3);
    assert!(run.stderr.contains("no Nix daemon listens at `/nowhere/socket`"), "{}", run.stderr);
    let run = hoist.run(["--store", "unix://nowhere", "store", "ls"]).ended(2);
    assert!(run.stderr.contains("absolute path"), "{}", run.stderr);
    let run = hoist.run(["--store", "daemon", "ship"]).ended(2);
    insta::assert_snapshot!(run.stderr, @r"
    error: a Nix daemon's store serves `hoist pack` and `hoist store` only
    hint: name the folder of a store, or leave --store out
    ");
    let run = hoist.run(["--store", "unix:///nowhere/socket", "store", "verify"]).ended(2);
    assert!(run.stderr.contains("serves `hoist pack`"), "{}", run.stderr);
}

/// Source: the fixtures of `hoist-nix`, which real Nix exported.
#[test]
fn a_path_that_content_does_not_name_needs_trust() {
    let hoist = hoist();
    let export = include_bytes!("../../../hoist-nix/tests/fixtures/export/closure-full.export");
    hoist.write("x.export", export);
    let run = hoist.run(["store", "import", "--from", "x.export"]).ended(1);
    assert!(run.stderr.contains("is neither named by its content nor signed"), "{}", run.stderr);
    assert!(run.stderr.contains("--trust-sender"), "{}", run.stderr);
    assert_eq!(hoist.stdout(["store", "ls"]), "");
    let trusting = ["store", "import", "--from", "x.export", "--trust-sender"];
    let imported = hoist.stdout(trusting);
    assert!(imported.lines().count() > 1, "{imported}");
    let last = imported.lines().last().unwrap();
    let info = hoist.stdout(["store", "info", last]);
    assert!(info.contains("content     not addressed by it"), "{info}");
    assert!(info.contains("refers to   /nix/store/"), "{info}");
}
