use hoist_check::Contract;
use hoist_elf::testing::Library;
use hoist_schema::Severity;
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
    let unasked = Contract { forbidden_paths: Vec::new(), ..contract() };
    assert_eq!(text(&check(&holding("\0/build/x/y.c\0"), &unasked)), "", "not asked, not judged");
}

#[test]
fn a_path_may_follow_the_option_of_a_compiler() {
    for option in ["-I", "-L", "-B", "-o", "-isystem", "-iquote", "-idirafter", "cc -c -I"] {
        let library = holding(&format!("\0{option}/home/alice/inc\0"));
        let said = text(&check(&library, &contract()));
        assert!(said.contains("`/home/alice/inc` is in the file"), "{option}: {said}");
    }
    for other in ["x-I", "lib", "-W", "I"] {
        let library = holding(&format!("\0{other}/home/alice/inc\0"));
        assert_eq!(text(&check(&library, &contract())), "", "{other}");
    }
}

#[test]
fn a_runpath_is_not_reported_twice() {
    let library = Library { runpath: Some("/build/case/lib"), ..Library::new() };
    let report = check(&library, &leaking(&["/build"]));
    assert_eq!(report.findings[0].rule, "dyn.runpath_leak");
    assert!(report.findings.iter().all(|finding| finding.rule != "leak.build_path"));
}

#[test]
fn what_only_begins_as_an_entry_of_the_runpath_is_reported() {
    let data = b"\0/build/case/li\0/build/case/lib\0".to_vec();
    let runpath = Some("$ORIGIN:/build/case/lib:/build/other");
    let report = check(&Library { runpath, data, ..Library::new() }, &leaking(&["/build"]));
    let leaks = report.findings.iter().filter(|finding| finding.rule == "leak.build_path");
    let objects: Vec<_> = leaks.map(|finding| finding.object.as_deref()).collect();
    assert_eq!(objects, [Some("/build/case/li")]);
}

#[test]
fn a_path_of_any_build_machine_is_shown_once_for_its_folder() {
    let strings = "\0/home/alice/src/a.c\0/home/alice/src/b.c\0/tmp/x.c\0/tmp/perf-%d.map\0\
                   /tmp/out/{}\0/tmp/socket\0/Users/bob/.cache\0see /home for more\0";
    assert_snapshot!(text(&check(&holding(strings), &contract())));
}

#[test]
fn a_path_counts_for_the_longest_prefix() {
    let library = holding("\0/home/alice/case/src/add.c\0");
    let report = check(&library, &leaking(&["/home/alice/case"]));
    let leaks: Vec<_> =
        report.findings.iter().filter(|found| found.severity > Severity::Info).collect();
    assert_eq!(leaks.len(), 1);
    assert!(leaks[0].fix.contains("-ffile-prefix-map=/home/alice/case=."), "{}", leaks[0].fix);
    assert_eq!(leaks[0].object.as_deref(), Some("/home/alice/case/src/add.c"));
}

#[test]
fn the_name_of_the_machine_is_a_word_of_its_own() {
    let named = |names: &[&str]| Contract {
        leaked_names: names.iter().map(|&name| name.to_owned()).collect(),
        ..contract()
    };
    let library = holding("\0built by alice on workhorse, linux\0");
    assert_snapshot!(text(&check(&library, &named(&["workhorse"]))));
    for name in ["work", "horse", "workhorses", "linux", ""] {
        assert_eq!(text(&check(&library, &named(&[name]))), "", "{name}");
    }
}
