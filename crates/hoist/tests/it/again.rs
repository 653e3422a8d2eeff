//! Shipping again: what is unchanged is answered, what was touched is built.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use hoist_testkit::{ADDER_MANIFEST, Hoist, Run, tool};

use crate::{adder, generations, stage, stages};

/// A compiler that writes down every call before it does its work: on the host into a file, in the
/// sandbox into the compiler cache, the one folder that outlives the build.
struct Recorder {
    calls: PathBuf,
    cache: PathBuf,
}

impl Recorder {
    fn new(hoist: &Hoist) -> Option<Self> {
        let cc = tool("cc", "gcc")?;
        let bin = hoist.dir().join("compiler/bin");
        let calls = hoist.dir().join("calls");
        fs::create_dir_all(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\nfor log in '{}' /cache/calls; do\n    echo \"$@\" >> \"$log\"\ndone \
             2>/dev/null\nexec '{}' \"$@\"\n",
            calls.display(),
            cc.path().display()
        );
        fs::write(bin.join("cc"), script).unwrap();
        fs::set_permissions(bin.join("cc"), PermissionsExt::from_mode(0o755)).unwrap();
        let system = format!("[build]\nsystem = [\"{}\"]", hoist.dir().join("compiler").display());
        hoist.write("hoist.toml", ADDER_MANIFEST.replace("[build]", &system));
        Some(Self { calls, cache: hoist.dir().join("cache/compiler") })
    }

    /// All calls so far, on the host and in the sandbox.
    fn calls(&self) -> Vec<String> {
        let caches = fs::read_dir(&self.cache).unwrap().flatten();
        let files = caches.map(|entry| entry.path().join("calls")).chain([self.calls.clone()]);
        let texts = files.filter_map(|file| fs::read_to_string(file).ok());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

fn ship(hoist: &Hoist) -> Run {
    hoist.run(["ship", "--json"]).ended(0)
}

#[test]
fn an_unchanged_project_is_answered_and_no_compiler_is_started() {
    let hoist = adder();
    let Some(recorder) = Recorder::new(&hoist) else { return };
    let first = ship(&hoist).records();
    assert_eq!(stage(&first, "build")["cached"], false);
    let calls = recorder.calls();
    let compiles = |calls: &[String]| calls.iter().filter(|call| call.contains("-shared")).count();
    assert_eq!(compiles(&calls), 1, "{calls:?}");
    assert!(calls.iter().any(|call| call == "--version"), "{calls:?}");

    let start = Instant::now();
    let second = ship(&hoist).records();
    println!("an unchanged ship took {:?}", start.elapsed());
    assert_eq!(recorder.calls(), calls, "a compiler was started");
    assert_eq!(stages(&second), ["build", "check", "pack", "store", "switch", "ship"]);
    assert_eq!(stage(&second, "build")["cached"], true);
    assert_eq!(stage(&second, "store")["already_there"], true);
    assert_eq!(stage(&second, "switch")["created"], false);
    assert_eq!(generations(&hoist), (vec![1], 1));

    hoist.adder_edition(2);
    let third = ship(&hoist).records();
    assert_eq!(stage(&third, "build")["cached"], false);
    assert_eq!(compiles(&recorder.calls()), 2);
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn a_touched_header_is_another_action_and_an_undeclared_file_is_not() {
    let hoist = adder();
    let built = |hoist: &Hoist| {
        let records = hoist.run(["ship", "--json"]).ended(0).records();
        stage(&records, "build")["cached"] == false
    };
    assert!(built(&hoist));
    hoist.write("notes.txt", "not among the sources");
    assert!(!built(&hoist));
    let header = fs::read_to_string(hoist.project().join("include/adder.h")).unwrap();
    hoist.write("include/adder.h", format!("{header}/* a comment */\n"));
    assert!(built(&hoist));
    // The header is packed, so another comment is another artifact.
    assert_eq!(generations(&hoist), (vec![1, 2], 2));
}

#[test]
fn what_the_cache_knows_and_the_store_lost_is_built_again() {
    let hoist = adder();
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    let lost = stage(&records, "store")["path"].as_str().unwrap().to_owned();
    let status = std::process::Command::new("rm").args(["-rf", &lost]).status().unwrap();
    assert!(status.success());
    let _ = hoist.run(["store", "verify"]).ended(1);

    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "build")["cached"], false);
    assert_eq!(hoist.stdout(["store", "verify"]), "1 store path, all as registered");
    assert_eq!(generations(&hoist), (vec![1], 1));
}

#[test]
fn losing_the_cache_folder_costs_time_only() {
    let hoist = adder();
    let first = hoist.stdout(["build", "--quiet"]);
    fs::remove_dir_all(hoist.dir().join("cache")).unwrap();
    assert_eq!(hoist.stdout(["build", "--quiet"]), first);
}

#[test]
fn going_back_to_an_earlier_source_needs_no_build() {
    let hoist = adder();
    for edition in [1, 2] {
        hoist.adder_edition(edition);
        let _ = hoist.run(["ship"]).ended(0);
    }
    hoist.adder_edition(1);
    let records = hoist.run(["ship", "--json"]).ended(0).records();
    assert_eq!(stage(&records, "build")["cached"], true);
    assert_eq!(stage(&records, "switch")["generation"], 3);
}
