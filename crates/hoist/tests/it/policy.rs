//! Policies, waivers and the forms of a report.

use std::fs;

use hoist_testkit::{ADDER_MANIFEST, Hoist};
use serde_json::{Value, json};

use crate::{adder, hoist, nothing_landed};

/// A project whose library is linked lazily and with writable relocations.
fn lazy() -> Hoist {
    let hoist = adder();
    hoist.write("hoist.toml", lazy_manifest(""));
    hoist
}

fn lazy_manifest(check: &str) -> String {
    let sources = "sources = [\"src/*.c\", \"include/*.h\"]";
    let command = "command = [\"cc\", \"-shared\", \"-fPIC\", \"-Iinclude\", \"-Wl,-z,norelro\", \
                   \"-g\", \"-ffile-prefix-map=/build/adder=.\", \"-o\", \
                   \"{out}/lib/libadder.so\", \"src/adder.c\"]";
    let custom = ADDER_MANIFEST.replace(sources, &format!("{sources}\n{command}"));
    format!("{custom}\n{check}")
}

fn findings(hoist: &Hoist, args: &[&str], code: i32) -> Vec<Value> {
    let run = hoist.run([&["check", "--format", "json", "--all"], args].concat()).ended(code);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

fn severity<'f>(findings: &'f [Value], rule: &str) -> &'f str {
    let found = findings.iter().find(|finding| finding["rule"] == rule);
    found.unwrap_or_else(|| panic!("no {rule} in {findings:?}"))["severity"].as_str().unwrap()
}

#[test]
fn a_key_of_a_policy_cannot_speak_to_the_terminal() {
    let hoist = adder();
    hoist.write("p.json", "{\"format\": \"elf-policy/1\", \"a\\u001b]0;owned\\u0007\": 1}");
    let run = hoist.run(["check", "--policy", "p.json", "absent.so"]);
    assert!(run.stderr.contains("the key `a\\u{1b}]0;owned\\u{7}` is not known"), "{}", run.stderr);
}

#[test]
fn the_active_generation_is_checked_without_a_path_and_strict_refuses_what_default_warns_of() {
    let hoist = lazy();
    let run = hoist.run(["check"]).ended(1);
    assert!(run.stderr.contains("adder was not shipped yet"), "{}", run.stderr);
    let _ = hoist.run(["ship"]).ended(0);
    assert_eq!(severity(&findings(&hoist, &[], 0), "harden.relro"), "warning");
    assert_eq!(severity(&findings(&hoist, &["--policy", "strict"], 1), "harden.relro"), "error");

    hoist.write("hoist.toml", lazy_manifest("[check]\npolicy = \"strict\"\n"));
    assert_eq!(severity(&findings(&hoist, &[], 1), "harden.relro"), "error");
    let run = hoist.run(["ship", "--cold"]).ended(1);
    assert!(run.stderr.contains("error[harden.relro] lib/libadder.so"), "{}", run.stderr);
}

#[test]
fn a_waiver_has_the_last_word_until_its_day() {
    let hoist = lazy();
    let waive = |more: &str| {
        lazy_manifest(&format!(
            "[check]\npolicy = \"strict\"\n[[check.waive]]\nrule = \"harden.relro\"\n\
             reason = \"the host rewrites its tables\"\n{more}\n"
        ))
    };
    hoist.write("hoist.toml", waive("library = \"lib/libadder.so\"\nuntil = \"2999-12-31\""));
    let _ = hoist.run(["ship"]).ended(0);
    let found = findings(&hoist, &[], 0);
    let relro = found.iter().find(|finding| finding["rule"] == "harden.relro").unwrap();
    assert_eq!(relro["severity"], "info");
    let waived = json!({
        "reason": "the host rewrites its tables", "until": "2999-12-31", "otherwise": "error",
    });
    assert_eq!(relro["waived"], waived);
    assert!(!hoist.stdout(["check"]).contains("rewrites"), "quiet about what is waived");
    let all = hoist.stdout(["check", "--all"]);
    let line = "waived until 2999-12-31, otherwise error: the host rewrites its tables";
    assert!(all.contains(line), "{all}");
    let sarif: Value = serde_json::from_str(&hoist.stdout(["check", "--format", "sarif"])).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let relro = results.iter().find(|result| result["ruleId"] == "harden.relro").unwrap();
    assert_eq!(relro["level"], "error");
    assert_eq!(relro["suppressions"][0]["kind"], "external");

    hoist.write("hoist.toml", waive("until = \"2001-01-01\""));
    let found = findings(&hoist, &[], 1);
    assert_eq!(severity(&found, "harden.relro"), "error");
    assert_eq!(severity(&found, "waiver.expired"), "warning");

    hoist.write("hoist.toml", waive("symbol = \"adder_add\""));
    let found = findings(&hoist, &[], 1);
    assert_eq!(severity(&found, "waiver.unused"), "info");
}

