//! `hoist check NEW --against OLD`: whether callers of one build can use another.

use std::fs;

use hoist_testkit::Hoist;

use crate::adder;

/// Replaces text in the header and the source of `adder`, where it is in one.
fn edit(hoist: &Hoist, from: &str, to: &str) {
    let mut found = false;
    for file in ["include/adder.h", "src/adder.c"] {
        let path = hoist.project().join(file);
        let text = fs::read_to_string(&path).unwrap();
        found |= text.contains(from);
        fs::write(path, text.replace(from, to)).unwrap();
    }
    assert!(found, "{from}");
}

#[test]
fn a_build_is_compatible_with_the_generation_it_could_replace() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    hoist.adder_edition(2);
    let new = hoist.stdout(["build", "--quiet"]);
    for old in ["adder", "adder@1", "@1"] {
        let run = hoist.run(["check", &new, "--against", old]).ended(0);
        let wanted = "lib/libadder.so: compatible with generation 1 of adder";
        assert!(run.stdout.contains(wanted), "{}", run.stdout);
    }
}

#[test]
fn the_headers_of_two_stripped_builds_are_compared() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    edit(
        &hoist,
        "int32_t adder_add(int32_t a, int32_t b)",
        "int32_t adder_add(int32_t a, int64_t b)",
    );
    edit(&hoist, "double x;\n", "double x;\n    double z;\n");
    let new = hoist.stdout(["build", "--quiet"]);
    let run = hoist.run(["check", &new, "--against", "adder"]).ended(1);
    let wanted = "error[abi.signature_changed]  `adder_add` was `int32_t \
                  adder_add(int32_t, int32_t)` and is `int32_t adder_add(int32_t, int64_t)`: \
                  parameter 2 (`b`): 32-bit signed integer → 64-bit signed integer";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    let wanted = "`adder_mirror` uses `struct adder_point`, which is laid out otherwise: size: 16 \
                  → 24 bytes";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    assert!(!run.stdout.contains("compatible"), "{}", run.stdout);
}

#[test]
fn a_function_that_is_gone_is_named_with_its_new_name() {
    let hoist = adder();
    let old = hoist.stdout(["build", "--quiet"]);
    edit(&hoist, "adder_mirror", "adder_mirrored");
    let new = hoist.stdout(["build", "--quiet"]);
    let run = hoist.run(["check", &new, "--against", &old, "--json"]).ended(1);
    let records = run.records();
    let removed = records.iter().find(|record| record["rule"] == "abi.removed").unwrap();
    assert_eq!(removed["symbol"], "adder_mirror");
    assert_eq!(
        removed["message"],
        "`adder_mirror` is no longer exported; renamed to `adder_mirrored`?"
    );
    // A library alone is found in the old folder by its name.
    let library = format!("{}{new}/lib/libadder.so", hoist.root().display());
    let run = hoist.run(["check", &library, "--against", &old]).ended(1);
    assert!(run.stdout.contains("error[abi.removed]"), "{}", run.stdout);
}

#[test]
fn a_library_that_is_gone_is_missed() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    let library = format!("{}{store_path}/lib/libadder.so", hoist.root().display());
    for folder in ["old", "new"] {
        fs::create_dir(hoist.project().join(folder)).unwrap();
        fs::copy(&library, hoist.project().join(folder).join("liba.so")).unwrap();
    }
    fs::copy(&library, hoist.project().join("old/libb.so")).unwrap();
    let run = hoist.run(["check", "new", "--against", "old"]).ended(1);
    let wanted = "libb.so\n  error[file.missing]  the file is not there, as it was in old";
    assert!(run.stdout.contains(wanted), "{}", run.stdout);
    assert!(run.stdout.contains("liba.so: compatible with old"), "{}", run.stdout);
}

#[test]
fn what_is_not_there_is_a_usage_error() {
    let hoist = adder();
    let new = hoist.stdout(["build", "--quiet"]);
    for old in ["adder@9", "elsewhere.so", "./none/libx.so", "adder@last"] {
        let run = hoist.run(["check", &new, "--against", old]).ended(2);
        assert!(run.stderr.contains(&format!("`{old}` is no file")), "{}", run.stderr);
        assert!(run.stderr.contains("hint: a generation is written NAME or NAME@N"));
    }
    let file = format!("{}{new}/lib/libadder.so", hoist.root().display());
    let run = hoist.run(["check", &new, "--against", &file]).ended(2);
    assert!(run.stderr.contains("is a folder, and"), "{}", run.stderr);
    fs::write(hoist.project().join("page.html"), "<html>").unwrap();
    let run = hoist.run(["check", &file, "--against", "page.html"]).ended(1);
    assert!(run.stderr.contains("error: the old build cannot be read"), "{}", run.stderr);
}

#[test]
fn one_library_on_each_side_is_compared_whatever_its_name() {
    let hoist = adder();
    let _ = hoist.run(["ship"]).ended(0);
    let store_path = hoist.stdout(["build", "--quiet"]);
    let library = format!("{}{store_path}/lib/libadder.so", hoist.root().display());
    fs::copy(library, hoist.project().join("new.so")).unwrap();
    let run = hoist.run(["check", "new.so", "--against", "adder"]).ended(0);
    assert!(run.stdout.contains("compatible with generation 1 of adder"), "{}", run.stdout);
}
