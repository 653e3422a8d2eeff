//! Zig: the compiler of its wheel.

use std::fs;
use std::os::unix::fs::symlink;

use hoist_testkit::{Hoist, tool};

use crate::{call, disassembled, failure, project, round, ship};

const SOURCE: &str = "src/sums.zig";

/// A project, where there is a Zig.
fn zig_project() -> Option<Hoist> {
    tool("python-zig", "none: `pip install ziglang`")?;
    Some(project("zig", "\"src/*.zig\""))
}

fn source(step: u32) -> String {
    format!(
        "export fn sums_below(end: i32) i64 {{
    var sum: i64 = 0;
    var number: i64 = 0;
    while (number < end) : (number += 1) sum += number * {step};
    return sum;
}}
"
    )
}

#[test]
fn a_library_ships_and_is_built_again_only_when_it_changed() {
    if let Some(hoist) = zig_project() {
        round(&hoist, "zig 0.", &[], SOURCE, source);
    }
}

#[test]
fn the_compiler_of_the_projects_virtual_environment_is_found_without_a_word() {
    let Some(hoist) = zig_project() else { return };
    hoist.write(SOURCE, source(1));
    let script = tool("python-zig", "none").unwrap().path().canonicalize().unwrap();
    let mut ship = hoist.command(["ship"]);
    ship.env("PATH", "/usr/bin:/bin");
    let refused = hoist_testkit::Run::of(&mut ship).ended(3);
    assert!(refused.stderr.contains("no `zig` on PATH or in the project's .venv"));
    symlink(script.ancestors().nth(2).unwrap(), hoist.project().join(".venv")).unwrap();
    assert_eq!(hoist_testkit::Run::of(&mut ship).code, 0);
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn a_library_wants_no_newer_glibc_and_cpu_than_the_manifest_says() {
    let Some(hoist) = zig_project() else { return };
    hoist.write(
        SOURCE,
        "const std = @import(\"std\");
export fn sums_below(end: i32) i64 {
    const numbers = std.heap.c_allocator.alloc(i64, @intCast(end)) catch return -1;
    defer std.heap.c_allocator.free(numbers);
    for (numbers, 0..) |*number, at| number.* = @intCast(at);
    var sums: @Vector(8, i64) = @splat(@intCast(std.c.getpid()));
    for (numbers) |number| sums = sums *% sums +% @as(@Vector(8, i64), @splat(number));
    var sum: i64 = if (@reduce(.Xor, sums) == 1) 1 else 0;
    for (numbers) |number| sum += number;
    return sum;
}
",
    );
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    let code = |check: &str| {
        hoist.write("hoist.toml", format!("{manifest}\n[check]\nglibc = \"2.17\"\n{check}"));
        let shipped = ship(&hoist, &[]);
        assert_eq!(shipped.findings, [""; 0]);
        assert!(call(&hoist, 10).starts_with('4'), "45, or 46");
        disassembled(&hoist, &shipped.path)
    };
    let Some(baseline) = code("") else { return };
    assert!(baseline.contains("%xmm") && !baseline.contains("%ymm"), "{baseline}");
    let Some(wide) = code("isa = \"x86-64-v3\"\n") else { return };
    assert!(wide.contains("%ymm") && !wide.contains("%zmm"), "{wide}");
}

#[test]
fn a_file_that_is_not_declared_is_named() {
    let Some(hoist) = zig_project() else { return };
    hoist.write(SOURCE, format!("comptime {{ _ = @import(\"lib/steps.zig\"); }}\n{}", source(1)));
    hoist.write("src/lib/steps.zig", "");
    let said = failure(&hoist);
    assert!(said.contains("src/lib/steps.zig"), "{said}");
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", manifest.replace("src/*.zig", "src/**/*.zig"));
    ship(&hoist, &[]);
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn init_knows_a_zig_project() {
    let Some(hoist) = zig_project() else { return };
    fs::remove_file(hoist.project().join("hoist.toml")).unwrap();
    hoist.write(SOURCE, source(1));
    hoist.write("build.zig", "");
    hoist.stdout(["init"]);
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    assert!(manifest.contains("toolchain = \"zig\""), "{manifest}");
    assert!(manifest.contains("sources = [\"src/**/*.zig\", \"include/*.h\"]"), "{manifest}");
    assert_eq!(ship(&hoist, &[]).findings, [""; 0]);
}
