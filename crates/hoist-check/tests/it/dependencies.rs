use std::collections::BTreeMap;

use hoist_check::{Candidate, Contract, check_library};
use hoist_elf::testing::{Definition, Library, Wanted};
use insta::assert_snapshot;

use crate::{USUAL, check, check_among, contract, text};

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
        let rules = report.findings.into_iter().map(|finding| finding.rule);
        rules.filter(|rule| !USUAL.contains(&&**rule)).collect::<Vec<_>>()
    };
    let needing = || needing(vec!["libdep.so.1"]);
    let by_rpath = rules(Library { rpath: Some("$ORIGIN"), ..needing() });
    assert_eq!(by_rpath, ["dyn.rpath_deprecated"]);
    let by_runpath = rules(Library { runpath: Some("$ORIGIN"), ..needing() });
    assert_eq!(by_runpath, ["dyn.needed_missing"]);
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
    let library = Library { rpath: Some("lib::$ORIGIN:$LIB/x:$HOME"), ..Library::new() };
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

#[test]
fn a_store_path_is_searched_and_must_be_there() {
    const HELPER: &str = "/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help/lib/libhelp.so.1";
    let runpath = Some("/nix/store/h5iv7sg0y2drphrvwrqw50i4xgm2kdhg-help/lib");
    let library = Library { runpath, ..needing(vec!["libhelp.so.1"]) };
    let contract = Contract { references: None, ..contract() };
    let helper = Library { soname: Some("libhelp.so.1"), ..Library::new() };
    let report = check_among(&library, &contract, &[(HELPER, &helper)]);
    assert_eq!(text(&report), "");
    assert_snapshot!(text(&check(&library, &contract)));
    let by_path = needing(vec![HELPER]);
    assert_snapshot!(
        "a_path_in_the_store",
        text(&check_among(&by_path, &contract, &[(HELPER, &helper)]))
    );
}

#[test]
fn local_folders_are_worth_knowing() {
    let runpath = Some(
        "/usr/lib:/opt/vendor/lib:/usr/local/lib:/opt/_internal/lib:\
                        /opt/mojo/lib/python3.11/site-packages/modular/lib",
    );
    assert_snapshot!(text(&check(&Library { runpath, ..Library::new() }, &contract())));
}

#[test]
fn rpath_passes_by_a_library_that_has_a_runpath() {
    let far = Library { soname: Some("libfar.so.1"), ..Library::new() };
    let near = Library { runpath: Some("$ORIGIN"), ..needing(vec!["libmiddle.so.1"]) };
    let middle = needing(vec!["libfar.so.1"]);
    let library = Library { rpath: Some("$ORIGIN:$ORIGIN/far"), ..needing(vec!["libnear.so.1"]) };
    let others = [
        ("lib/libnear.so.1", &near),
        ("lib/libmiddle.so.1", &middle),
        ("lib/far/libfar.so.1", &far),
    ];
    let report = check_among(&library, &contract(), &others);
    assert!(
        report.is_accepted(),
        "the RUNPATH in between takes no RPATH away: {:?}",
        report.findings
    );
}

#[test]
fn one_library_under_two_names_is_one() {
    let helper = Library { soname: Some("libhelp.so.1"), ..Library::new() };
    let library =
        Library { runpath: Some("$ORIGIN"), ..needing(vec!["libhelp.so", "libhelp.so.1"]) };
    let report = check_among(&library, &contract(), &[("lib/libhelp.so", &helper)]);
    assert!(report.is_accepted(), "its SONAME is known already: {:?}", report.findings);
}

#[test]
fn the_hosts_folders_come_before_runpath() {
    let right = Library { soname: Some("libhelp.so.1"), ..Library::new() };
    let wrong = needing(vec!["libgone.so"]);
    let others = [("host/libhelp.so.1", &right), ("lib/libhelp.so.1", &wrong)];
    let told = Contract { search: vec!["host".to_owned()], ..contract() };
    let by_runpath = Library { runpath: Some("$ORIGIN"), ..needing(vec!["libhelp.so.1"]) };
    assert!(check_among(&by_runpath, &told, &others).is_accepted());
    let by_rpath = Library { rpath: Some("$ORIGIN"), ..needing(vec!["libhelp.so.1"]) };
    assert!(!check_among(&by_rpath, &told, &others).is_accepted());
}

#[test]
fn a_search_path_that_leads_out_of_what_is_checked_is_named() {
    let runpath = Some("$ORIGIN:$ORIGIN/../../numpy.libs");
    let library = Library { runpath, ..needing(vec!["libdep.so.1"]) };
    let report = check(&library, &contract());
    assert_snapshot!(text(&report));
}

#[test]
fn what_is_found_must_be_loadable() {
    let library = Library {
        needed: vec!["libhelp.so.1"],
        runpath: Some("$ORIGIN/../deps"),
        wanted: vec![Wanted::plain("help")],
        ..Library::new()
    };
    let found = |bytes: Vec<u8>| {
        let siblings = BTreeMap::from([("deps/libhelp.so.1".to_owned(), bytes)]);
        check_library(&Candidate::new("lib/libcase.so", &library.build()), &contract(), &siblings)
    };
    let whole = Library::new().build();
    let report = found(whole[..0x800].to_vec());
    assert_eq!(report.findings[0].object.as_deref(), Some("libhelp.so.1"));
    let program = Library { file_type: 2, interpreter: Some("/lib64/ld.so"), ..Library::new() };
    assert_snapshot!(
        text(&report)
            + &text(&found(b"INPUT(libhelp.so.1.2)\n".to_vec()))
            + &text(&found(Vec::new()))
            + &text(&found(program.build()))
    );
}

#[test]
fn an_empty_name_is_called_empty() {
    let library = Library { needed: vec![""], runpath: Some("$ORIGIN"), ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}
