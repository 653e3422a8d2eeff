//! Reports for other programs, read by Python: SARIF held against the schema of its standard, and the
//! XML of `JUnit` parsed.

use std::fs;

use hoist_testkit::{Hoist, Run, Tool, not_checked, tool};
use serde_json::{Value, json};

/// A home with a project that shipped, and a library beside it with errors and warnings.
fn project() -> Hoist {
    let hoist = Hoist::new(env!("CARGO_BIN_EXE_hoist"));
    hoist.adder();
    let _ = hoist.run(["ship", "--quiet"]).ended(0);
    hoist.write("bad.c", "void *malloc(unsigned long n) { (void)n; return 0; }\n");
    let mut gcc = std::process::Command::new("gcc");
    gcc.current_dir(hoist.project()).args(["-shared", "-fPIC", "-fno-builtin", "-o"]);
    let _ = Run::of(gcc.args(["b a d.so", "bad.c", "-Wl,-z,norelro", "-Wl,-z,execstack"])).ended(0);
    hoist
}

/// Python with the packages that `script` imports; `None`, said aloud, without them.
fn python(packages: &str) -> Option<Tool> {
    let python = tool("python3", "python3")?;
    let there = Run::of(python.command().args(["-c", &format!("import {packages}")])).code == 0;
    if !there {
        not_checked(&format!("python3 has no {packages}"));
    }
    there.then_some(python)
}

const VALIDATE: &str = "
import json, sys, jsonschema
schema, report = (json.load(open(path)) for path in sys.argv[1:])
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
for error in validator(schema).iter_errors(report):
    print(error.json_path, error.message)
";

#[test]
fn sarif_keeps_to_the_schema_of_its_standard() {
    let (Some(python), Some(_)) = (python("jsonschema"), tool("gcc", "gcc")) else { return };
    let hoist = project();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sarif-2.1.0.schema.json");
    let validate = |report: &str| {
        let file = hoist.write("report.sarif", report);
        let run = Run::of(python.command().args(["-c", VALIDATE, schema]).arg(file));
        run.ended(0).stdout
    };
    let bad = hoist.run(["check", "--format", "sarif", "--export", "gone", "b a d.so"]).ended(1);
    assert_eq!(validate(&bad.stdout), "");
    let clean = hoist.run(["check", "--format", "sarif"]).ended(0);
    assert_eq!(validate(&clean.stdout), "");
    assert_ne!(validate(&bad.stdout.replace("\"message\"", "\"words\"")), "", "it can fail");

    let report: Value = serde_json::from_str(&bad.stdout).unwrap();
    let run = &report["runs"][0];
    let uris: Vec<&Value> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        .collect();
    assert!(uris.iter().all(|uri| **uri == json!("b%20a%20d.so")), "{uris:?}");
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
}

const SUITES: &str = "
import sys, xml.etree.ElementTree as tree
suites = tree.parse(sys.argv[1]).getroot()
assert suites.tag == 'testsuites', suites.tag
for suite in suites:
    cases = suite.findall('testcase')
    count = lambda tag: sum(case.find(tag) is not None for case in cases)
    assert int(suite.get('tests')) == len(cases) > 0
    assert int(suite.get('failures')) == count('failure')
    assert int(suite.get('skipped')) == count('skipped')
    for case in cases:
        failure = case.find('failure')
        text = failure.get('message') if failure is not None else ''
        print(suite.get('name'), case.get('name'), text, sep='|')
assert int(suites.get('tests')) == sum(int(suite.get('tests')) for suite in suites)
assert int(suites.get('failures')) == sum(int(suite.get('failures')) for suite in suites)
";

#[test]
fn junit_is_xml_whose_counts_are_right() {
    let (Some(python), Some(_)) = (python("xml"), tool("gcc", "gcc")) else { return };
    let hoist = project();
    let report = |args: &[&str]| {
        let run = hoist.run([&["check", "--format", "junit"], args].concat());
        let file = hoist.write("report.xml", &run.stdout);
        Run::of(python.command().args(["-c", SUITES]).arg(file)).ended(0).stdout
    };
    let lines = report(&["--export", "a<b>&\"d'", "b a d.so"]);
    let wanted = "b a d.so|export.missing|`a<b>&\"d'` is promised by --export but not exported";
    assert!(lines.contains(wanted), "{lines}");
    assert!(lines.contains("b a d.so|harden.execstack|it asks for"), "{lines}");
    assert!(lines.contains("b a d.so|harden.relro|\n"), "a warning passes: {lines}");
}

#[test]
fn reports_are_the_same_each_time_and_written_in_the_form_of_their_name() {
    if tool("gcc", "gcc").is_none() {
        return;
    }
    let hoist = project();
    for (format, file) in [("sarif", "r.sarif"), ("junit", "r.xml"), ("json", "r.json")] {
        let run = hoist.run(["check", "--format", format, "--report", file, "-j1", "."]).ended(1);
        let again = hoist.run(["check", "--format", format, "-j8", "."]).ended(1);
        assert_eq!(run.stdout, again.stdout);
        assert_eq!(run.stdout, fs::read_to_string(hoist.project().join(file)).unwrap());
    }
}
