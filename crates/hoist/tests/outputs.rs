//! What is shipped is what this build made.

use hoist_testkit::{Hoist, tool};

const MANIFEST: &str = r#"
[package]
name = "adder"
version = "1.0"

[build]
toolchain = "custom"
sources = ["adder.c"]
command = COMMAND

[[library]]
path = "lib/libadder.so"
exports = ["add"]
built = "{cache}/libadder.so"
"#;

fn project(command: &str) -> Option<Hoist> {
    tool("cc", "gcc")?;
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.write("adder.c", "int add(int a, int b) { return a + b; }\n");
    hoist.write("hoist.toml", MANIFEST.replace("COMMAND", command));
    Some(hoist)
}

const COMPILE: &str = r#"["cc", "-shared", "-o", "{cache}/libadder.so", "adder.c"]"#;

#[test]
fn a_library_is_taken_from_the_compilers_cache() {
    let Some(hoist) = project(COMPILE) else { return };
    let said = hoist.stdout(["ship"]);
    assert!(said.contains("lib/libadder.so: 1 promised export"), "{said}");
}

#[test]
fn a_library_of_an_earlier_build_is_never_shipped_again() {
    let Some(hoist) = project(COMPILE) else { return };
    hoist.stdout(["ship"]);
    hoist.write(
        "hoist.toml",
        MANIFEST.replace("COMMAND", r#"["cc", "-c", "-o", "/dev/null", "adder.c"]"#),
    );
    let run = hoist.run(["ship"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("the build left no `libadder.so`"), "{}", run.stderr);
}

#[test]
fn a_built_path_that_leaves_the_build_is_refused() {
    for path in ["/etc/passwd", "../../escape.so", "{cache}/../x.so"] {
        let Some(hoist) = project(COMPILE) else { return };
        let manifest = MANIFEST.replace("COMMAND", COMPILE);
        hoist.write(
            "hoist.toml",
            manifest.replace("{cache}/libadder.so\"\n", &format!("{path}\"\n")),
        );
        let run = hoist.run(["ship"]);
        assert_eq!(run.code, 2, "{path}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("leaves the build"), "{path}: {}", run.stderr);
    }
}
