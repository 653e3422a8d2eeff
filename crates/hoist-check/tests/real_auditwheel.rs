//! Floors and platforms agree with `auditwheel` on real wheels.
//!
//! The wheels are those in the folder that `HOIST_WHEELS` names; otherwise pip downloads them.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::{Family, Floors, Target, best_manylinux, floors};
use hoist_elf::{DottedVersion, ElfError, ElfFacts};
use hoist_testkit::{not_checked, tool};
use serde_json::Value;

/// Packages with native code of several makers: C, C++, Fortran, Cython.
const PACKAGES: [&str; 5] = ["numpy", "faiss-cpu", "scipy", "pyarrow", "simsimd"];

#[test]
fn floors_and_platforms_agree_with_auditwheel() {
    let Some(auditwheel) = tool("auditwheel", "auditwheel, by pip") else { return };
    let Some(python) = tool("python3", "python3") else { return };
    let home = tempfile::tempdir().unwrap();
    let given = env::var_os("HOIST_WHEELS").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| home.path().join("wheels"));
    if given.is_none() {
        let mut pip = python.command();
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "-d"]);
        let downloaded = pip.arg(&folder).args(PACKAGES).output().unwrap();
        if !downloaded.status.success() {
            let why = String::from_utf8_lossy(&downloaded.stderr).into_owned();
            not_checked(&format!("pip downloads no wheels: {}", why.trim()));
            return;
        }
    }
    let (mut wheels, mut libraries, mut compared) = (0, 0, 0);
    for entry in fs::read_dir(&folder).unwrap() {
        let wheel = entry.unwrap().path();
        if wheel.extension().is_none_or(|end| end != "whl") {
            continue;
        }
        let theirs = auditwheel.stdout(["show".as_ref(), "--json".as_ref(), wheel.as_os_str()]);
        let theirs: Value = serde_json::from_str(&theirs).unwrap();
        let unpacked = home.path().join(format!("wheel-{wheels}"));
        python.stdout([
            "-m".as_ref(),
            "zipfile".as_ref(),
            "-e".as_ref(),
            wheel.as_os_str(),
            unpacked.as_os_str(),
        ]);
        let facts = facts_below(&unpacked);
        let ours = facts.iter().map(floors).fold(Floors::default(), |all, one| all.and(&one));
        for family in Family::ALL {
            let ours = ours.get(family).map(|floor| floor.release.clone());
            assert_eq!(ours, newest(&theirs, family), "{family:?} of {}", wheel.display());
            compared += usize::from(ours.is_some());
        }
        let platform = best_manylinux(&facts, &Target::HOST).unwrap();
        let tag = theirs["overall_tag"].as_str().unwrap();
        assert_eq!(
            tag.rsplit_once("_x86").map(|it| it.0),
            Some(platform.name),
            "{}",
            wheel.display()
        );
        println!("{}: {} libraries load on {ours}", platform.name, facts.len());
        wheels += 1;
        libraries += facts.len();
    }
    assert!(wheels > 0, "no wheels in {}", folder.display());
    println!("{wheels} wheels with {libraries} libraries agree, {compared} floors");
}

/// The newest version of a family that auditwheel lists.
fn newest(theirs: &Value, family: Family) -> Option<DottedVersion> {
    let libraries = theirs["versioned_symbols"].as_object().unwrap();
    let versions = libraries.values().flat_map(|versions| versions.as_array().unwrap());
    let release = |version: &Value| DottedVersion::after(family.prefix(), version.as_str()?);
    versions.filter_map(release).max()
}

/// The facts of every shared library below a folder.
fn facts_below(folder: &Path) -> Vec<ElfFacts> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(facts_below(&path));
            continue;
        }
        match ElfFacts::read(&fs::read(&path).unwrap()) {
            Ok(facts) => all.push(facts),
            Err(ElfError::NotElf { .. } | ElfError::Empty) => {}
            Err(refusal) => panic!("{}: {refusal}", path.display()),
        }
    }
    all
}