#[test]
fn a_waiver_may_raise_a_finding() {
    let hoist = lazy();
    let raise = "[[check.waive]]\nrule = \"harden.relro\"\nseverity = \"error\"\n\
                 reason = \"our hosts take code from strangers\"\n";
    hoist.write("hoist.toml", lazy_manifest(raise));
    let run = hoist.run(["ship"]).ended(1);
    assert!(run.stderr.contains("error[harden.relro]"), "{}", run.stderr);
    nothing_landed(&hoist);
}

#[test]
fn names_that_no_policy_and_no_rule_has_are_refused_at_their_place() {
    let hoist = adder();
    let check = "[check]\npolicy = \"strickt\"\n[[check.waive]]\nrule = \"harden.relo\"\n\
                 reason = \"x\"\n";
    hoist.write("hoist.toml", format!("{ADDER_MANIFEST}{check}"));
    let run = hoist.run(["ship"]).ended(2);
    for line in [
        "hoist.toml:13:10: there is no policy `strickt`",
        "hoist.toml:15:8: there is no rule `harden.relo`",
        "did you mean `strict`?",
        "did you mean `harden.relro`?",
    ] {
        assert!(run.stderr.contains(line), "{line}: {}", run.stderr);
    }
    let run = hoist.run(["check", "--policy", "manylinux_2_82", "x.so"]).ended(2);
    assert!(run.stderr.contains("did you mean `manylinux_2_28`?"), "{}", run.stderr);
}

#[test]
fn a_header_on_the_command_line_is_a_promise() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    let library = format!("{}{store_path}/lib/libadder.so", hoist.root().display());
    let _ = hoist.run(["check", "--header", "include/adder.h", &library]).ended(0);
    hoist.write("more.h", "int adder_add(int, int);\nint adder_sub(int, int);\n");
    let run = hoist.run(["check", "--header", "more.h", &library]).ended(1);
    assert!(run.stdout.contains("`adder_sub` is promised by more.h but not"), "{}", run.stdout);
    hoist.write("bad.h", "int adder_add(nothing x);\n");
    let run = hoist.run(["check", "--header", "bad.h", &library]).ended(2);
    assert!(run.stderr.contains("error: bad.h:1:15: "), "{}", run.stderr);
    let run = hoist.run(["check", "--isa", "x86-64-v9", &library]).ended(2);
    assert!(run.stderr.contains("x86-64-v3"), "{}", run.stderr);
}

#[test]
fn what_is_in_order_takes_one_line_with_its_facts() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    let library = format!("{}{store_path}/lib/libadder.so", hoist.root().display());
    fs::copy(&library, hoist.project().join("libadder.so")).unwrap();
    let line = hoist.stdout(["check", "--isa", "x86-64-v2", "libadder.so"]);
    assert!(line.starts_with("libadder.so: no findings; 1"), "{line}");
    assert!(line.ends_with(" KiB, 4 exports, x86-64-v2"), "{line}");
    assert_eq!(hoist.stdout(["check", "--quiet", "libadder.so"]), "");
}

#[test]
fn two_ways_to_print_are_one_too_many() {
    let hoist = hoist();
    let run = hoist.run(["check", "--json", "--format", "sarif", "x.so"]).ended(2);
    assert!(run.stderr.contains("--format json for one object"), "{}", run.stderr);
    let _ = hoist.run(["check", "--format", "neutral", "x.so", "y.so"]).ended(2);
}

#[test]
fn files_of_several_folders_are_told_apart() {
    let hoist = hoist();
    hoist.write("one/lib.so", "no library");
    hoist.write("two/lib.so", "no library");
    let files: Vec<String> = findings(&hoist, &["one", "two/"], 1)
        .iter()
        .map(|finding| finding["file"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["one/lib.so", "two/lib.so"]);
}

#[test]
fn a_report_for_programs_has_nothing_else_beside_it() {
    let hoist = adder();
    let store_path = hoist.stdout(["build", "--quiet"]);
    let library = format!("{}{store_path}/lib/libadder.so", hoist.root().display());
    for format in ["json", "sarif", "neutral"] {
        let args = ["check", "--format", format, "--against", &library, &library];
        let report: Result<Value, _> = serde_json::from_str(&hoist.stdout(args));
        assert!(report.is_ok(), "{format}");
    }
}
