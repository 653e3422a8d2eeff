//! `hoist check --fix` writes a copy, says what it did, and leaves everything else alone.

use std::fs;
use std::path::PathBuf;

use hoist_testkit::{Hoist, tool};

use crate::hoist;

/// A home with `libx.so`, whose RUNPATH leads to a build machine.
fn leaking() -> Option<(Hoist, PathBuf)> {
    let gcc = tool("gcc", "gcc")?;
    let hoist = hoist();
    let source = hoist.write("x.c", "int x(void) { return 1; }");
    let library = hoist.project().join("libx.so");
    let mut gcc = gcc.command();
    gcc.args(["-shared", "-fPIC", "-g", "-ffile-prefix-map=/=./", "-Wl,-rpath,/home/ci/lib", "-o"]);
    gcc.args([&library, &source]);
    assert!(gcc.status().unwrap().success());
    Some((hoist, library))
}

#[test]
fn the_repair_goes_to_a_copy() {
    let Some((hoist, library)) = leaking() else { return };
    let bytes = fs::read(&library).unwrap();
    let run = hoist.run(["check", "--fix", "libx.so"]).ended(0);
    assert_eq!(
        run.stdout,
        "  repaired[dyn.runpath_leak] libx.so: removed, since it needs nothing that is found by it \
         (in place)\n    /home/ci/lib → none\nlibx.fixed.so: 1 repair, nothing left\n"
    );
    assert_eq!(fs::read(&library).unwrap(), bytes);
    let _ = hoist.run(["check", "libx.so"]).ended(1);
    let run = hoist.run(["check", "libx.fixed.so"]).ended(0);
    assert!(run.stdout.contains("no findings"), "{}", run.stdout);

    let run = hoist.run(["check", "--fix", "libx.so"]).ended(0);
    assert!(run.stdout.contains("libx.fixed.so was there already"), "{}", run.stdout);
    let _ = hoist.run(["check", "--fix", "--output", "y.so", "libx.fixed.so"]).ended(0);
    assert_eq!(
        fs::read(hoist.project().join("y.so")).unwrap(),
        fs::read(hoist.project().join("libx.fixed.so")).unwrap(),
        "what is in order is copied as it is"
    );
}

#[test]
fn nothing_is_written_over() {
    let Some((hoist, library)) = leaking() else { return };
    hoist.write("libx.fixed.so", "mine");
    let run = hoist.run(["check", "--fix", "libx.so"]).ended(1);
    assert!(run.stderr.contains("is there already and differs"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: name another place with --output"), "{}", run.stderr);
    assert_eq!(fs::read(hoist.project().join("libx.fixed.so")).unwrap(), b"mine");
    let same = library.to_str().unwrap();
    let run = hoist.run(["check", "--fix", "--output", same, "libx.so"]).ended(2);
    assert!(run.stderr.contains("is the input itself"), "{}", run.stderr);
    let _ = hoist.run(["check", "--output", "y.so", "libx.so"]).ended(2);
    let _ = hoist.run(["check", "--fix", "libx.so", "libx.fixed.so"]).ended(2);
    let left = fs::read_dir(hoist.project()).unwrap().count();
    assert_eq!(left, 3, "nothing else was left behind");
}

#[test]
fn what_only_a_new_build_mends_is_left_with_the_reason() {
    let Some((hoist, _)) = leaking() else { return };
    let arguments = ["check", "--fix", "--export", "y", "--split-debug", "--json", "libx.so"];
    let records = hoist.run(arguments).ended(1).records();
    let of = |rule: &str| records.iter().find(|record| record["rule"] == rule).unwrap();
    assert_eq!(of("dyn.runpath_leak")["made"], true);
    assert_eq!(of("dyn.runpath_leak")["before"], "/home/ci/lib");
    let missing = of("export.missing");
    assert_eq!(missing["made"], false);
    let message = missing["message"].as_str().unwrap();
    assert!(message.starts_with("only a new build can: "), "{message}");
    let last = records.last().unwrap();
    assert_eq!(last["output"], "libx.fixed.so");
    assert_eq!(last["changed"].as_array().unwrap().len(), 2, "{last}");
    assert_eq!(last["left"][0]["rule"], "export.missing");
    assert!(hoist.project().join("libx.fixed.so.debug").is_file());
}

#[test]
fn a_link_in_the_way_of_a_bundled_library_is_refused() {
    let Some((hoist, library)) = leaking() else { return };
    let project = hoist.project();
    for folder in ["dist", "deps", "outside"] {
        fs::create_dir(project.join(folder)).unwrap();
    }
    fs::rename(library, project.join("deps/libx-q.so")).unwrap();
    let source = hoist.write("y.c", "int x(void); int y(void) { return x(); }");
    let mut gcc = tool("gcc", "gcc").unwrap().command();
    gcc.args(["-shared", "-fPIC", "-o"]).args([&project.join("dist/liby.so"), &source]);
    gcc.arg("-L").arg(project.join("deps")).arg("-l:libx-q.so");
    assert!(gcc.status().unwrap().success());
    std::os::unix::fs::symlink("../outside", project.join("dist/liby.libs")).unwrap();
    let run = hoist.run(["check", "--fix", "--bundle-from", "deps", "dist"]).ended(1);
    assert!(run.stderr.contains("below `liby.libs`, which is not a folder"), "{}", run.stderr);
    assert!(!project.join("dist-fixed").exists());
    assert_eq!(fs::read_dir(project.join("outside")).unwrap().count(), 0);
}

#[test]
fn what_is_asked_of_a_look_alone_is_refused() {
    let Some((hoist, _)) = leaking() else { return };
    for flags in [
        &["--report", "report.sarif"][..],
        &["--format", "json"],
        &["--against", "libx.so"],
        &["--probe"],
        &["--all"],
    ] {
        let run = hoist.run([&["check", "--fix", "libx.so"], flags].concat()).ended(2);
        let told = format!("cannot be used with '{}", flags[0]);
        assert!(run.stderr.contains(&told), "{}", run.stderr);
    }
    assert_eq!(fs::read_dir(hoist.project()).unwrap().count(), 2, "nothing was written");
}

#[test]
fn the_copy_goes_into_folders_that_are_made() {
    let Some((hoist, library)) = leaking() else { return };
    for output in ["new/", "other/deep/y.so"] {
        let _ = hoist.run(["check", "--fix", "--output", output, "libx.so"]).ended(0);
    }
    let bytes = |path: &str| fs::read(hoist.project().join(path)).unwrap();
    assert_eq!(bytes("new/libx.so"), bytes("other/deep/y.so"));
    let same = hoist.run(["check", "--fix", "--output", "./", "libx.so"]).ended(2);
    assert!(same.stderr.contains("is the input itself"), "{}", same.stderr);
    assert!(library.is_file());
}
