use hoist_check::{Contract, Family, Target, best_manylinux, floors, manylinux};
use hoist_elf::ElfFacts;
use hoist_elf::testing::{Definition, Library, Wanted};
use hoist_schema::Severity;
use insta::assert_snapshot;

use crate::{check, check_among, contract, text};

/// `std::__glibcxx_assert_fail`, which came with gcc 12.
const ASSERT_FAIL: &str = "_ZSt21__glibcxx_assert_failPKciS0_S0_";

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
        Wanted::versioned(ASSERT_FAIL, "libstdc++.so.6", "GLIBCXX_3.4.30"),
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

#[test]
fn a_weak_version_above_the_floor_is_a_warning() {
    let weak = Wanted { is_weak: true, ..Wanted::versioned("gettid", "libc.so.6", "GLIBC_2.30") };
    let report = check(&wanting(vec![weak]), &with_floors("2.28", "3.4"));
    assert_eq!(report.findings[0].rule, "dyn.glibc_floor");
    assert_eq!(report.findings[0].severity, Severity::Warning);
}

#[test]
fn the_abi_of_cxx_and_libgcc_have_floors_too() {
    let library = Library {
        needed: vec!["libstdc++.so.6", "libgcc_s.so.1"],
        wanted: vec![
            Wanted::versioned("__cxa_init_primary_exception", "libstdc++.so.6", "CXXABI_1.3.11"),
            Wanted::versioned("__divmodti4", "libgcc_s.so.1", "GCC_7.0.0"),
        ],
        ..Library::new()
    };
    let asked = Contract { libgcc: "4.8.0".parse().ok(), ..with_floors("2.17", "3.4.19") };
    assert_snapshot!(text(&check(&library, &asked)));
    let newer = Contract { libgcc: "7.0.0".parse().ok(), ..with_floors("2.17", "3.4.24") };
    assert_eq!(text(&check(&library, &newer)), "");
}

#[test]
fn a_copy_of_libstdcxx_in_the_artifact_is_taken_unless_the_systems_is_there() {
    let library = Library {
        runpath: Some("$ORIGIN"),
        ..wanting(vec![Wanted::versioned(ASSERT_FAIL, "libstdc++.so.6", "GLIBCXX_3.4.30")])
    };
    let own = Library {
        soname: Some("libstdc++.so.6"),
        exports: vec![Definition::function(ASSERT_FAIL).in_version("GLIBCXX_3.4.30")],
        ..Library::new()
    };
    let others = [("lib/libstdc++.so.6", &own)];
    let report = check_among(&library, &with_floors("2.28", "3.4.19"), &others);
    assert_eq!(report.findings[0].rule, "dyn.libstdcxx_floor");
    assert_eq!(report.findings[0].severity, Severity::Warning);
}

#[test]
fn an_ability_of_the_loader_that_is_not_known_is_above_every_floor() {
    let unknown = Wanted::versioned("x", "libc.so.6", "GLIBC_ABI_DT_NEW");
    let report = check(&wanting(vec![unknown]), &with_floors("2.43", "3.4"));
    assert_eq!(report.findings[0].rule, "dyn.glibc_floor");
    assert_eq!(report.findings[0].object.as_deref(), Some("GLIBC_ABI_DT_NEW"));
}

#[test]
fn what_glibc_keeps_for_itself_is_its_own_libraries() {
    let part = Library {
        exports: vec![Definition::function("add").in_version("GLIBC_PRIVATE")],
        wanted: vec![Wanted::versioned("__libc_fatal", "libc.so.6", "GLIBC_PRIVATE")],
        needed: vec!["libc.so.6"],
        ..Library::new()
    };
    assert_eq!(text(&check(&part, &contract())), "");
}

