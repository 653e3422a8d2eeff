//! `hoist init`: what it writes ships.

use std::fs;

use hoist_testkit::{ADDER_MANIFEST, tool};

use crate::{adder, hoist, stage, tidy};

const HEADER: &str = "#include <stdint.h>\nint32_t twice(int32_t number);\n";

#[test]
fn a_c_project_ships_with_what_init_wrote() {
    let hoist = adder();
    fs::remove_file(hoist.project().join("hoist.toml")).unwrap();
    let printed = hoist.stdout(["init", "--print"]);
    assert!(!hoist.project().join("hoist.toml").exists());
    let run = hoist.run(["init"]).ended(0);
    assert_eq!(tidy(&hoist, &run.stdout), "wrote ~/project/hoist.toml\n");
    let written = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    assert_eq!(written.trim_end(), printed);
    insta::assert_snapshot!(written, @r#"
    [package]
    name = "project"
    version = "0.1.0"

    [build]
    toolchain = "cc"
    sources = ["src/*.c", "include/*.h"]   # only these files exist in the sandbox

    [[library]]
    path = "lib/libproject.so"
    header = "include/adder.h"   # its prototypes are the promised exports and signatures

    # [check]
    # glibc = "2.31"          # oldest glibc that must load it
    # size = "1KiB..10MiB"

    # [bench]                 # a gate: prints a JSON object such as {"speedup": 31.4} last
    # command = ["python3", "bench.py"]
    # min = { speedup = 2.0 }
    "#);
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "ship")["package"], "project");
}

#[test]
fn a_cargo_project_ships_with_what_init_wrote() {
    let Some(cargo) = tool("cargo", "cargo") else { return };
    let hoist = hoist();
    hoist.write(
        "Cargo.toml",
        "[package]\nname = \"twice-it\"\nversion = \"0.2.0\"\nedition = \"2021\"\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n",
    );
    hoist.write(
        "src/lib.rs",
        "#[no_mangle]\npub extern \"C\" fn twice(number: i32) -> i32 {\n    number * 2\n}\n",
    );
    hoist.write("include/twice_it.h", HEADER);

    // The build is offline and exact, so it wants a lock file; init says so.
    let run = hoist.run(["init"]).ended(0);
    assert!(run.stderr.contains("cargo generate-lockfile"), "{}", run.stderr);
    let manifest = hoist.project().join("Cargo.toml");
    cargo.stdout(["generate-lockfile", "--offline", "--manifest-path", manifest.to_str().unwrap()]);

    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "ship")["package"], "twice-it");
    assert_eq!(stage(&records, "ship")["version"], "0.2.0");
    if tool("python3", "python3").is_some() {
        let script = "import hoist_runtime; print(hoist_runtime.load('twice-it').twice(21))";
        assert_eq!(hoist.stdout(["run", "--", "python3", "-c", script]), "42");
    }
}

#[test]
fn init_overwrites_nothing() {
    let hoist = adder();
    let run = hoist.run(["init"]).ended(1);
    insta::assert_snapshot!(tidy(&hoist, &run.stderr), @r"
    error: ~/project/hoist.toml is there already
    hint: move it away first, or look at a fresh one with --print
    ");
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    assert_eq!(manifest, ADDER_MANIFEST);
}

#[test]
fn init_says_what_it_cannot_know() {
    let hoist = hoist();
    let run = hoist.run(["init"]).ended(1);
    assert!(run.stderr.contains("no project that hoist knows"), "{}", run.stderr);

    hoist.write("Cargo.toml", "[package]\nname = \"x\"\nversion = \"1.0.0\"\n");
    let run = hoist.run(["init"]).ended(1);
    assert!(run.stderr.contains("crate-type = [\"cdylib\"]"), "{}", run.stderr);

    fs::remove_file(hoist.project().join("Cargo.toml")).unwrap();
    hoist.write("twice.c", "int twice(int number) { return 2 * number; }\n");
    let run = hoist.run(["init"]).ended(0);
    assert!(run.stderr.contains("no C header was found"), "{}", run.stderr);
    // What was left open is asked for, and not guessed.
    let run = hoist.run(["ship"]).ended(2);
    assert!(run.stderr.contains("exports"), "{}", run.stderr);
}
