use hoist_check::Contract;
use hoist_elf::testing::{Library, Wanted};
use insta::assert_snapshot;

use crate::{check, contract, text};

fn wanting(wanted: Vec<Wanted>) -> Library {
    Library { needed: vec!["libc.so.6", "libstdc++.so.6"], wanted, ..Library::new() }
}

fn with_floors(glibc: &str, libstdcxx: &str) -> Contract {
    let floor = |text: &str| Some(text.parse().unwrap());
    Contract { glibc: floor(glibc), libstdcxx: floor(libstdcxx), ..contract() }
}

#[test]
fn symbols_newer_than_the_floor_are_named_newest_first() {
    let library = wanting(vec![
        Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
        Wanted::versioned("pthread_create", "libc.so.6", "GLIBC_2.34"),
        Wanted::versioned("arc4random", "libc.so.6", "GLIBC_2.36"),
        Wanted::versioned("_Znwm", "libstdc++.so.6", "GLIBCXX_3.4"),
        Wanted::versioned("_ZSt4cerr", "libstdc++.so.6", "GLIBCXX_3.4.30"),
    ]);
    assert_snapshot!(text(&check(&library, &with_floors("2.28", "3.4.29"))));
    assert_eq!(text(&check(&library, &with_floors("2.36", "3.4.30"))), "");
    assert_eq!(text(&check(&library, &contract())), "", "no floor, no finding");
}

#[test]
fn packed_relocations_need_the_glibc_that_reads_them() {
    let version = "GLIBC_ABI_DT_RELR";
    let library = wanting(vec![Wanted::versioned("x", "libc.so.6", version)]);
    let report = check(&library, &with_floors("2.35", "3.4"));
    assert_eq!(report.findings[0].rule, "dyn.glibc_floor");
    assert_eq!(text(&check(&library, &with_floors("2.36", "3.4"))), "");
}

#[test]
fn private_symbols_are_never_right() {
    let wanted = vec![Wanted::versioned("__libc_dlopen_mode", "libc.so.6", "GLIBC_PRIVATE")];
    assert_snapshot!(text(&check(&wanting(wanted), &contract())));
}
