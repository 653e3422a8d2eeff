//! A path of the build that gcc wrote into debug information is found there, packed or not.

use std::fs;

use hoist_check::{Contract, Target, check_file};
use hoist_testkit::tool;

#[test]
fn compression_hides_no_path() {
    let Some(gcc) = tool("gcc", "gcc") else { return };
    let home = tempfile::tempdir().unwrap();
    let library = home.path().join("libcase.so");
    fs::write(home.path().join("case.c"), "#include <stdio.h>\nint add(int a) { return a + 1; }\n")
        .unwrap();
    let mut contract = Contract::new(Target::HOST);
    contract.leaked_paths = vec!["/home/alice".to_owned()];
    for (packing, is_packed) in [("-gz=none", false), ("-gz=zlib", true)] {
        let map = format!("-fdebug-prefix-map={}=/home/alice/src", home.path().display());
        let mut command = gcc.command();
        command.current_dir(home.path()).args(["-shared", "-fPIC", "-g3", packing, "case.c"]);
        let built = command.arg(map).arg("-o").arg(&library).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let bytes = fs::read(&library).unwrap();
        let is_plain = bytes.windows(11).any(|text| text == b"/home/alice");
        assert_eq!(is_plain, !is_packed, "{packing}");
        let findings = check_file(&library, &contract).unwrap().findings;
        let leak = findings.iter().find(|finding| finding.rule == "leak.build_path").unwrap();
        assert!(leak.message.starts_with("`/home/alice/src` is in the file"), "{}", leak.message);
        assert_eq!(leak.message.contains("which is compressed"), is_packed, "{}", leak.message);
    }
}
