//! C and C++ by another driver than the system's `cc` and `c++`.

use std::fs;

use hoist_testkit::{Hoist, tool};

use crate::{call, failure, project, round, ship};

fn clang_project(toolchain: &str, compiler: &str) -> Option<Hoist> {
    tool(compiler, "clang")?;
    let hoist = project(toolchain, "\"src/*\"");
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    let build = format!("[build]\ncompiler = \"{compiler}\"");
    hoist.write("hoist.toml", manifest.replace("[build]", &build));
    Some(hoist)
}

fn source(step: u32) -> String {
    format!(
        "#include \"sums.h\"
int64_t sums_below(int32_t end) {{
    int64_t sum = 0;
    for (int32_t number = 0; number < end; number++) sum += number * INT64_C({step});
    return sum;
}}
"
    )
}

#[test]
fn c_ships_by_clang() {
    if let Some(hoist) = clang_project("cc", "clang") {
        round(&hoist, "clang version", &[], "src/sums.c", source);
    }
}

#[test]
fn cxx_ships_by_clang() {
    if let Some(hoist) = clang_project("c++", "clang++") {
        let source = |step| format!("extern \"C\" {{\n{}}}\n", source(step));
        round(&hoist, "clang version", &[], "src/sums.cpp", source);
    }
}

#[test]
fn another_compiler_is_another_action() {
    let Some(hoist) = clang_project("cc", "clang") else { return };
    hoist.write("src/sums.c", source(1));
    let by_clang = ship(&hoist, &[]);
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", manifest.replace("compiler = \"clang\"\n", ""));
    let by_cc = ship(&hoist, &[]);
    assert!(!by_cc.cached && by_cc.action_key != by_clang.action_key, "{by_cc:?}");
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn a_header_that_is_not_declared_is_named() {
    let Some(hoist) = clang_project("cc", "clang") else { return };
    hoist.write("src/sums.c", format!("#include \"deep/step.h\"\n{}", source(1)));
    hoist.write("src/deep/step.h", "");
    let said = failure(&hoist);
    assert!(said.contains("src/deep/step.h"), "{said}");
}
