use hoist_elf::testing::{Definition, Library};
use insta::assert_snapshot;

use crate::{check, check_among, contract, text};

#[test]
fn unique_variables_are_named_but_for_those_of_the_cxx_library() {
    let exports = |names: &[&'static str]| {
        let unique = names.iter().map(|name| Definition::variable(name).unique());
        unique.chain([Definition::function("add")]).collect()
    };
    let of_others = Library { exports: exports(&["_ZNSt5ctypeIcE2idE"]), ..Library::new() };
    assert_eq!(text(&check(&of_others, &contract())), "");
    let names = ["_ZZ5valuevE4kept", "_ZN5cache4sizeE", "_ZN5cache4lastE", "_ZN5cache5firstE"];
    let one = Library { exports: exports(&names[..1]), ..Library::new() };
    let all = Library { exports: exports(&names), ..Library::new() };
    assert_snapshot!(text(&check(&one, &contract())) + &text(&check(&all, &contract())));
}

#[test]
fn a_helper_is_known_by_a_name_that_says_its_content() {
    let needing = |name| Library {
        needed: vec![name, "libc.so.6"],
        runpath: Some("$ORIGIN"),
        ..Library::new()
    };
    let said = |name: &'static str| {
        let helper = Library { soname: Some(name), ..Library::new() };
        let report = check_among(&needing(name), &contract(), &[(&format!("lib/{name}"), &helper)]);
        let found = report.findings.into_iter().find(|found| found.rule == "swap.helper_soname");
        found.map(|found| (found.object, found.message))
    };
    assert_eq!(said("libhelp-0a1b2c3d.so.1"), None);
    let (object, message) = said("libhelp.so.1").unwrap();
    assert_eq!(object.as_deref(), Some("libhelp.so.1"));
    assert_snapshot!(message);
}

#[test]
fn static_thread_local_storage_is_taken_again_by_each_generation() {
    let with = |tls_bytes| Library { tls_bytes, flags: 0x10 | 8, ..Library::new() };
    let rules = |library: &Library| {
        let report = check(library, &contract());
        report.findings.into_iter().map(|found| found.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(&with(128)), ["dyn.tls_static", "file.no_sections", "swap.static_tls"]);
    assert_eq!(rules(&with(4096)), ["dyn.tls_static", "file.no_sections"]);
}

#[test]
fn late_lookups_may_find_another_generation() {
    let lazy = Library { has_plt: true, flags: 0, ..Library::new() };
    let found = check(&lazy, &contract()).findings;
    assert!(found.iter().any(|found| found.rule == "swap.lazy_binding"), "{found:?}");
    let bound = Library { has_plt: true, ..Library::new() };
    assert_eq!(text(&check(&bound, &contract())), "");
}
