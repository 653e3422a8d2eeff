//! The payloads of this repository, shipped as they are: built by cargo, measured by their own
//! benches against their own bars.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoist_testkit::{Hoist, Run, tool};
use serde_json::Value;

/// A home with a copy of a kernel as its project, without what builds left in it; `None`, said
/// aloud, without the tools it takes.
fn kernel(name: &str) -> Option<Hoist> {
    tool("cargo", "cargo")?;
    tool("python3", "python3")?;
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels").join(name);
    copy(&source, &hoist.project());
    Some(hoist)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            if entry.file_name() != "target" {
                copy(&source, &target);
            }
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// Ships, and returns the records; the bench must have been above its bar.
#[track_caller]
#[expect(clippy::print_stdout, reason = "what was measured is part of the answer")]
fn ship(mut command: Command) -> (Vec<Value>, String) {
    let run = Run::of(command.args(["ship", "--json"])).ended(0);
    let records = run.records();
    let stages: Vec<_> = records.iter().filter_map(|record| record["stage"].as_str()).collect();
    assert_eq!(stages, ["build", "check", "pack", "store", "bench", "switch", "ship"]);
    let bench = &records[4];
    let speedup = bench["measured"]["speedup"].as_f64().unwrap();
    println!("speedup {speedup} over {}", bench["measured"]["baseline"]);
    assert!(speedup >= bench["bars"]["speedup"].as_f64().unwrap());
    assert_eq!(bench["bars"]["speedup"], 13.1);
    assert_eq!(bench["measured"]["checked"], true);
    let findings = records[1]["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["severity"] == "info"), "{findings:?}");
    (records, run.stderr)
}

#[test]
fn pattern_search_ships_faster_than_numpy() {
    let Some(hoist) = kernel("pattern-search") else { return };
    let (records, _) = ship(hoist.command([""; 0]));
    let measured = &records[4]["measured"];
    let baseline = measured["baseline"].as_str().unwrap();
    if !baseline.contains("numpy dot") {
        hoist_testkit::not_checked(&format!("numpy cannot be had here; compared with {baseline}"));
    }
    assert_eq!(measured["shape"], "1000 x 1024, top 10");

    // Again: nothing is built and nothing measured.
    let (again, _) = ship(hoist.command([""; 0]));
    assert_eq!((&again[0]["cached"], &again[4]["cached"]), (&true.into(), &true.into()));
    println!("an unchanged ship took {} ms", again[6]["ms"]);
}

#[test]
fn message_router_ships_faster_than_python() {
    let Some(hoist) = kernel("message-router") else { return };
    let (records, _) = ship(hoist.command([""; 0]));
    assert_eq!(records[1]["libraries"][0]["path"], "lib/libmessage_router.so");
    let script = "import hoist_runtime\n\
                  router = hoist_runtime.load('message-router')\n\
                  handle = router.create_router(4)\n\
                  print(router.get_total_queue_depth_ffi(handle))\n\
                  router.destroy_router(handle)\n";
    assert_eq!(hoist.stdout(["run", "--", "python3", "-c", script]), "0");
}

/// A Python that has no wheels, first on `PATH`, and no index to get any from.
fn without_wheels(hoist: &Hoist) -> Command {
    let python = tool("python3", "python3").expect("it was there just now");
    let bin: PathBuf = hoist.dir().join("bin");
    fs::create_dir(&bin).unwrap();
    // `-S`: no site-packages.
    let script = format!("#!/bin/sh\nexec '{}' -S \"$@\"\n", python.path().display());
    fs::write(bin.join("python3"), script).unwrap();
    fs::set_permissions(bin.join("python3"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)));
    let mut command = hoist.command([""; 0]);
    command.env("PATH", path.unwrap()).env("PYTHONNOUSERSITE", "1");
    command.env("PIP_NO_INDEX", "1").env_remove("PIP_FIND_LINKS");
    command
}

#[test]
fn pattern_search_without_numpy_is_compared_with_python_and_says_so() {
    let Some(hoist) = kernel("pattern-search") else { return };
    let (records, said) = ship(without_wheels(&hoist));
    assert!(said.starts_with("warning: the bench runs without numpy: "), "{said}");
    let baseline = records[4]["measured"]["baseline"].as_str().unwrap();
    assert!(baseline.contains("pure Python") && baseline.contains("numpy is absent"), "{baseline}");
}