#[test]
fn the_floors_of_a_library_name_what_decides_them() {
    let wanted = vec![
        Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
        Wanted::versioned("fcntl64", "libc.so.6", "GLIBC_2.28"),
        Wanted { is_weak: true, ..Wanted::versioned("gettid", "libc.so.6", "GLIBC_2.30") },
        Wanted::versioned("logf", "libm.so.6", "GLIBC_2.27"),
        Wanted::versioned("_ZNSt9exceptionD2Ev", "libstdc++.so.6", "GLIBCXX_3.4"),
        Wanted::versioned("_ZNSt6thread6_StateD2Ev", "libstdc++-0a1b2c3d.so.6", "GLIBCXX_3.4.22"),
    ];
    let needed = vec!["libc.so.6", "libm.so.6", "libstdc++.so.6"];
    let facts = ElfFacts::read(&Library { wanted, needed, ..Library::new() }.build()).unwrap();
    let of_first = floors(&facts);
    assert_eq!(
        of_first.to_string(),
        "glibc 2.28 (because of `fcntl64`), libstdc++ with GLIBCXX_3.4 of gcc 4.1 (because of \
         `_ZNSt9exceptionD2Ev`)"
    );
    let platform = best_manylinux([&facts], &Target::X86_64_LINUX).unwrap();
    assert_eq!(platform.name, "manylinux_2_28");
    let packed = vec![Wanted::versioned("x", "libc.so.6", "GLIBC_ABI_DT_RELR")];
    let packed = ElfFacts::read(&wanting(packed).build()).unwrap();
    let both = of_first.and(&floors(&packed));
    assert_eq!(both.get(Family::Glibc).unwrap().release.to_string(), "2.36");
    let odd = Library { needed: vec!["libodd.so"], ..Library::new() };
    let odd = ElfFacts::read(&odd.build()).unwrap();
    assert_eq!(best_manylinux([&facts, &odd], &Target::X86_64_LINUX), None);
}

#[test]
fn a_platform_has_an_old_name_and_demands() {
    let newest = manylinux("manylinux2014_x86_64").unwrap();
    assert_eq!(newest.name, "manylinux_2_17");
    assert_eq!(manylinux("manylinux_2_17_aarch64"), Some(newest));
    assert_eq!(manylinux("manylinux_2_1"), None);
    let mut asked = contract();
    manylinux("manylinux_2_28").unwrap().demand(&mut asked);
    let asked = [&asked.glibc, &asked.libstdcxx, &asked.libgcc].map(|it| it.clone().unwrap());
    assert_eq!(asked.map(|version| version.to_string()), ["2.28", "3.4.24", "7.0.0"]);
    let oldest = manylinux("manylinux1").unwrap();
    assert!(!oldest.libraries(&Target::X86_64_LINUX).contains("libexpat.so.1"));
}

/// A library with `DT_RELR`, `DT_RELRSZ` and `DT_RELRENT`, which packs nothing.
fn packed(versions: &[&'static str]) -> Library {
    let wanted = |version: &&'static str| Wanted::versioned("malloc", "libc.so.6", version);
    let dynamic = vec![(36, 0x1_0000), (35, 0), (37, 8)];
    Library { dynamic, ..wanting(versions.iter().map(wanted).collect()) }
}

#[test]
fn packed_relocations_must_be_announced_to_the_loader() {
    let asked = with_floors("2.28", "3.4");
    let silent = packed(&["GLIBC_2.2.5"]);
    assert_snapshot!(text(&check(&silent, &asked)));
    let report = check(&silent, &contract());
    assert_eq!(report.findings[0].rule, "dyn.version_missing");
    assert_eq!(report.findings[0].object.as_deref(), Some("GLIBC_ABI_DT_RELR"));
    let floors = floors(&ElfFacts::read(&silent.build()).unwrap());
    assert_eq!(floors.to_string(), "glibc 2.36 (because of GLIBC_ABI_DT_RELR)");

    let announced = packed(&["GLIBC_ABI_DT_RELR"]);
    assert_eq!(text(&check(&announced, &contract())), "");
    assert_eq!(
        check(&announced, &asked).findings.iter().filter(|f| f.rule == "dyn.glibc_floor").count(),
        1
    );
    // The loader asks this only of those that want versions of libc.
    assert_eq!(text(&check(&packed(&[]), &contract())), "");
}

#[test]
fn floors_hold_for_what_comes_with_a_library() {
    let library =
        Library { needed: vec!["libhelp.so.1"], runpath: Some("$ORIGIN"), ..Library::new() };
    let helper = Library {
        soname: Some("libhelp.so.1"),
        ..wanting(vec![
            Wanted::versioned("malloc", "libc.so.6", "GLIBC_2.2.5"),
            Wanted::versioned("arc4random", "libc.so.6", "GLIBC_2.36"),
            Wanted::versioned("pthread_create", "libc.so.6", "GLIBC_2.34"),
        ])
    };
    let others = [("lib/libhelp.so.1", &helper)];
    let report = check_among(&library, &with_floors("2.28", "3.4.29"), &others);
    assert_snapshot!(text(&report));
    assert_eq!(report.findings[0].symbol.as_deref(), Some("arc4random"));
    assert_eq!(report.findings[0].object.as_deref(), Some("lib/libhelp.so.1"));
    assert_eq!(text(&check_among(&library, &with_floors("2.36", "3.4.29"), &others)), "");
}
