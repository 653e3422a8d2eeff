//! No build may ship what other inputs made: from a warm compiler cache, by another compiler than
//! the one that was identified, or under the key of another action.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use hoist_testkit::{ADDER_MANIFEST, Hoist, Run, tool};
use serde_json::Value;

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

/// The record of the build stage of one `hoist ship --json`.
#[track_caller]
fn built(run: Run) -> Value {
    let records = run.ended(0).records();
    let stage = records.into_iter().find(|record| record.get("toolchain").is_some());
    stage.expect("a ship tells how it built")
}

#[track_caller]
fn ship(hoist: &Hoist) -> Value {
    built(hoist.run(["ship", "--json"]))
}

/// Writes an executable shell script below the test's folder.
fn script(hoist: &Hoist, path: &str, text: &str) -> PathBuf {
    let file = hoist.dir().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// The search path of the tests with a folder before it.
fn path_with(folder: &std::path::Path) -> String {
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
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

#[test]
fn a_compiler_given_by_absolute_path_is_part_of_the_key() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let compiler = script(&hoist, "opt/compile", "exec cc -DEDITION=1 \"$@\"");
    let command = format!(
        "toolchain = \"custom\"\ncommand = [\"{}\", \"-shared\", \"-fPIC\", \"-Iinclude\", \
         \"-Wl,-soname,libadder.so,-z,relro,-z,now\", \"-o\", \"{{out}}/lib/libadder.so\", \
         \"src/adder.c\"]",
        compiler.display()
    );
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("toolchain = \"cc\"", &command));
    let ship = || built(hoist.run(["ship", "--json", "--no-sandbox"]));
    let first = ship();
    assert_eq!(ship()["cached"], true);
    script(&hoist, "opt/compile", "exec cc -DEDITION=2 \"$@\"");
    let second = ship();
    assert_eq!(second["cached"], false);
    assert_ne!(first["action_key"], second["action_key"]);
}

#[test]
fn the_compiler_that_is_identified_is_the_one_that_runs() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let own = hoist.dir().join("home/x");
    fs::create_dir_all(&own).unwrap();
    // Its target is in the sandbox, but the folder that calls it `cc` is not on the build's PATH.
    std::os::unix::fs::symlink("/usr/bin/python3", own.join("cc")).unwrap();
    let first = ship(&hoist);
    let mut again = hoist.command(["ship", "--json"]);
    again.env("PATH", path_with(&own));
    let again = built(Run::of(&mut again));
    assert_eq!(again["toolchain"], first["toolchain"]);
    assert_eq!(again["action_key"], first["action_key"]);
    assert_eq!(again["cached"], true);
}

#[test]
fn a_compiler_in_the_home_does_not_show_the_home_to_the_build() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    fs::write(hoist.dir().join("home/secret"), "a key").unwrap();
    let secret = hoist.dir().join("home/secret");
    let cc = script(
        &hoist,
        "home/bin/cc",
        &format!("cat {} >&2\nexec /usr/bin/cc \"$@\"", secret.display()),
    );
    let mut ship = hoist.command(["ship", "--json"]);
    ship.env("PATH", path_with(cc.parent().unwrap()));
    let record = built(Run::of(&mut ship));
    let first = record["action_key"].clone();
    fs::write(&secret, "another key").unwrap();
    let mut ship = hoist.command(["ship", "--json"]);
    ship.env("PATH", path_with(cc.parent().unwrap()));
    assert_eq!(built(Run::of(&mut ship))["action_key"], first);
    let logs = walk(&hoist.dir().join("cache"));
    assert!(!logs.contains("a key"), "{logs}");
}

/// All that hoist kept of the builds' words.
fn walk(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            text.push_str(&walk(&entry.path()));
        } else if entry.path().extension().is_some_and(|ending| ending == "log") {
            text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    text
}

#[test]
fn a_compiler_in_a_system_folder_comes_before_the_distributions() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let version = "case \"$1\" in --version) echo own cc 1.0; exit;; esac";
    script(&hoist, "opt/bin/cc", &format!("{version}\nexec /usr/bin/cc \"$@\""));
    let system = format!("[build]\nsystem = [\"{}\"]", hoist.dir().join("opt").display());
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("[build]", &system));
    assert_eq!(ship(&hoist)["toolchain"], "own cc 1.0");
}

#[test]
fn the_own_command_of_a_preset_is_what_identifies_it() {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let compile = "[build]\ncommand = [\"g++\", \"-shared\", \"-fPIC\", \"-Iinclude\", \"-x\", \"c\", \
                   \"-Wl,-soname,libadder.so,-z,relro,-z,now\", \"-o\", \
                   \"{out}/lib/libadder.so\", \"src/adder.c\"]";
    let Some(gxx) = tool("g++", "g++") else { return };
    hoist.write("hoist.toml", ADDER_MANIFEST.replace("[build]", compile));
    let version = gxx.stdout(["--version"]);
    assert_eq!(ship(&hoist)["toolchain"], version.lines().next().unwrap());
}

#[test]
fn a_run_that_is_killed_while_it_fetches_leaves_nothing_for_good() {
    let Some(hoist) = rust_project() else { return };
    let dependency =
        "name = \"itoa\"\nversion = \"1.0.0\"\nsource = \"registry+https://example\"\n";
    hoist.write("Cargo.lock", format!("{CARGO_LOCK}\n[[package]]\n{dependency}"));
    // Called as `cargo vendor --locked --versioned-dirs FOLDER`, the second time by another run.
    let cargo = script(
        &hoist,
        "bin/cargo",
        "for folder; do :; done\nmkdir -p \"$folder\"\necho half > \"$folder/crate\"\n\
         [ -e \"$0.called\" ] && exit 1\ntouch \"$0.called\"\nkill -9 $PPID",
    );
    let ship = || {
        let mut ship = hoist.command(["ship"]);
        ship.env("PATH", path_with(cargo.parent().unwrap()));
        Run::of(&mut ship)
    };
    let entries = |name: &str| fs::read_dir(hoist.dir().join("cache").join(name)).unwrap().count();
    let _ = ship().ended(-1);
    assert_eq!(entries("work"), 1, "it was not killed while it fetched");
    let _ = ship().ended(4);
    assert_eq!((entries("vendor"), entries("work")), (0, 0));
}
