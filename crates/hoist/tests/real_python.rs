//! A shipped library, called from Python through the profile.

use hoist_testkit::{Hoist, Run, Tool, tool};

fn shipped() -> Hoist {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let _ = hoist.run(["ship"]).ended(0);
    hoist
}

/// Runs a script with the runtime of this checkout, as an application that has it installed.
fn python(python: &Tool, hoist: &Hoist, script: &str) -> Run {
    let mut command = python.command();
    command.args(["-c", script]).env("HOIST_ROOT", hoist.root());
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../../python"));
    Run::of(command.env("PYTHONDONTWRITEBYTECODE", "1"))
}

const CALLS: &str = "
import ctypes, hoist_runtime
adder = hoist_runtime.load('adder')
print(adder.generation, adder.adder_add(2, 3), adder.adder_edition())
Point = adder.structs['adder_point']
mirrored = adder.adder_mirror(Point(1.5, -2.0))
print(mirrored.x, mirrored.y)
adder.adder_scale(ctypes.byref(mirrored), 3.0)
print(mirrored.x, mirrored.y)
";

#[test]
fn functions_and_structs_are_typed_as_the_header_says() {
    let Some(tool) = tool("python3", "python3") else { return };
    let hoist = shipped();
    let expected = "1 5 1\n-2.0 1.5\n-6.0 4.5\n";
    assert_eq!(python(&tool, &hoist, CALLS).ended(0).stdout, expected);
    assert_eq!(hoist.run(["run", "--", "python3", "-c", CALLS]).ended(0).stdout, expected);
}

#[test]
fn an_argument_of_a_wrong_type_is_refused_before_the_call() {
    let Some(tool) = tool("python3", "python3") else { return };
    let script = "import hoist_runtime\nhoist_runtime.load('adder').adder_add('2', 3)\n";
    let run = python(&tool, &shipped(), script).ended(1);
    assert!(run.stderr.contains("ArgumentError"), "{}", run.stderr);
}

#[test]
fn what_is_missing_is_said_to_be() {
    let Some(tool) = tool("python3", "python3") else { return };
    let hoist = shipped();
    for (script, expected) in [
        ("load('ader')", ["PackageNotFound", "adder"]),
        ("load('adder').adder_ad(1, 2)", ["ExportMissing", "adder_add"]),
    ] {
        let script = format!("import hoist_runtime\nhoist_runtime.{script}\n");
        let run = python(&tool, &hoist, &script).ended(1);
        for word in expected {
            assert!(run.stderr.contains(word), "{word} in {}", run.stderr);
        }
    }
    std::fs::remove_dir_all(hoist.root()).unwrap();
    let run = python(&tool, &hoist, "import hoist_runtime\nhoist_runtime.load('adder')").ended(1);
    assert!(run.stderr.contains("PackageNotFound"), "{}", run.stderr);
}
