use hoist_check::{Contract, Target};
use hoist_elf::Machine;
use hoist_elf::testing::Library;
use insta::assert_snapshot;

use crate::{check, contract, text};

/// `DF_TEXTREL` and `DF_BIND_NOW` of `DT_FLAGS`.
const TEXTREL_AND_NOW: u64 = 4 | 8;

#[test]
fn an_executable_stack_is_refused() {
    let library = Library { stack_flags: Some(7), ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn silence_about_the_stack_means_executable_on_x86_only() {
    let library = Library { stack_flags: None, ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
    let arm = Library { machine: Machine::AARCH64, page_bytes: 0x10000, ..library };
    let contract = Contract { target: Target::AARCH64_LINUX, ..contract() };
    assert_eq!(text(&check(&arm, &contract)), "");
}

#[test]
fn code_that_is_written_is_refused() {
    let library = Library { flags: TEXTREL_AND_NOW, load_flags: [4, 7, 6], ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn data_that_stays_writable_is_a_warning() {
    let library = Library { has_relro: false, flags: 0, has_plt: true, ..Library::new() };
    let report = check(&library, &contract());
    assert_snapshot!(text(&report));
    assert!(report.is_accepted());
}

#[test]
fn lazy_binding_without_calls_to_bind_is_no_finding() {
    let library = Library { flags: 0, ..Library::new() };
    assert_eq!(text(&check(&library, &contract())), "");
}
