use hoist_check::Contract;
use hoist_elf::testing::Library;
use insta::assert_snapshot;

use crate::{check, check_bytes, contract, text};

#[test]
fn what_is_not_a_library_is_called_what_it_is() {
    let files: [&[u8]; 5] = [
        b"",
        b"!<arch>\nadd.o/          0           0     0     644     4         `\n",
        b"/* GNU ld script */\nGROUP ( libcase.so.1 )\n",
        b"\n<!DOCTYPE html><title>404</title>",
        b"\x7fELF\x02\x01\x01\x00",
    ];
    assert_snapshot!(files.map(|bytes| text(&check_bytes(bytes))).concat());
}

#[test]
fn an_executable_or_object_is_not_a_library() {
    let of_type = |file_type| Library { file_type, ..Library::new() };
    // DT_DEBUG beside an interpreter.
    let runnable = Library {
        interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
        dynamic: vec![(21, 0)],
        ..Library::new()
    };
    let all = [of_type(1), of_type(2), of_type(4), of_type(77), runnable];
    assert_snapshot!(all.map(|library| text(&check(&library, &contract()))).concat());
}

#[test]
fn a_cut_file_is_truncated() {
    let bytes = Library::new().build();
    assert_snapshot!(text(&check_bytes(&bytes[..bytes.len() - 8])));
}

#[test]
fn a_damaged_file_is_malformed_and_its_machine_is_still_judged() {
    let mut bytes = Library::new().build();
    bytes[54] = 99; // e_phentsize
    assert_snapshot!(text(&check_bytes(&bytes)));
    bytes[18] = 183; // e_machine
    assert_eq!(check_bytes(&bytes).findings[0].rule, "target.machine");
}

#[test]
fn damaged_section_headers_are_a_warning() {
    let mut bytes = Library::new().build();
    bytes[40..48].copy_from_slice(&0x7fff_ffff_ffff_ff00_u64.to_le_bytes());
    bytes[58..62].copy_from_slice(&[64, 0, 9, 0]);
    let report = check_bytes(&bytes);
    assert!(report.is_accepted());
    assert_snapshot!(text(&report));
}

#[test]
fn bytes_behind_the_end_are_worth_knowing() {
    let mut bytes = Library::new().build();
    bytes.extend([0; 100]);
    assert_snapshot!(text(&check_bytes(&bytes)));
}

#[test]
fn the_size_must_be_as_promised() {
    let of_size = |least, most| Contract { size_bytes: Some(least..=most), ..contract() };
    let small = text(&check(&Library::new(), &of_size(1, 1024)));
    let large = text(&check(&Library::new(), &of_size(1 << 20, 1 << 30)));
    assert_snapshot!(small + &large);
    assert_eq!(text(&check(&Library::new(), &of_size(1, 1 << 20))), "");
}
