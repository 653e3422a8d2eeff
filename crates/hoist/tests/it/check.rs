//! What is promised and not kept never lands.

use std::fs;

use hoist_testkit::{Hoist, tool};

use crate::{adder, generations, hoist, nothing_landed, stage, stages};

/// Rewrites the source of `adder`.
fn edit(hoist: &Hoist, from: &str, to: &str) {
    let file = hoist.project().join("src/adder.c");
    let source = fs::read_to_string(&file).unwrap();
    assert!(source.contains(from), "{source}");
    fs::write(file, source.replace(from, to)).unwrap();
}

#[test]
fn a_missing_export_is_named_with_what_there_is_and_nothing_lands() {
    let hoist = adder();
    edit(&hoist, "adder_mirror", "adder_miror");
    let run = hoist.run(["ship"]).ended(1);
    let found = "  error[export.missing] lib/libadder.so: `adder_mirror` is promised by \
                 include/adder.h but not exported; the library exports `adder_miror`";
    assert!(run.stderr.contains(found), "{}", run.stderr);
    let end = "\nerror: adder does not keep what it promises; nothing was stored\n\
               hint: `hoist explain RULE` tells more about each finding\n";
    assert!(run.stderr.ends_with(end), "{}", run.stderr);
    nothing_landed(&hoist);

    let records = hoist.run(["ship", "--json"]).ended(1).records();
    assert_eq!(stages(&records), ["build", "check"]);
    assert_eq!(stage(&records, "check")["findings"][0]["rule"], "export.missing");
    assert_eq!(records.last().unwrap()["exit"], 1);
    nothing_landed(&hoist);
}

#[test]
fn a_refused_ship_leaves_the_generation_there_is() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let listed = hoist.stdout(["store", "ls"]);
    edit(
        &hoist,
        "int32_t adder_add(",
        "__attribute__((visibility(\"hidden\"))) int32_t adder_add(",
    );
    let run = hoist.run(["ship"]).ended(1);
    assert!(run.stderr.contains("`adder_add` is promised"), "{}", run.stderr);
    assert_eq!(hoist.stdout(["store", "ls"]), listed);
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn a_variable_is_no_function() {
    let hoist = adder();
    let source = fs::read_to_string(hoist.project().join("src/adder.c")).unwrap();
    let source = source.replace(
        "#include \"adder.h\"",
        "typedef int int32_t;\ntypedef struct \
        { double x; double y; } adder_point;",
    );
    let function = "int32_t adder_edition(void) { return 1; }";
    assert!(source.contains(function));
    hoist.write("src/adder.c", source.replace(function, "int32_t adder_edition = 1;"));
    let run = hoist.run(["ship"]).ended(1);
    assert!(run.stderr.contains("error[export."), "{}", run.stderr);
    assert!(run.stderr.contains("`adder_edition`"), "{}", run.stderr);
    nothing_landed(&hoist);
}

#[test]
fn a_library_that_needs_another_that_is_nowhere_is_refused() {
    let hoist = adder();
    edit(&hoist, "return a + b;", "extern int elsewhere(int); return elsewhere(a) + b;");
    let run = hoist.run(["ship"]).ended(1);
    assert!(run.stderr.contains("`elsewhere`"), "{}", run.stderr);
    nothing_landed(&hoist);
}

#[test]
fn a_library_out_of_its_size_is_refused() {
    let hoist = adder();
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", format!("{manifest}\n[check]\nsize = \"1MiB..2MiB\"\n"));
    let run = hoist.run(["ship"]).ended(1);
    assert!(run.stderr.contains("error[file.size] lib/libadder.so"), "{}", run.stderr);
    nothing_landed(&hoist);
}

