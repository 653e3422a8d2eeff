//! A cargo project with a dependency: fetched on the host, built offline.

use std::process::Command;

use hoist_testkit::{Hoist, Run, not_checked, tool};

const CARGO_TOML: &str = r#"
[package]
name = "digits"
version = "0.2.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
[dependencies]
itoa = "1"
"#;

const LIB_RS: &str = r#"
#[unsafe(no_mangle)]
pub extern "C" fn digits(number: u64) -> i32 {
    itoa::Buffer::new().format(number).len() as i32
}
"#;

/// A project that depends on a crate, with its lock file; `None` where no registry answers.
fn project_with_a_dependency() -> Option<Hoist> {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("Cargo.toml", CARGO_TOML);
    hoist.write("src/lib.rs", LIB_RS);
    hoist.write("digits.h", "#include <stdint.h>\nint32_t digits(uint64_t number);\n");
    let mut lock = Command::new(tool("cargo", "cargo")?.path());
    lock.arg("generate-lockfile").current_dir(hoist.project());
    let locked = Run::of(&mut lock);
    if locked.code != 0 {
        not_checked(&format!("no crate registry answers: {}", locked.stderr));
        return None;
    }
    Some(hoist)
}

#[test]
fn a_dependency_is_fetched_on_the_host_and_built_offline() {
    let Some(hoist) = project_with_a_dependency() else { return };
    hoist.stdout(["init"]);
    let said = hoist.stdout(["ship"]);
    assert!(said.contains("hermetic: declared inputs only, no network"), "{said}");
    let call = "import hoist_runtime; print(hoist_runtime.load('digits').digits(12345))";
    assert_eq!(hoist.stdout(["run", "--", "python3", "-c", call]), "5");
}

#[test]
fn what_was_fetched_once_is_built_again_without_a_registry() {
    let Some(hoist) = project_with_a_dependency() else { return };
    hoist.stdout(["init"]);
    hoist.stdout(["ship"]);
    hoist.write("src/lib.rs", LIB_RS.replace("len() as i32", "len() as i32 + 1"));
    let mut ship = hoist.command(["ship"]);
    ship.env("CARGO_HOME", hoist.dir().join("empty")).env("CARGO_NET_OFFLINE", "true");
    let run = Run::of(&mut ship);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_lock_file_that_cannot_be_served_ends_with_the_exit_code_of_a_cache() {
    let Some(hoist) = project_with_a_dependency() else { return };
    hoist.stdout(["init"]);
    let mut ship = hoist.command(["ship"]);
    ship.env("CARGO_HOME", hoist.dir().join("empty")).env("CARGO_NET_OFFLINE", "true");
    let run = Run::of(&mut ship);
    assert_eq!(run.code, 4, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("the dependencies that the lock file pins cannot be had"));
    assert!(run.stderr.contains("hint: connect this machine once"));
}
