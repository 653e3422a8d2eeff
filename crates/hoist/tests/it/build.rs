//! Builds that cannot be asked for, that fail, and that succeed in other ways than the usual.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use hoist_testkit::{ADDER_MANIFEST, Run};

use crate::{adder, nothing_landed, stage, stages, tidy};

#[test]
fn a_missing_source_is_named_with_the_nearest_file() {
    let hoist = adder();
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("src/*.c", "src/ader.c"));
    let run = hoist.run(["ship"]).ended(2);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: the source `src/ader.c` matches no file below ~/project
    hint: there is `src/adder.c`; correct [build] sources in hoist.toml
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_missing_header_is_named() {
    let hoist = adder();
    fs::remove_file(hoist.project().join("include/adder.h")).unwrap();
    let run = hoist.run(["ship"]).ended(2);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: the header ~/project/include/adder.h cannot be read
      caused by: No such file or directory (os error 2)
    hint: correct `header` in [[library]] of hoist.toml
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_missing_compiler_is_named_with_how_to_install_it() {
    let hoist = adder();
    let command = "[build]\ncommand = [\"clang-99\", \"src/adder.c\"]";
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("[build]", command));
    let run = hoist.run(["ship"]).ended(3);
    insta::assert_snapshot!(run.stderr, @r"
    error: no `clang-99` on the build's PATH, /usr/bin:/bin, which toolchain `cc` needs
    hint: install `clang-99`, or correct [build] command in hoist.toml
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_compiler_that_only_the_user_sees_is_named_with_where_it_is() {
    let hoist = adder();
    let compiler = hoist.write("bin/clang-99", "#!/bin/sh\n");
    fs::set_permissions(&compiler, PermissionsExt::from_mode(0o755)).unwrap();
    let command = "[build]\ncommand = [\"clang-99\", \"src/adder.c\"]";
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("[build]", command));
    let run = Run::of(hoist.command(["ship"]).env("PATH", hoist.project().join("bin"))).ended(3);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: no `clang-99` on the build's PATH, /usr/bin:/bin, which toolchain `cc` needs
    hint: builds do not see ~/project/bin/clang-99; name the folder above its `bin` with `system` in [build], if that holds nothing but the compiler
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_build_that_fails_shows_the_end_of_its_log_and_where_the_rest_is() {
    let hoist = adder();
    let mistakes: Vec<_> = (1..=40).map(|number| format!("#error mistake {number}")).collect();
    hoist.write("src/wrong.c", mistakes.join("\n"));
    let run = hoist.run(["ship"]).ended(1);
    let said = tidy(&hoist, &run.stderr);
    assert!(said.starts_with("error: the build of adder ended with exit code 1\n"), "{said}");
    assert!(said.contains("  | src/wrong.c:40:2: error: #error mistake 40"), "{said}");
    assert!(!said.contains("src/wrong.c:1:"), "the whole log is shown: {said}");
    assert!(said.contains("\n  the whole log: ~/cache/logs/adder.log\nhint: "), "{said}");
    let log = fs::read_to_string(hoist.dir().join("cache/logs/adder.log")).unwrap();
    assert!(log.contains("src/wrong.c:1:") && log.contains("src/wrong.c:40:"));
    nothing_landed(&hoist);
}

#[test]
fn a_file_that_was_not_declared_is_named_with_the_line_to_add() {
    let hoist = adder();
    hoist.write("src/table.inc", "1, 2, 3");
    hoist.write("src/table.c", "int table[] = {\n#include \"table.inc\"\n};\n");
    let run = hoist.run(["ship"]).ended(1);
    assert!(
        run.stderr.ends_with(
            "hint: one file it names is in the project but not among its declared inputs: \
             add \"src/table.inc\" to [build] sources\n"
        ),
        "{}",
        run.stderr
    );
    nothing_landed(&hoist);
}

#[test]
fn a_build_that_does_not_end_is_stopped_at_its_timeout() {
    let hoist = adder();
    let sleeping = "toolchain = \"custom\"\ntimeout = \"1s\"\ncommand = [\"sh\", \"-c\", \
                    \"echo begun; sleep 60 & sleep 60\"]";
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("toolchain = \"cc\"", sleeping));
    let start = Instant::now();
    let run = hoist.run(["ship"]).ended(1);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: the build of adder was stopped after its timeout of 1 s
      | begun
      the whole log: ~/cache/logs/adder.log
    hint: raise `timeout` in [build] if it needs longer
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_build_that_leaves_no_library_is_told_what_it_left() {
    let hoist = adder();
    let elsewhere = "toolchain = \"custom\"\ncommand = [\"cc\", \"-shared\", \"-fPIC\", \
                     \"-Iinclude\", \"src/adder.c\", \"-o\", \"{out}/libother.so\"]";
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("toolchain = \"cc\"", elsewhere));
    let run = hoist.run(["ship"]).ended(1);
    insta::assert_snapshot!(run.stderr, @r"
    error: the build left no `lib/libadder.so`; it left `libother.so`
    hint: let the command write it below {out}, or name where it lies with `built` in [[library]]
    ");
    nothing_landed(&hoist);
}

#[test]
fn a_failed_build_is_kept_when_asked_and_else_removed() {
    let hoist = adder();
    hoist.write("src/wrong.c", "wrong");
    let _ = hoist.run(["build"]).ended(1);
    let work = hoist.dir().join("cache/work");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);

    let run = hoist.run(["build", "--keep-failed"]).ended(1);
    let kept = run.stderr.lines().find_map(|line| line.strip_prefix("  the work folder: "));
    let kept = work.join(kept.unwrap());
    assert!(kept.join("source/src/wrong.c").is_file());
    let _ = hoist.run(["build"]).ended(1);
    assert!(kept.is_dir(), "the next build removed it");
}

#[test]
fn build_stores_without_switching() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    assert!(store_path.starts_with("/nix/store/") && store_path.ends_with("-adder-1.0"));
    assert_eq!(hoist.stdout(["store", "ls"]), store_path);
    assert!(!hoist.root().join("nix/var/nix/profiles/adder").exists());

    let records = hoist.run(["build", "--json"]).ended(0).records();
    assert_eq!(stages(&records), ["build", "check", "pack", "store"]);
}

#[test]
fn a_cold_build_and_one_without_a_sandbox_give_the_same_path() {
    let hoist = adder();
    let sandboxed = hoist.stdout(["build", "--quiet"]);
    let cold = hoist.run(["build", "--cold", "--json"]).ended(0).records();
    assert_eq!(stage(&cold, "build")["cached"], false);
    assert_eq!(stage(&cold, "pack")["store_path"], *sandboxed);

    let on_host = hoist.run(["build", "--no-sandbox", "--json"]).ended(0).records();
    assert_eq!(stage(&on_host, "build")["cached"], false);
    assert_eq!(stage(&on_host, "build")["level"], "none");
    assert_eq!(stage(&on_host, "pack")["store_path"], *sandboxed);
    assert_eq!(stage(&on_host, "store")["already_there"], true);
}