#[test]
fn check_looks_at_files_folders_and_store_paths() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    let physical = format!("{}{store_path}", hoist.root().display());
    let library = format!("{physical}/lib/libadder.so");
    for path in [&store_path, &physical, &library] {
        let run = hoist.run(["check", path]).ended(0);
        assert!(run.stdout.contains("no findings"), "{}", run.stdout);
    }
    let run = hoist.run(["check", "--export", "adder_add", &library]).ended(0);
    assert!(run.stdout.contains("no findings"), "{}", run.stdout);
    let run = hoist.run(["check", "--export", "adder_sub", &library]).ended(1);
    assert!(run.stdout.contains("`adder_sub` is promised by --export"), "{}", run.stdout);
    let run = hoist.run(["check", "hoist.toml"]).ended(1);
    assert!(run.stdout.contains("error[file.not_elf]"), "{}", run.stdout);

    fs::write(hoist.project().join("cut.so"), &fs::read(&library).unwrap()[..5000]).unwrap();
    let run = hoist.run(["check", "cut.so"]).ended(1);
    assert!(run.stdout.contains("error[file."), "{}", run.stdout);
}

#[test]
fn a_folder_that_is_no_artifact_may_need_what_lies_beside_it() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let hoist = hoist();
    for folder in ["pack", "pack.libs"] {
        fs::create_dir(hoist.project().join(folder)).unwrap();
    }
    hoist.write("help.c", "int help(void) { return 1; }");
    hoist.write("use.c", "int help(void); int use(void) { return help(); }");
    let build = |arguments: &[&str]| {
        let mut gcc = gcc.command();
        gcc.args(["-shared", "-fPIC", "-Wl,-z,now"]).args(arguments);
        assert!(gcc.current_dir(hoist.project()).status().unwrap().success());
    };
    build(&["help.c", "-o", "pack.libs/libhelp.so", "-Wl,-soname,libhelp.so"]);
    let there = ["-Lpack.libs", "-lhelp", "-Wl,-rpath,$ORIGIN/../pack.libs"];
    build(&[&["use.c", "-o", "pack/libuse.so"][..], &there].concat());
    for named in [&["check", "pack"][..], &["check", "pack", "pack.libs"]] {
        let run = hoist.run(named).ended(0);
        assert!(run.stdout.contains("no findings"), "{}", run.stdout);
    }
    fs::remove_file(hoist.project().join("pack.libs/libhelp.so")).unwrap();
    let run = hoist.run(["check", "pack"]).ended(1);
    assert!(run.stdout.contains("`libhelp.so` is needed"), "{}", run.stdout);
}

#[test]
fn every_rule_that_is_listed_is_explained() {
    let hoist = adder();
    let listed = hoist.stdout(["explain"]);
    let rules: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(rules.len() > 10, "{listed}");
    for rule in rules {
        assert!(hoist.stdout(["explain", rule]).lines().count() > 3, "{rule}");
    }
    let run = hoist.run(["explain", "export.mising"]).ended(2);
    assert!(run.stderr.contains("did you mean `export.missing`?"), "{}", run.stderr);
}

#[test]
fn a_check_in_a_project_says_when_what_runs_is_not_what_the_project_is() {
    let hoist = adder();
    let run = hoist.run(["check"]).ended(1);
    assert!(run.stderr.contains("adder was not shipped yet"), "{}", run.stderr);

    let _ = hoist.run(["ship"]).ended(0);
    let _ = hoist.run(["flake"]).ended(0);
    let rules = |code| {
        let records = hoist.run(["check", "--json"]).ended(code).records();
        let rule = |record: &serde_json::Value| record["rule"].as_str().map(str::to_owned);
        records.iter().filter_map(rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(0), [""; 0]);

    edit(&hoist, "return a + b;", "return b + a + 0;");
    assert_eq!(rules(0), ["stale.source"]);
    edit(&hoist, "return b + a + 0;", "return a + b;");
    assert_eq!(rules(0), [""; 0], "changed back is no change");

    edit(&hoist, "return a + b;", "return a + b + (a == 77777);");
    let _ = hoist.run(["ship"]).ended(0);
    assert_eq!(rules(0), [""; 0]);
    let _ = hoist.run(["rollback", "adder"]).ended(0);
    assert_eq!(rules(0), ["stale.source", "stale.lock"]);
}
