//! The header and the release library, as a C compiler, the linker and the loader see them.

use std::{path::Path, process::Command};

/// Runs a command, which must succeed.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
}

/// `cc` is what rustc links with, so it is there.
#[test]
fn a_strict_c99_program_compiles_links_and_gets_right_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Tests do not link a cdylib, so cargo has not built it; and what ships is the release build.
    run(Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["build", "--release", "--locked", "--offline", "--target-dir"])
        .arg(scratch));
    let library_dir = scratch.join("release");
    let program = scratch.join("smoke");
    run(Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(root.join("include"))
        .arg(root.join("tests/smoke.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&library_dir)
        .args(["-lmessage_router"]));
    // Elsewhere than at link time: only a library with a SONAME is found by name.
    let moved = scratch.join("moved");
    std::fs::create_dir_all(&moved).expect("a folder in cargo's scratch folder");
    let name = "libmessage_router.so";
    std::fs::copy(library_dir.join(name), moved.join(name)).expect("cargo just built it");
    run(Command::new(&program).env("LD_LIBRARY_PATH", &moved));
}
