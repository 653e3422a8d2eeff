use hoist_check::Contract;
use hoist_elf::testing::{Definition, Library, Wanted};
use insta::assert_snapshot;

use crate::{check, check_among, contract, text};

fn needing(needed: Vec<&'static str>) -> Library {
    Library { needed, ..Library::new() }
}

#[test]
fn what_every_target_has_may_be_needed() {
    let library = needing(vec!["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"]);
    assert_eq!(text(&check(&library, &contract())), "");
}

#[test]
fn what_lies_nowhere_is_missing() {
    assert_snapshot!(text(&check(&needing(vec!["libgone.so.7"]), &contract())));
}

#[test]
fn origin_leads_to_the_folder_of_the_library() {
    let dependency = Library { soname: Some("libdep.so.1"), ..Library::new() };
    for (runpath, place) in [
        ("$ORIGIN", "lib/libdep.so.1"),
        ("/usr/lib:${ORIGIN}/deps", "lib/deps/libdep.so.1"),
        ("$ORIGIN/../share/./x/", "share/x/libdep.so.1"),
        ("$ORIGIN/..", "libdep.so.1"),
    ] {
        let library = Library { runpath: Some(runpath), ..needing(vec!["libdep.so.1"]) };
        assert_eq!(text(&check_among(&library, &contract(), &[(place, &dependency)])), "");
        let elsewhere = [("elsewhere/libdep.so.1", &dependency)];
        let report = check_among(&library, &contract(), &elsewhere);
        assert_eq!(report.findings[0].rule, "dyn.needed_missing", "{runpath}");
    }
}

#[test]
fn a_neighbour_is_not_found_without_a_runpath() {
    let dependency = Library { soname: Some("libdep.so.1"), ..Library::new() };
    let library = needing(vec!["libdep.so.1"]);
    let others = [("lib/libdep.so.1", &dependency)];
    assert_snapshot!(text(&check_among(&library, &contract(), &others)));
    let told = Contract { search: vec!["lib".to_owned()], ..contract() };
    assert_eq!(text(&check_among(&library, &told, &others)), "");
}

#[test]
fn what_a_needed_library_needs_must_be_there_too() {
    let library = Library { runpath: Some("$ORIGIN"), ..needing(vec!["libdep.so.1"]) };
    let dependency = needing(vec!["libfar.so.1"]);
    let others = [("lib/libdep.so.1", &dependency)];
    assert_snapshot!(text(&check_among(&library, &contract(), &others)));
}

#[test]
fn rpath_is_handed_down_and_runpath_is_not() {
    let far = Library { soname: Some("libfar.so.1"), ..Library::new() };
    let dependency = needing(vec!["libfar.so.1"]);
    let others = [("lib/libdep.so.1", &dependency), ("lib/libfar.so.1", &far)];
    let rules = |library: Library| {
        let report = check_among(&library, &contract(), &others);
        report.findings.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let needing = || needing(vec!["libdep.so.1"]);
    let by_rpath = rules(Library { rpath: Some("$ORIGIN"), ..needing() });
    assert_eq!(by_rpath, ["dyn.rpath_deprecated", "file.no_sections", "debug.absent"]);
    let by_runpath = rules(Library { runpath: Some("$ORIGIN"), ..needing() });
    assert_eq!(by_runpath, ["dyn.needed_missing", "file.no_sections", "debug.absent"]);
}

#[test]
fn libraries_that_need_each_other_come_to_an_end() {
    let library = Library { runpath: Some("$ORIGIN"), ..needing(vec!["libdep.so.1"]) };
    let back = ["libcase.so", "libdep.so.1"].to_vec();
    let dependency = Library { runpath: Some("$ORIGIN"), ..needing(back) };
    let others = [("lib/libdep.so.1", &dependency)];
    assert_eq!(text(&check_among(&library, &contract(), &others)), "");
}

#[test]
fn a_path_in_needed_is_an_error() {
    assert_snapshot!(text(&check(&needing(vec!["deps/libdep.so"]), &contract())));
}

#[test]
fn a_runpath_under_a_build_folder_leaks() {
    let runpath = Some("/home/ci/.venv/lib:/usr/lib:/nix/store/../../tmp//x:/homely");
    let alone = Library { runpath, ..Library::new() };
    assert_snapshot!(text(&check(&alone, &contract())));
    let needing = Library { runpath: Some("/home/ci/lib"), ..needing(vec!["libc.so.6"]) };
    assert_eq!(
        check(&needing, &contract()).findings[0].fix,
        "link with `-Wl,-rpath,'$ORIGIN'` and put what it needs beside it"
    );
}

#[test]
fn a_relative_or_empty_entry_means_the_working_directory() {
    let library = Library { rpath: Some("lib::$ORIGIN"), ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn a_symbol_that_nothing_provides_is_undefined() {
    let library = Library {
        wanted: vec![
            Wanted::plain("from_nowhere"),
            Wanted::plain("from_dependency"),
            Wanted::plain("PyList_New"),
            Wanted { is_weak: true, ..Wanted::plain("optional") },
            Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
        ],
        runpath: Some("$ORIGIN"),
        ..needing(vec!["libc.so.6", "libdep.so.1"])
    };
    let exports = vec![Definition::function("from_dependency")];
    let dependency = Library { exports, ..Library::new() };
    let others = [("lib/libdep.so.1", &dependency)];
    assert_snapshot!(text(&check_among(&library, &contract(), &others)));
    let without = check(&library, &contract());
    assert!(
        without.findings.iter().all(|finding| finding.rule != "dyn.undefined"),
        "where a needed library is missing, nobody can tell what it would provide"
    );
}
