use std::collections::BTreeMap;

use hoist_check::{Candidate, Contract, Promise, PromisedKind, check_library};
use hoist_elf::header::parse_header;
use hoist_elf::testing::{Definition, Library, Wanted};
use insta::assert_snapshot;

use crate::{PATH, check, contract, text};

fn exporting(exports: Vec<Definition>) -> Library {
    Library { exports, ..Library::new() }
}

fn promising(names: &[&str]) -> Contract {
    Contract { exports: names.iter().map(|&name| Promise::function(name)).collect(), ..contract() }
}

#[test]
fn a_missing_export_names_what_is_exported_nearest_first() {
    let names = ["first", "second", "third", "add_i32_v2", "my_add_i32"];
    let library = exporting(names.map(Definition::function).to_vec());
    assert_snapshot!(text(&check(&library, &promising(&["add_i32"]))));
}

#[test]
fn a_missing_export_without_a_near_name_teaches_how_to_export() {
    let library = exporting(vec![Definition::function("unlike")]);
    assert_snapshot!(text(&check(&library, &promising(&["pattern_search_ffi"]))));
}

#[test]
fn a_library_without_exports_is_told_so() {
    assert_snapshot!(text(&check(&exporting(vec![]), &contract())));
}

#[test]
fn a_mangled_export_is_recognised() {
    for mangled in ["_Z3addii", "_ZN4case3add17h0123456789abcdefE", "_RNvCs1234_4case3add"] {
        let library = exporting(vec![Definition::function(mangled)]);
        let fix = &check(&library, &contract()).findings[0].fix;
        assert!(fix.starts_with(&format!("`{mangled}` is its mangled name")), "{fix}");
    }
}

#[test]
fn a_promise_that_is_only_wanted_is_not_kept() {
    let wanted = vec![Wanted::plain("add")];
    let library = Library { wanted, exports: vec![], ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn a_hidden_function_is_not_exported() {
    let library = exporting(vec![Definition::hidden_function("add")]);
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn a_function_must_be_a_function() {
    let library = exporting(vec![
        Definition::variable("data"),
        Definition::absolute("number"),
        Definition::label("label"),
        Definition::indirect_function("dispatched"),
    ]);
    assert_snapshot!(text(&check(
        &library,
        &promising(&["data", "number", "label", "dispatched"])
    )));
}

#[test]
fn other_exports_are_errors_only_where_exactness_is_asked() {
    let names = ["add", "helper", "_init"];
    let library = exporting(names.map(Definition::function).to_vec());
    assert_eq!(text(&check(&library, &contract())), "");
    let exact = Contract { exports_exact: true, ..contract() };
    assert_snapshot!(text(&check(&library, &exact)));
}

#[test]
fn many_alike_findings_are_counted() {
    let extra = (0..1003).map(|number| Definition::function(format!("f{number}").leak()));
    let library = exporting(extra.chain([Definition::function("add")]).collect());
    let exact = Contract { exports_exact: true, ..contract() };
    let report = check(&library, &exact);
    assert_eq!(
        report.findings.iter().filter(|finding| finding.rule == "export.extra").count(),
        1001
    );
    assert!(text(&report).contains("and 3 more like these"));
}

fn promising_data(name: &str) -> Contract {
    let promise = Promise { kind: PromisedKind::Data, ..Promise::function(name) };
    Contract { exports: vec![promise], ..contract() }
}

#[test]
fn a_variable_must_be_a_variable() {
    let library = exporting(vec![
        Definition::function("function"),
        Definition::variable("data"),
        Definition::absolute("number"),
        Definition::label("label"),
    ]);
    assert_eq!(text(&check(&library, &promising_data("data"))), "");
    for (name, what) in [
        ("function", "a function"),
        ("number", "a number, not an address"),
        ("label", "in the code, and not marked as a variable"),
    ] {
        let report = check(&library, &promising_data(name));
        assert_eq!(report.findings[0].rule, "export.kind", "{name}");
        assert_eq!(report.findings[0].symbol.as_deref(), Some(name));
        let message =
            format!("`{name}` is promised as a variable by include/case.h, but is {what}");
        assert_eq!(report.findings[0].message, message);
    }
}

#[test]
fn a_promised_version_must_be_there() {
    let library = exporting(vec![Definition::function("add")]);
    let promise = Promise { version: Some("CASE_1.1".to_owned()), ..Promise::function("add") };
    let report = check(&library, &Contract { exports: vec![promise], ..contract() });
    assert_eq!(report.findings[0].rule, "export.missing");
    assert_eq!(report.findings[0].object.as_deref(), Some("CASE_1.1"));
    assert_eq!(
        report.findings[0].message,
        "`add` is promised with version `CASE_1.1` by include/case.h, but exported without a version"
    );
}

#[test]
fn debug_information_is_decompressed_only_to_compare_it() {
    let mut bytes =
        include_bytes!("../../../hoist-elf/tests/fixtures/debug/gcc-dwarf5-zlib.so").to_vec();
    // The header of every compressed section: zlib, and the alignment of what it was.
    let packed = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &1_u64.to_le_bytes()].concat();
    let starts: Vec<usize> = (0..bytes.len().saturating_sub(24))
        .filter(|&at| bytes[at..at + 8] == packed[..8] && bytes[at + 16..at + 24] == packed[8..])
        .collect();
    assert!(!starts.is_empty());
    for at in starts {
        bytes[at + 24..at + 26].fill(0);
    }
    let rules = |header: Option<&str>| {
        let header = header.map(|text| parse_header(text).unwrap());
        let contract = Contract { header, ..contract() };
        let report = check_library(&Candidate::new(PATH, &bytes), &contract, &BTreeMap::new());
        let findings = report.findings.into_iter().map(|finding| finding.rule);
        findings.filter(|rule| rule.starts_with("debug.")).collect::<Vec<_>>()
    };
    assert_eq!(rules(None), ["debug.present"]);
    assert_eq!(rules(Some("int other(int a);")), ["debug.present"]);
    let header = "#include <stdint.h>\nint64_t dot(const float *a, const float *b, int64_t n);";
    assert_eq!(rules(Some(header)), ["debug.unreadable", "debug.present"]);
}
