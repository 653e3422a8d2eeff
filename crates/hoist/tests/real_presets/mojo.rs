//! Mojo: the compilers of two wheels.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use hoist_testkit::{Hoist, Run, not_checked, tool};

use crate::{call, disassembled, failure, project, round, ship};

const SOURCE: &str = "src/sums.mojo";

fn mojo_project() -> Hoist {
    project("mojo", "\"src/*.mojo\"")
}

fn source(step: u32) -> String {
    format!(
        "@export(\"sums_below\")
def sums_below(end: Int32) abi(\"C\") -> Int64:
    var sum: Int64 = 0
    for number in range(Int(end)):
        sum += Int64(number * {step})
    return sum
"
    )
}

/// The same with a `List`, which takes its memory from Mojo's runtime.
fn source_with_list(declaration: &str) -> String {
    format!(
        "{declaration}
    var numbers = List[Int64]()
    for number in range(Int(end)):
        numbers.append(Int64(number))
    var sum: Int64 = 0
    for number in numbers:
        sum += number
    return sum
"
    )
}

/// The virtual environment of the `mojo` on `PATH`.
fn venv() -> Option<PathBuf> {
    let mojo = tool("mojo", "none: `pip install mojo`")?;
    let real = mojo.path().canonicalize().unwrap();
    Some(real.ancestors().nth(2).unwrap().to_owned())
}

/// `ship` where no `mojo` is on `PATH`.
fn ship_without_path(hoist: &Hoist) -> Run {
    let mut command = hoist.command(["ship"]);
    command.env("PATH", "/usr/bin:/bin");
    Run::of(&mut command)
}

#[test]
fn a_library_ships_and_is_built_again_only_when_it_changed() {
    if venv().is_some() {
        round(&mojo_project(), "Mojo 1.2.0", &[], SOURCE, source);
    }
}

#[test]
fn the_compiler_of_the_projects_virtual_environment_is_found_without_a_word() {
    let Some(venv) = venv() else { return };
    let hoist = mojo_project();
    hoist.write(SOURCE, source(1));
    let refused = ship_without_path(&hoist).ended(3);
    assert!(refused.stderr.contains("no `mojo` on PATH or in the project's .venv"));
    assert!(refused.stderr.contains(".venv/bin/pip install mojo"), "{}", refused.stderr);
    symlink(&venv, hoist.project().join(".venv")).unwrap();
    assert_eq!(ship_without_path(&hoist).code, 0);
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn the_manifest_names_a_compiler_and_the_same_one_elsewhere_gives_the_same_key() {
    let Some(venv) = venv() else { return };
    let hoist = mojo_project();
    hoist.write(SOURCE, source(1));
    let found_on_path = ship(&hoist, &[]);
    let named = |compiler: &Path| {
        let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
        let line = format!("toolchain = \"mojo\"\ncompiler = \"{}\"", compiler.display());
        hoist.write("hoist.toml", manifest.replace("toolchain = \"mojo\"", &line));
        let shipped = ship(&hoist, &[]);
        hoist.write("hoist.toml", manifest);
        shipped
    };
    // By its script, and by a copy of its tree that no wheel's folder is around.
    let by_script = named(&venv.join("bin/mojo"));
    assert_eq!((by_script.cached, &by_script.action_key), (true, &found_on_path.action_key));
    let tree = hoist.dir().join("mojo-1.2.0");
    let wheel = fs::read_dir(venv.join("lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("site-packages/modular"))
        .find(|modular| modular.is_dir())
        .unwrap();
    copy_linked(&wheel, &tree);
    let by_tree = named(&tree.join("bin/mojo"));
    assert_eq!((by_tree.cached, &by_tree.action_key), (true, &found_on_path.action_key));
}

/// Copies a tree, as hard links where the disk is the same.
fn copy_linked(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_linked(&entry.path(), &target);
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn the_runtime_that_a_library_needs_is_packed_beside_it() {
    if venv().is_none() {
        return;
    }
    let hoist = mojo_project();
    let declaration = "@export(\"sums_below\")\ndef sums_below(end: Int32) abi(\"C\") -> Int64:";
    hoist.write(SOURCE, source_with_list(declaration));
    let shipped = ship(&hoist, &[]);
    let lib = PathBuf::from(format!("{}{}/lib", hoist.root().display(), shipped.path));
    let runtime = lib.join("libKGENCompilerRTShared.so");
    assert!(runtime.is_file(), "{:?}", fs::read_dir(&lib).unwrap().collect::<Vec<_>>());
    assert_eq!(call(&hoist, 10), "45");
    let script = "import hoist_runtime, os; hoist_runtime.load('sums').sums_below(10)\n\
                  print(*{line.split()[-1] for line in open('/proc/self/maps') if 'KGEN' in line})";
    let mapped = hoist.stdout(["run", "--", "python3", "-c", script]);
    assert_eq!(mapped, runtime.canonicalize().unwrap().display().to_string());
}

#[test]
fn code_is_made_for_the_cpus_that_the_manifest_names_and_not_for_the_host() {
    if venv().is_none() {
        return;
    }
    let hoist = mojo_project();
    hoist.write(
        SOURCE,
        "@export(\"sums_below\")
def sums_below(end: Int32) abi(\"C\") -> Int64:
    var sum = SIMD[DType.int64, 8](Int64(end))
    for number in range(Int(end)):
        sum = sum * sum + Int64(number)
    return sum.reduce_add()
",
    );
    let (baseline, wide) = ("%xmm", "%ymm");
    let Some(code) = disassembled(&hoist, &ship(&hoist, &[]).path) else { return };
    assert!(code.contains(baseline) && !code.contains(wide) && !code.contains("%zmm"), "{code}");
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", format!("{manifest}\n[check]\nisa = \"x86-64-v3\"\n"));
    let Some(code) = disassembled(&hoist, &ship(&hoist, &[]).path) else { return };
    assert!(code.contains(wide) && !code.contains("%zmm"), "{code}");
}

#[test]
fn a_module_that_is_not_declared_is_not_there() {
    if venv().is_none() {
        return;
    }
    let hoist = mojo_project();
    hoist.write(SOURCE, format!("from lib.steps import nothing\n\n{}", source(1)));
    hoist.write("src/lib/__init__.mojo", "");
    hoist.write("src/lib/steps.mojo", "def nothing():\n    pass\n");
    assert!(failure(&hoist).contains("unable to locate module 'lib'"));
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", manifest.replace("src/*.mojo", "src/**/*.mojo"));
    ship(&hoist, &[]);
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn a_compiler_that_is_named_wrongly_is_refused_with_what_was_wanted() {
    let hoist = mojo_project();
    hoist.write(SOURCE, source(1));
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    let refusal = |compiler: &str| {
        let line = format!("toolchain = \"mojo\"\ncompiler = \"{compiler}\"");
        hoist.write("hoist.toml", manifest.replace("toolchain = \"mojo\"", &line));
        hoist.run(["ship"]).ended(3).stderr
    };
    let said = refusal("tools/mojo");
    assert!(said.contains("no `tools/mojo` on disk, which toolchain `mojo` needs"), "{said}");
    assert!(said.contains("hint: correct `compiler`"), "{said}");
    // A program of the project is not started to find out what it is.
    let script = hoist.write("tools/mojo", "#!/bin/sh\ntouch started; echo Mojo 9\n");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let said = refusal("tools/mojo");
    assert!(said.contains("leads to no `modular/bin/mojo` of a whole installation"), "{said}");
    assert!(said.contains("pip install mojo"), "{said}");
    assert!(!hoist.project().join("started").exists());
}

#[test]
fn init_knows_a_mojo_project() {
    if venv().is_none() {
        return;
    }
    let hoist = mojo_project();
    fs::remove_file(hoist.project().join("hoist.toml")).unwrap();
    hoist.write(SOURCE, source(1));
    hoist.stdout(["init"]);
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    assert!(manifest.contains("toolchain = \"mojo\""), "{manifest}");
    assert!(manifest.contains("sources = [\"src/**/*.mojo\", \"include/*.h\"]"), "{manifest}");
    assert_eq!(ship(&hoist, &[]).findings.len(), 0);
}

#[test]
fn the_host_can_be_built_on_too() {
    if venv().is_none() {
        return;
    }
    let hoist = mojo_project();
    hoist.write(SOURCE, source(1));
    let on_host = ship(&hoist, &["--no-sandbox"]);
    assert_eq!((on_host.level.as_str(), on_host.findings.len()), ("none", 0));
    assert_eq!(call(&hoist, 10), "45");
    assert_eq!(ship(&hoist, &[]).path, on_host.path);
}

#[test]
fn the_compiler_of_the_year_before_builds_as_well() {
    let Some(venv) = env::var_os("HOIST_MOJO_025").map(PathBuf::from) else {
        not_checked("HOIST_MOJO_025 names no virtual environment with mojo 0.25.6.1");
        return;
    };
    let hoist = mojo_project();
    symlink(venv, hoist.project().join(".venv")).unwrap();
    let source = |step: u32| {
        source(step).replace("(\"sums_below\")\ndef", "\nfn").replace(" abi(\"C\")", "")
    };
    round(&hoist, "Mojo 0.25.6.1", &[], SOURCE, source);
    // Its runtime names its folders by DT_RPATH, which is worth a warning each.
    let declaration = "@export\nfn sums_below(end: Int32) -> Int64:";
    hoist.write(SOURCE, source_with_list(declaration));
    let mut rules = ship(&hoist, &[]).findings;
    rules.dedup();
    assert_eq!(rules, ["dyn.rpath_deprecated"]);
    assert_eq!(call(&hoist, 10), "45");
}
