use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use hoist_check::{Checked, Contract, Reach, check_file, check_links, check_tree, check_tree_on};
use hoist_elf::testing::{Library, Wanted};
use tempfile::TempDir;

use crate::{USUAL, contract};

/// An artifact with one library that needs another through `$ORIGIN`.
fn artifact() -> TempDir {
    let artifact = tempfile::tempdir().unwrap();
    let needed = vec!["libdep.so.1"];
    let library = Library { needed, runpath: Some("$ORIGIN/deps"), ..Library::new() };
    write(artifact.path(), "lib/libcase.so", &library.build());
    write(artifact.path(), "lib/deps/libdep.so.1", &Library::new().build());
    artifact
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Every file with the rules it breaks but for the usual ones.
fn rules_by_path(checked: &[Checked]) -> Vec<(&str, Vec<&str>)> {
    checked
        .iter()
        .map(|checked| {
            let findings = checked.report.findings.iter().map(|finding| finding.rule.as_str());
            (checked.path.as_str(), findings.filter(|rule| !USUAL.contains(rule)).collect())
        })
        .collect()
}

#[test]
fn every_library_of_an_artifact_is_checked() {
    let artifact = artifact();
    write(artifact.path(), "share/notes.so.txt", b"no library");
    symlink("libcase.so", artifact.path().join("lib/libcase.so.1")).unwrap();
    let contracts = BTreeMap::from([("lib/libcase.so".to_owned(), contract())]);
    let checked = check_tree(artifact.path(), &contracts, &contract()).unwrap();
    assert_eq!(
        rules_by_path(&checked),
        [("lib/deps/libdep.so.1", vec![]), ("lib/libcase.so", vec![])]
    );
}

#[test]
fn a_promised_file_that_is_absent_is_missing() {
    let artifact = artifact();
    let contracts = BTreeMap::from([("lib/libother.so".to_owned(), contract())]);
    let checked = check_tree(artifact.path(), &contracts, &contract()).unwrap();
    let other = checked.iter().find(|checked| checked.path == "lib/libother.so").unwrap();
    assert_eq!(other.report.findings[0].rule, "file.missing");
    assert_eq!(other.report.findings[0].message, "the file is not there");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let artifact = tempfile::tempdir().unwrap();
    let root = artifact.path();
    let _listener = UnixListener::bind(root.join("a.so")).unwrap();
    symlink("/dev/zero", root.join("b.so")).unwrap();
    symlink("nowhere", root.join("c.so")).unwrap();
    symlink("d.so", root.join("d.so")).unwrap();
    fs::create_dir(root.join("e.so")).unwrap();
    let contracts = BTreeMap::from([("e.so".to_owned(), contract())]);
    let checked = check_tree(root, &contracts, &contract()).unwrap();
    let messages: Vec<_> =
        checked.iter().map(|checked| checked.report.findings[0].message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "it is a socket, not a file",
            "it is a device, not a file",
            "it is a link to `nowhere`, which is not there",
            "it is a link to `d.so`, which is not there",
            "it is a folder, not a file",
        ]
    );
}

#[test]
fn a_link_out_of_the_artifact_provides_nothing() {
    let artifact = artifact();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "libdep.so.1", &Library::new().build());
    let inside = artifact.path().join("lib/deps/libdep.so.1");
    fs::remove_file(&inside).unwrap();
    symlink(outside.path().join("libdep.so.1"), &inside).unwrap();
    let checked = check_tree(artifact.path(), &BTreeMap::new(), &contract()).unwrap();
    assert_eq!(rules_by_path(&checked), [("lib/libcase.so", vec!["dyn.needed_missing"])]);
}

#[test]
fn a_hole_behind_a_library_is_not_read() {
    let artifact = artifact();
    let path = artifact.path().join("lib/libcase.so");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let report = check_file(&path, &contract()).unwrap();
    assert!(report.is_accepted());
    let trailing = report.findings.iter().filter(|found| found.rule == "file.trailing_data");
    assert_eq!(trailing.count(), 1, "{:?}", report.findings);
    let wanted = Contract { size_bytes: Some(1..=1 << 20), ..contract() };
    assert_eq!(check_file(&path, &wanted).unwrap().findings[0].rule, "file.size");
}

