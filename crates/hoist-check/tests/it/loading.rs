use hoist_check::Contract;
use hoist_elf::testing::{Definition, Library};
use insta::assert_snapshot;

use crate::{check, contract, text};

/// `DF_STATIC_TLS` and `DF_BIND_NOW` of `DT_FLAGS`.
const STATIC_TLS_AND_NOW: u64 = 0x10 | 8;

#[test]
fn the_soname_must_be_the_one_asked_for() {
    let asked = Contract { soname: Some("libcase.so.1".to_owned()), ..contract() };
    let without = Library { soname: None, ..Library::new() };
    let both = text(&check(&Library::new(), &asked)) + &text(&check(&without, &asked));
    assert_snapshot!(both);
    assert_eq!(text(&check(&without, &contract())), "", "not asked, not judged");
}

#[test]
fn static_thread_local_storage_is_an_error_when_large() {
    let with = |tls_bytes| Library { tls_bytes, flags: STATIC_TLS_AND_NOW, ..Library::new() };
    let both = text(&check(&with(120), &contract())) + &text(&check(&with(65536), &contract()));
    assert_snapshot!(both);
    let dynamic = Library { tls_bytes: 65536, ..Library::new() };
    assert_eq!(text(&check(&dynamic, &contract())), "");
}

#[test]
fn names_of_the_c_library_are_interposed() {
    let exports = ["add", "malloc", "_Znwm"].map(Definition::function).to_vec();
    assert_snapshot!(text(&check(&Library { exports, ..Library::new() }, &contract())));
}

#[test]
fn constructors_beyond_the_compilers_own_are_worth_knowing() {
    let with = |constructors| Library { constructors, ..Library::new() };
    assert_eq!(text(&check(&with(1), &contract())), "");
    assert_snapshot!(text(&check(&with(3), &contract())));
}

#[test]
fn thread_local_variables_of_others_are_reached_through_the_static_block_too() {
    let library = Library { flags: STATIC_TLS_AND_NOW, ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}
