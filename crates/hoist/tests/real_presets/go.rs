//! Go: the distribution's, and one that lies elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_testkit::{Hoist, tool};

use crate::{call, disassembled, failure, project, round, ship};

const SOURCE: &str = "sums.go";

/// Go's runtime has its thread-local variable in the static block, starts threads and takes signals.
const WARNED: [&str; 2] = ["dyn.tls_static", "load.side_effect"];

/// Go's runtime tests for RDTSCP in a variable that it fills when it starts, which the rule does not
/// see.
const WAIVED: &str = "[[check.waive]]\nrule = \"target.isa\"\nreason = \"tested for at start\"\n";

/// A project, where there is a Go.
fn go_project() -> Option<Hoist> {
    tool("go", "golang-go")?;
    let hoist = project("go", "\"go.mod\", \"*.go\"");
    hoist.write("go.mod", "module example.org/sums\n\ngo 1.19\n");
    Some(hoist)
}

fn source(step: u32) -> String {
    format!(
        "package main

import \"C\"

//export sums_below
func sums_below(end int32) int64 {{
	sum := int64(0)
	for number := int64(0); number < int64(end); number++ {{
		sum += number * {step}
	}}
	return sum
}}

func main() {{}}
"
    )
}

#[test]
fn a_library_ships_and_is_built_again_only_when_it_changed() {
    if let Some(hoist) = go_project() {
        round(&hoist, "go1.", &WARNED, SOURCE, source);
        let path = ship(&hoist, &[]).path;
        let packed = fs::read_dir(format!("{}{path}/lib", hoist.root().display())).unwrap();
        assert_eq!(packed.count(), 1, "the header that Go makes is not the promised one");
    }
}

/// Copies a tree, with what its links lead to.
fn copy_whole(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_whole(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

#[test]
fn a_go_that_no_distribution_brought_is_shown_to_the_build() {
    let Some(hoist) = go_project() else { return };
    hoist.write(SOURCE, source(1));
    let root = PathBuf::from(tool("go", "golang-go").unwrap().stdout(["env", "GOROOT"]));
    let other = hoist.dir().join("go");
    fs::create_dir(&other).unwrap();
    for part in ["bin", "pkg", "src"] {
        copy_whole(&root.join(part), &other.join(part));
    }
    fs::copy(root.join("VERSION"), other.join("VERSION")).unwrap();
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    let line = format!("toolchain = \"go\"\ncompiler = \"{}\"", other.join("bin/go").display());
    hoist.write("hoist.toml", manifest.replace("toolchain = \"go\"", &line));
    let shipped = ship(&hoist, &[]);
    assert_eq!(shipped.level, "hermetic");
    assert_eq!(call(&hoist, 10), "45");
}

#[test]
fn code_is_made_for_the_cpus_that_the_manifest_names() {
    let Some(hoist) = go_project() else { return };
    let source = "package main

import \"C\"
import \"math/bits\"

//export sums_below
func sums_below(end int32) int64 {
	return int64(bits.OnesCount64(uint64(end))) + int64(bits.TrailingZeros64(uint64(end)))
}

func main() {}
";
    hoist.write(SOURCE, source);
    // The function asks at run time whether there is POPCNT, unless it is built for CPUs with it.
    let asks = |code: &str| {
        let start = code.find("_cgoexp_").unwrap();
        let code = &code[start..code.len().min(start + 6000)];
        code.contains("tzcnt")
    };
    let baseline = ship(&hoist, &[]);
    let Some(code) = disassembled(&hoist, &baseline.path) else { return };
    assert!(!asks(&code));
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", format!("{manifest}\n[check]\nisa = \"x86-64-v3\"\n{WAIVED}"));
    let newer = ship(&hoist, &[]);
    assert_ne!(newer.action_key, baseline.action_key);
    assert!(asks(&disassembled(&hoist, &newer.path).unwrap()));
}

#[test]
fn a_vendored_module_is_used_and_another_is_not_fetched() {
    let Some(hoist) = go_project() else { return };
    let with_module =
        source(1).replace("import \"C\"", "import \"C\"\nimport \"example.org/step\"");
    let with_module = with_module.replace("number * 1", "number * step.Wide");
    hoist.write(SOURCE, with_module);
    hoist
        .write("go.mod", "module example.org/sums\n\ngo 1.19\n\nrequire example.org/step v1.0.0\n");
    let said = failure(&hoist);
    assert!(said.contains("example.org/step"), "{said}");

    hoist.write("vendor/example.org/step/step.go", "package step\n\nconst Wide = 3\n");
    hoist.write("vendor/modules.txt", "# example.org/step v1.0.0\n## explicit\nexample.org/step\n");
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    hoist.write("hoist.toml", manifest.replace("\"*.go\"", "\"*.go\", \"vendor/**\""));
    ship(&hoist, &[]);
    assert_eq!(call(&hoist, 10), "135");
}

#[test]
fn init_knows_a_go_project() {
    let Some(hoist) = go_project() else { return };
    fs::remove_file(hoist.project().join("hoist.toml")).unwrap();
    hoist.write(SOURCE, source(1));
    hoist.stdout(["init"]);
    let manifest = fs::read_to_string(hoist.project().join("hoist.toml")).unwrap();
    assert!(manifest.contains("name = \"sums\"\n"), "{manifest}");
    assert!(manifest.contains("toolchain = \"go\"\n"), "{manifest}");
    let sources = "sources = [\"go.mod\", \"**/*.go\", \"include/*.h\"]";
    assert!(manifest.contains(sources), "{manifest}");
    assert_eq!(ship(&hoist, &[]).findings, WARNED);
}