#[test]
fn a_file_is_called_as_it_was_named() {
    let artifact = artifact();
    let path = artifact.path().join("lib/../lib/libcase.so");
    let report = check_file(&path, &contract()).unwrap();
    assert!(report.is_accepted(), "{:?}", report.findings);
    assert_eq!(report.findings[0].file, path.to_string_lossy());
}

#[test]
fn every_link_that_leads_out_of_the_artifact_is_an_error() {
    let artifact = artifact();
    let root = artifact.path();
    symlink("libcase.so", root.join("lib/libcase.so.1")).unwrap();
    symlink("/usr/share/doc", root.join("doc")).unwrap();
    symlink("../../secret", root.join("lib/secret")).unwrap();
    let findings = check_links(root).unwrap();
    let mut said: Vec<_> = findings
        .iter()
        .map(|found| (found.rule.as_str(), found.file.as_str(), found.message.as_str()))
        .collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            (
                "file.link_escapes",
                "doc",
                "it is a link to `/usr/share/doc`, which leads out of the artifact"
            ),
            (
                "file.link_escapes",
                "lib/secret",
                "it is a link to `../../secret`, which leads out of the artifact"
            ),
        ]
    );
}

#[test]
fn a_promised_library_must_lie_in_the_artifact() {
    let artifact = artifact();
    let root = artifact.path();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "libout.so", &Library::new().build());
    symlink(outside.path().join("libout.so"), root.join("lib/libout.so")).unwrap();
    symlink(outside.path(), root.join("other")).unwrap();
    symlink("libcase.so", root.join("lib/libin.so")).unwrap();
    let promised = ["lib/libout.so", "other/libout.so", "lib/libin.so"];
    let contracts = promised.map(|path| (path.to_owned(), contract())).into();
    let checked = check_tree(root, &contracts, &contract()).unwrap();
    let rules = rules_by_path(&checked);
    assert!(rules.contains(&("lib/libout.so", vec!["file.link_escapes"])), "{rules:?}");
    assert!(rules.contains(&("other/libout.so", vec!["file.link_escapes"])), "{rules:?}");
    assert!(rules.contains(&("lib/libin.so", vec![])), "{rules:?}");
}

#[test]
fn a_library_without_the_usual_name_is_found_by_its_first_bytes_and_a_program_is_not() {
    let artifact = artifact();
    let root = artifact.path();
    write(root, "plugins/case.plugin", &Library::new().build());
    let program = Library { dynamic: vec![(0x6fff_fffb, 0x0800_0000)], ..Library::new() }; // DF_1_PIE
    write(root, "bin/tool", &program.build());
    write(root, "lib/libcase.so.1.debug", &program.build());
    write(root, "share/short", b"\x7fELF");
    write(root, "share/empty", b"");
    let checked = check_tree(root, &BTreeMap::new(), &contract()).unwrap();
    let paths: Vec<_> = checked.iter().map(|checked| checked.path.as_str()).collect();
    assert_eq!(paths, ["lib/deps/libdep.so.1", "lib/libcase.so", "plugins/case.plugin"]);
}

#[test]
fn a_file_with_a_version_behind_its_name_is_a_library() {
    let artifact = artifact();
    let root = artifact.path();
    let names =
        ["a.so.1", "a.so.1.2.30", "a.so.1.debug", "a.so.1-gdb.py", "a.so.", "a.so.1.", ".so"];
    for name in names {
        write(root, &format!("names/{name}"), b"no library");
    }
    let checked = check_tree(root, &BTreeMap::new(), &contract()).unwrap();
    let paths = checked.iter().filter_map(|checked| checked.path.strip_prefix("names/"));
    assert_eq!(paths.collect::<Vec<_>>(), ["a.so.1", "a.so.1.2.30"]);
}

#[test]
fn many_threads_say_what_one_says_in_the_same_order() {
    let artifact = artifact();
    let root = artifact.path();
    for number in 0..40 {
        let library = Library { soname: Some("x"), ..Library::new() };
        let bytes = if number % 3 == 0 { b"no library".to_vec() } else { library.build() };
        write(root, &format!("lib/lib{number}.so"), &bytes);
    }
    let none = BTreeMap::new();
    let lines = |threads: usize| {
        let keep = |checked: Checked| format!("{} {:?}", checked.path, checked.report.findings);
        let threads = threads.try_into().unwrap();
        check_tree_on(threads, root, Reach::Artifact, &none, &contract(), keep).unwrap()
    };
    assert_eq!(lines(1).len(), 42);
    assert_eq!(lines(8), lines(1));
    assert_eq!(lines(100), lines(1));
}

