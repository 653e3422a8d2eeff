//! No build may ship what other inputs made: from a warm compiler cache, by another compiler than
//! the one that was identified, or under the key of another action.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use hoist_testkit::{Hoist, tool};

const CARGO_TOML: &str = r#"
[package]
name = "edition"
version = "0.1.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
"#;

const CARGO_LOCK: &str = r#"version = 4

[[package]]
name = "edition"
version = "0.1.0"
"#;

const MANIFEST: &str = r#"[package]
name = "edition"
version = "0.1.0"

[build]
toolchain = "cargo"
sources = ["Cargo.toml", "Cargo.lock", "src/*.rs"]

[[library]]
path = "lib/libedition.so"
header = "edition.h"
"#;

/// A Rust library whose `edition()` answers `1`; `None` where there is no Rust.
fn rust_project() -> Option<Hoist> {
    tool("cargo", "cargo")?;
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("Cargo.toml", CARGO_TOML);
    hoist.write("Cargo.lock", CARGO_LOCK);
    hoist.write("edition.h", "int edition(void);\n");
    hoist.write("hoist.toml", MANIFEST);
    hoist.write("src/lib.rs", lib_rs("1"));
    Some(hoist)
}

fn lib_rs(edition: &str) -> String {
    format!("#[unsafe(no_mangle)]\npub extern \"C\" fn edition() -> i32 {{\n    {edition}\n}}\n")
}

/// What the shipped library answers.
fn edition(hoist: &Hoist) -> String {
    let call = "import hoist_runtime; print(hoist_runtime.load('edition').edition())";
    hoist.stdout(["run", "--", "python3", "-c", call])
}

#[test]
fn an_older_file_put_in_a_source_s_place_is_compiled() {
    let Some(hoist) = rust_project() else { return };
    let older = hoist.write("older", lib_rs("2"));
    let long_ago = SystemTime::now() - Duration::from_hours(1000);
    File::options().write(true).open(&older).unwrap().set_modified(long_ago).unwrap();
    hoist.stdout(["ship"]);
    assert_eq!(edition(&hoist), "1");
    fs::rename(older, hoist.project().join("src/lib.rs")).unwrap();
    hoist.stdout(["ship"]);
    assert_eq!(edition(&hoist), "2");
}

#[test]
fn what_a_build_script_read_from_another_environment_is_not_used_again() {
    let Some(hoist) = rust_project() else { return };
    let build_rs = "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
                    println!(\"cargo:rustc-cfg=edition{}\", std::env::var(\"EDITION\").unwrap());\n}\n";
    hoist.write("build.rs", build_rs);
    hoist.write("src/lib.rs", lib_rs("if cfg!(edition2) { 2 } else { 1 }"));
    for wanted in ["1", "2"] {
        let env = format!("[build]\nenv = {{ EDITION = \"{wanted}\" }}");
        let manifest = MANIFEST.replace("[build]", &env);
        hoist.write("hoist.toml", manifest.replace("sources = [", "sources = [\"build.rs\", "));
        hoist.stdout(["ship"]);
        assert_eq!(edition(&hoist), wanted);
    }
}
