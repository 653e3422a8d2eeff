use hoist_check::{Contract, Libc, Target};
use hoist_elf::Machine;
use hoist_elf::testing::{Library, Wanted};
use insta::assert_snapshot;

use crate::{check, check_bytes, contract, text};

#[test]
fn another_machine_is_the_only_thing_said() {
    let library = Library { machine: Machine::AARCH64, stack_flags: Some(7), ..Library::new() };
    assert_snapshot!(text(&check(&library, &contract())));
}

#[test]
fn another_width_or_order_of_bytes_is_named() {
    let mut narrow = Library::new().build();
    narrow[4] = 1;
    let mut big_endian = Library::new().build();
    big_endian[5] = 2;
    big_endian[18..20].copy_from_slice(&[0, 62]);
    assert_snapshot!(text(&check_bytes(&narrow)) + &text(&check_bytes(&big_endian)));
}

#[test]
fn another_operating_system_is_named() {
    let for_os = |os_abi| Library { os_abi, ..Library::new() };
    assert_snapshot!(text(&check(&for_os(9), &contract())));
    assert_eq!(text(&check(&for_os(3), &contract())), "");
}

#[test]
fn segments_must_fit_the_largest_pages() {
    let arm = |page_bytes| Library { machine: Machine::AARCH64, page_bytes, ..Library::new() };
    let contract = Contract { target: Target::AARCH64_LINUX, ..contract() };
    assert_snapshot!(text(&check(&arm(0x1000), &contract)));
    assert_eq!(text(&check(&arm(0x10000), &contract)), "");
}

#[test]
fn a_page_of_the_target_has_segments_of_one_set_of_rights() {
    // Its segments are 64 KiB apart, whatever alignment they claim.
    let page_bytes = 0x2_0000;
    let target = Target { page_size_bytes: page_bytes, ..Target::AARCH64_LINUX };
    let contract = Contract { target, ..contract() };
    let library = |load_flags| Library {
        machine: Machine::AARCH64,
        page_bytes,
        load_flags,
        ..Library::new()
    };
    assert_snapshot!(text(&check(&library([4, 5, 6]), &contract)), @r"
    Error[target.page_align] loadable segments 0 and 1 have other rights and lie in one page, that at 0x0: the target's pages have up to 131072 bytes
        fix: link with `-Wl,-z,max-page-size=131072`
    ");
    assert_eq!(text(&check(&library([5, 5, 6]), &contract)), "");
}

#[test]
fn a_system_has_its_target() {
    assert_eq!(Target::of_system("x86_64-linux"), Some(Target::X86_64_LINUX));
    assert_eq!(Target::of_system("aarch64-linux"), Some(Target::AARCH64_LINUX));
    assert_eq!(Target::of_system("x86_64-darwin"), None);
}

#[test]
fn another_c_library_is_the_only_thing_said_of_what_it_needs() {
    let needing = |needed| Library { needed: vec![needed], ..Library::new() };
    let android = Library {
        wanted: vec![Wanted::versioned("malloc", "libc.so", "LIBC")],
        ..needing("libc.so")
    };
    let for_musl = needing("libc.musl-x86_64.so.1");
    let said = |library| text(&check(library, &contract()));
    let on_musl = Target { libc: Libc::Musl, ..Target::X86_64_LINUX };
    let asked = Contract { target: on_musl, ..contract() };
    let for_glibc = text(&check(&needing("libc.so.6"), &asked));
    assert_snapshot!(said(&for_musl) + &said(&needing("libc.so")) + &said(&android) + &for_glibc);
}