#[test]
fn a_path_of_the_store_lies_below_any_of_its_roots() {
    const HELPER: &str = "nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help";
    let artifact = tempfile::tempdir().unwrap();
    let library = Library {
        needed: vec!["libhelp-0a1b2c3d.so"],
        runpath: Some("/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help/lib"),
        ..Library::new()
    };
    write(artifact.path(), "lib/libcase.so", &library.build());
    let store = tempfile::tempdir().unwrap();
    write(store.path(), &format!("{HELPER}/lib/libhelp-0a1b2c3d.so"), &Library::new().build());
    let rules = |store_roots| {
        let others = Contract { store_roots, references: None, ..contract() };
        let checked = check_tree(artifact.path(), &BTreeMap::new(), &others).unwrap();
        let found = checked[0].report.findings.iter().map(|found| found.rule.clone());
        found.filter(|rule| !USUAL.contains(&&**rule)).collect::<Vec<_>>()
    };
    let elsewhere = tempfile::tempdir().unwrap().path().to_owned();
    assert_eq!(rules(vec![elsewhere.clone(), store.path().to_owned()]), [""; 0]);
    assert_eq!(rules(vec![elsewhere]), ["dyn.needed_missing", "dyn.runpath_leak"]);
}

#[test]
fn a_folder_that_is_no_artifact_is_searched_as_the_loader_does() {
    let home = tempfile::tempdir().unwrap();
    let library = Library {
        needed: vec!["libdep.so.1"],
        runpath: Some("$ORIGIN/../../pack.libs"),
        ..Library::new()
    };
    write(home.path(), "pack/core/libcase.so", &library.build());
    write(home.path(), "pack.libs/libdep.so.1", &Library::new().build());
    let rules = |reach| {
        let (none, one) = (BTreeMap::new(), NonZeroUsize::MIN);
        let folder = home.path().join("pack");
        let checked = check_tree_on(one, &folder, reach, &none, &contract(), |checked| checked);
        let checked = checked.unwrap();
        assert_eq!(checked[0].path, "core/libcase.so");
        rules_by_path(&checked)[0].1.join(" ")
    };
    assert_eq!(rules(Reach::Artifact), "dyn.needed_missing");
    assert_eq!(rules(Reach::Disk), "");
}

#[test]
fn paths_of_a_single_file_are_absolute() {
    let home = tempfile::tempdir().unwrap();
    let library =
        Library { needed: vec!["libdep.so.1"], runpath: Some("$ORIGIN/deps"), ..Library::new() };
    write(home.path(), "libcase.so", &library.build());
    let report = check_file(&home.path().join("libcase.so"), &contract()).unwrap();
    let deps = home.path().join("deps");
    let looked = format!("the loader looks in `{}`", deps.display());
    assert!(report.findings[0].message.ends_with(&looked), "{}", report.findings[0].message);
}

#[test]
fn what_is_checked_itself_has_its_floor_once() {
    let home = tempfile::tempdir().unwrap();
    let library =
        Library { needed: vec!["libdep.so.1"], runpath: Some("$ORIGIN"), ..Library::new() };
    let wanted = vec![Wanted::versioned("arc4random", "libc.so.6", "GLIBC_2.36")];
    let dep = Library { needed: vec!["libc.so.6"], wanted, ..Library::new() };
    write(home.path(), "libcase.so", &library.build());
    write(home.path(), "libdep.so.1", &dep.build());
    let asked = Contract { glibc: "2.28".parse().ok(), ..contract() };
    let checked = check_tree(home.path(), &BTreeMap::new(), &asked).unwrap();
    let expected = [("libcase.so", vec![]), ("libdep.so.1", vec!["dyn.glibc_floor"])];
    assert_eq!(rules_by_path(&checked), expected);
    let alone = check_file(&home.path().join("libcase.so"), &asked).unwrap();
    assert_eq!(alone.findings[0].rule, "dyn.glibc_floor");
}
