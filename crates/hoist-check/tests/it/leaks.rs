use hoist_check::Contract;
use hoist_elf::testing::Library;
use insta::assert_snapshot;

use crate::{check, contract, text};

fn holding(text: &str) -> Library {
    Library { data: text.as_bytes().to_vec(), ..Library::new() }
}

fn leaking(paths: &[&str]) -> Contract {
    Contract { leaked_paths: paths.iter().map(|&path| path.to_owned()).collect(), ..contract() }
}

#[test]
fn a_path_of_the_build_is_shown_with_its_place() {
    let library = holding("\0-I/build/case/include\0/build/case/src/add.c\0=/build/case/b.c\0");
    assert_snapshot!(text(&check(&library, &leaking(&["/build/case", "/home/alice/"]))));
}

#[test]
fn what_only_resembles_a_path_of_the_build_is_none() {
    let library = holding("\0/usr/build/x\0/builder/x\0/build\0/build/tmp.XXXXXX\0http://build/\0");
    assert_eq!(text(&check(&library, &leaking(&["/build"]))), "");
    assert_eq!(text(&check(&holding("\0/build/x\0"), &contract())), "", "not asked, not judged");
}

#[test]
fn a_runpath_is_not_reported_twice() {
    let library = Library { runpath: Some("/build/case/lib"), ..Library::new() };
    let report = check(&library, &leaking(&["/build"]));
    assert_eq!(report.findings[0].rule, "dyn.runpath_leak");
    assert!(report.findings.iter().all(|finding| finding.rule != "leak.build_path"));
}
