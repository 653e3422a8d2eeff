use hoist_check::{Contract, Target};
use hoist_elf::Machine;
use hoist_elf::testing::{Definition, Library, Wanted};
use insta::assert_snapshot;

use crate::{check, check_among, contract, text};

/// A library that wants `help` of `libhelp.so.1`, which lies beside it.
fn wanting(wanted: Wanted) -> Library {
    Library {
        wanted: vec![wanted],
        needed: vec!["libhelp.so.1", "libc.so.6"],
        runpath: Some("$ORIGIN"),
        ..Library::new()
    }
}

fn with_helper(library: &Library, exports: Vec<Definition>) -> String {
    let wanted = vec![Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5")];
    with_helper_library(library, &Library { exports, wanted, ..Library::new() })
}

fn with_helper_library(library: &Library, helper: &Library) -> String {
    let helper =
        Library { soname: Some("libhelp.so.1"), needed: vec!["libc.so.6"], ..helper.clone() };
    text(&check_among(library, &contract(), &[("lib/libhelp.so.1", &helper)]))
}

#[test]
fn a_version_must_be_defined_where_it_is_wanted() {
    let library = wanting(Wanted::versioned("help", "libhelp.so.1", "HELP_2"));
    let defined = |version| vec![Definition::function("help").in_version(version)];
    assert_eq!(with_helper(&library, defined("HELP_2")), "");
    let both = vec![
        Definition::function("help").in_version("HELP_1"),
        Definition::function("other").in_version("HELP_2"),
    ];
    assert_snapshot!(with_helper(&library, defined("HELP_1")) + &with_helper(&library, both));
}

#[test]
fn a_definition_without_version_serves_every_version() {
    let library = wanting(Wanted::versioned("help", "libhelp.so.1", "HELP_2"));
    let unversioned =
        vec![Definition::function("help"), Definition::function("other").in_version("HELP_2")];
    assert_eq!(with_helper(&library, unversioned), "");
}

#[test]
fn a_library_that_lost_its_versions_is_told_apart() {
    let library = wanting(Wanted::versioned("help", "libhelp.so.1", "HELP_2"));
    let lost = with_helper(&library, vec![Definition::function("help")]);
    let never = Library { exports: vec![Definition::function("help")], ..Library::new() };
    assert_snapshot!(lost + &with_helper_library(&library, &never));
}

#[test]
fn a_weak_version_may_be_absent() {
    let weak = Wanted { is_weak: true, ..Wanted::versioned("help", "libhelp.so.1", "HELP_2") };
    let defined = vec![Definition::function("help").in_version("HELP_1")];
    let said = with_helper(&wanting(weak), defined);
    assert!(said.starts_with("Warning[dyn.version_missing] `help`"), "{said}");
}

#[test]
fn a_version_of_what_is_not_needed_ends_the_process() {
    let wanted = vec![
        Wanted::versioned("cos", "libm.so.6", "GLIBC_2.2.5"),
        Wanted::versioned("help", "libhelp.so.1", "HELP_2"),
        Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
    ];
    assert_snapshot!(text(&check(&Library { wanted, ..Library::new() }, &contract())));
}

#[test]
fn a_system_library_must_have_the_symbol_in_that_version() {
    let with = |name, version| {
        let wanted = vec![Wanted::versioned(name, "libc.so.6", version)];
        let needed = vec!["libc.so.6"];
        text(&check(&Library { wanted, needed, ..Library::new() }, &contract()))
    };
    assert_eq!(with("memcpy", "GLIBC_2.14"), "");
    assert_eq!(with("memcpy", "GLIBC_2.2.5"), "", "hidden ones are for those that ask");
    assert_eq!(with("memcpy", "GLIBC_9.9"), "", "newer than all that is known");
    assert_snapshot!(
        with("memcpy", "GLIBC_2.17") + &with("nonsense", "GLIBC_2.17") + &with("memcpy", "ODD_1.0")
    );
}

#[test]
fn what_moved_into_libc_is_found_there() {
    let wanted = vec![Wanted::versioned("pthread_create", "libpthread.so.0", "GLIBC_2.2.5")];
    let needed = vec!["libpthread.so.0"];
    assert_eq!(text(&check(&Library { wanted, needed, ..Library::new() }, &contract())), "");
}

#[test]
fn what_a_system_library_has_must_be_needed() {
    let library = |needed| Library {
        wanted: vec![Wanted::plain("cos"), Wanted::plain("malloc")],
        needed,
        ..Library::new()
    };
    assert_snapshot!(text(&check(&library(vec![]), &contract())));
    for needed in [vec!["libm.so.6"], vec!["libstdc++.so.6"]] {
        assert_eq!(text(&check(&library(needed), &contract())), "");
    }
}

#[test]
fn on_old_targets_threads_are_not_in_libc_yet() {
    let library = |needed| Library {
        wanted: vec![Wanted::plain("pthread_create"), Wanted::plain("malloc")],
        needed,
        ..Library::new()
    };
    let oldest = |glibc: &str| Contract { glibc: glibc.parse().ok(), ..contract() };
    assert_eq!(text(&check(&library(vec!["libc.so.6"]), &oldest("2.34"))), "");
    assert_snapshot!(text(&check(&library(vec!["libc.so.6"]), &oldest("2.28"))));
    let needed = vec!["libpthread.so.0", "libc.so.6"];
    assert_eq!(text(&check(&library(needed), &oldest("2.28"))), "");
}

#[test]
fn a_system_library_that_is_not_in_the_table_may_define_anything() {
    let wanted = vec![Wanted::plain("from_nowhere")];
    let needed = vec!["libc.so.6", "libX11.so.6"];
    let library = Library { wanted, needed, ..Library::new() };
    let mut asked = contract();
    asked.system_libraries.push("libX11.so.6".to_owned());
    assert_eq!(text(&check(&library, &asked)), "");
}

#[test]
fn the_artifacts_own_copy_comes_before_the_systems() {
    let wanted = vec![Wanted::versioned("_Znwm", "libstdc++.so.6", "GLIBCXX_3.4")];
    let library = Library {
        wanted,
        needed: vec!["libstdc++.so.6"],
        runpath: Some("$ORIGIN"),
        ..Library::new()
    };
    let own = Library {
        soname: Some("libstdc++.so.6"),
        exports: vec![Definition::function("_Znwm").in_version("OTHER_1")],
        ..Library::new()
    };
    let report = check_among(&library, &contract(), &[("lib/libstdc++.so.6", &own)]);
    assert_eq!(report.findings[0].rule, "dyn.version_missing");
    assert_eq!(text(&check(&library, &contract())), "");
}

#[test]
fn a_library_for_another_machine_is_passed_over() {
    let library = Library {
        needed: vec!["libhelp-0a1b2c3d.so.1"],
        runpath: Some("$ORIGIN/x:$ORIGIN/y"),
        ..Library::new()
    };
    let other = Library { machine: Machine::AARCH64, ..Library::new() };
    let right = Library::new();
    let path = |folder: &str| format!("lib/{folder}/libhelp-0a1b2c3d.so.1");
    let (x, y) = (path("x"), path("y"));
    assert_eq!(text(&check_among(&library, &contract(), &[(&x, &other), (&y, &right)])), "");
    assert_snapshot!(text(&check_among(&library, &contract(), &[(&x, &other)])));
}

#[test]
fn a_filtered_library_must_be_there_and_an_auxiliary_one_may() {
    let misses = |tag| {
        // The first text of the string table is at 1.
        let runpath = Some("libgone.so");
        let library = Library { soname: None, runpath, dynamic: vec![(tag, 1)], ..Library::new() };
        let found = check(&library, &contract()).findings;
        let missing = found.iter().find(|found| found.rule == "dyn.needed_missing");
        missing.and_then(|found| found.object.clone())
    };
    let (filter, auxiliary) = (0x7fff_ffff, 0x7fff_fffd);
    assert_eq!(misses(filter).as_deref(), Some("libgone.so"));
    assert_eq!(misses(auxiliary), None);
}

#[test]
fn aarch64_has_a_table_of_its_own() {
    let asked = Contract { target: Target::AARCH64_LINUX, ..contract() };
    let with = |version| {
        let library = Library {
            machine: Machine::AARCH64,
            page_bytes: 0x10000,
            wanted: vec![Wanted::versioned("memcpy", "libc.so.6", version)],
            needed: vec!["libc.so.6"],
            ..Library::new()
        };
        text(&check(&library, &asked))
    };
    assert_eq!(with("GLIBC_2.17"), "");
    assert!(with("GLIBC_2.2.5").starts_with("Error[dyn.version_missing] `memcpy`"));
}

#[test]
fn what_comes_with_it_must_find_its_symbols_too() {
    let library = wanting(Wanted::plain("help"));
    let helper =
        |wanted| Library { exports: vec![Definition::function("help")], wanted, ..Library::new() };
    // The checked library itself may provide what its helper wants.
    let wants_add = helper(vec![Wanted::plain("add"), Wanted::plain("PyList_New")]);
    assert_eq!(with_helper_library(&library, &wants_add), "");
    let wanted = vec![
        Wanted::plain("first"),
        Wanted::plain("second"),
        Wanted::versioned("cos", "libm.so.6", "GLIBC_2.2.5"),
    ];
    assert_snapshot!(with_helper_library(&library, &helper(wanted)));
}
