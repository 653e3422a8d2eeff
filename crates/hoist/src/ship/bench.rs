//! The gate: a project's own bench, run on the store path, held against the manifest's bars.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hoist_nix::Sha256Hash;
use hoist_sandbox::{End, HostSpec, Limits, SandboxError};
use hoist_schema::Exit;
use hoist_schema::manifest::Bench;
use hoist_schema::record::StageRecord;
use serde_json::{Map, Value};

use super::Landed;
use super::bench_python::find_python;
use super::stages::ms;
use crate::error::CliError;
use crate::output::{BOLD, DIM, GOOD, Output, duration};
use crate::project::Project;
use crate::receipt::Receipt;
use crate::runtime::{materialise_runtime, runtime_digest};
use crate::settings::Settings;

/// Edition of how benches are run; another one measures again.
const EDITION: &str = "1";

/// Most bytes of a bench's output that are kept, from its end.
const KEPT_BYTES: usize = 256 << 10;

/// Lines of a bench's output that a failure shows, and their length.
const SHOWN_LINES: usize = 20;
const SHOWN_COLUMNS: usize = 200;

/// Longest script whose content is part of what a measurement depends on, in bytes.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;

/// What a bench measured.
#[derive(Debug)]
struct Measured {
    values: Map<String, Value>,
    origin: Origin,
}

/// Where a measurement is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Remembered.
    Cache,
    /// Made now, with all that the bench wants.
    Whole,
    /// Made now, without a wheel that the bench wants. Another day it may be there, so this is not
    /// remembered.
    Without,
}

/// Runs the project's bench on `landed`, unless the same store path was measured before by the
/// same bench, and holds it against the bars.
pub(crate) fn bench(
    project: &Project,
    landed: &Landed,
    settings: &Settings,
    again: bool,
    out: &Output,
) -> Result<(), CliError> {
    let Some(bench) = &project.manifest.bench else { return Ok(()) };
    let start = Instant::now();
    let kept =
        settings.cache.root().join("bench").join(format!("{}.json", key(project, bench, landed)));
    let known = if again { None } else { read_known(&kept) };
    let measured = match known {
        Some(values) => Measured { values, origin: Origin::Cache },
        None => measure(project, bench, landed, settings, out)?,
    };
    let time = start.elapsed();
    out.record(&StageRecord::Bench {
        ms: ms(time),
        cached: measured.origin == Origin::Cache,
        measured: measured.values.clone(),
        bars: bench.min.iter().map(|(name, bar)| (name.clone(), (*bar).into())).collect(),
    });
    let verdicts = judge(&bench.min, &measured.values)?;
    say(out, time, &measured, &verdicts);
    let closed: Vec<String> =
        verdicts.iter().filter(|verdict| !verdict.open()).map(Verdict::text).collect();
    if !closed.is_empty() {
        let message = format!("the gate is closed: {}", closed.join("; "));
        return Err(CliError::new(Exit::No, message).hint(
            "the store path is kept, the profile was not switched; make it faster or lower `min`",
        ));
    }
    if measured.origin == Origin::Whole
        && let Ok(json) = serde_json::to_vec(&measured.values)
    {
        // A measurement that is not remembered is taken again.
        let _ = settings.cache.folder("bench").map(|_| fs::write(&kept, json));
    }
    Ok(())
}

/// All that a measurement depends on, as one name.
fn key(project: &Project, bench: &Bench, landed: &Landed) -> String {
    let mut text = format!("{EDITION}\n{}\n{}\n", landed.store_path, runtime_digest());
    for word in &bench.command {
        text = format!("{text}{word}\n");
        for file in script_files(&project.folder.join(word)) {
            let content = fs::read(&file).unwrap_or_default();
            text = format!("{text}{} {}\n", file.display(), Sha256Hash::of(&content).base16());
        }
    }
    text.push_str(&bench.wheels.join(" "));
    Sha256Hash::of(text.as_bytes()).base16()
}

/// A script and those beside it in the same language, which it may import; none for a word that is
/// no file of a script's size.
fn script_files(word: &Path) -> Vec<PathBuf> {
    let is_script = |file: &Path| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() <= MAX_SCRIPT_BYTES)
    };
    if !is_script(word) {
        return Vec::new();
    }
    let beside = word.parent().into_iter().flat_map(fs::read_dir).flatten().flatten();
    let mut files: Vec<PathBuf> = beside
        .map(|entry| entry.path())
        .filter(|file| file.extension() == word.extension() && is_script(file))
        .collect();
    files.sort();
    files
}

fn read_known(file: &Path) -> Option<Map<String, Value>> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// One bar and what was measured against it.
struct Verdict {
    name: String,
    bar: f64,
    value: f64,
}

impl Verdict {
    fn open(&self) -> bool {
        self.value >= self.bar // a NaN keeps the gate closed
    }

    fn text(&self) -> String {
        format!("`{}` is {}, wanted at least {}", self.name, self.value, self.bar)
    }
}

fn judge(
    bars: &BTreeMap<String, f64>,
    values: &Map<String, Value>,
) -> Result<Vec<Verdict>, CliError> {
    let judge = |(name, bar): (&String, &f64)| {
        let value = values.get(name).and_then(Value::as_f64).ok_or_else(|| {
            let names: Vec<&str> = values.keys().map(String::as_str).collect();
            let message =
                format!("the bench measured no `{name}`; it printed {}", names.join(", "));
            CliError::new(Exit::No, message)
                .hint("correct `min` in [bench], or the bench; the profile was not switched")
        })?;
        Ok(Verdict { name: name.clone(), bar: *bar, value })
    };
    bars.iter().map(judge).collect()
}

fn say(out: &Output, time: Duration, measured: &Measured, verdicts: &[Verdict]) {
    let receipt = Receipt::new(out);
    let text = |name: &str| measured.values.get(name).and_then(Value::as_str);
    let mut what = verdicts
        .iter()
        .filter(|verdict| verdict.open())
        .map(|verdict| {
            let unit = if verdict.name == "speedup" { "x" } else { "" };
            let Verdict { name, bar, value } = verdict;
            format!("{GOOD}{BOLD}{name} {value:.1}{unit}{BOLD:#}{GOOD:#} (bar {bar}{unit})")
        })
        .collect::<Vec<_>>()
        .join(", ");
    if measured.origin == Origin::Cache {
        what.push_str(", measured before");
    }
    receipt.stage("bench", time, &what);
    if let Some(baseline) = text("baseline") {
        let shape = text("shape").map(|shape| format!(" ({shape})")).unwrap_or_default();
        receipt.more(&format!("over {baseline}{shape}"));
    }
    if let Some(note) = text("note") {
        receipt.more(note);
    }
}

/// Whether a program is a Python of the machine: `python3`, `python3.12`, `/usr/bin/python3`. One
/// below the project, such as `.venv/bin/python`, is the project's own affair.
fn is_python(program: &str) -> bool {
    let (folder, name) = program.rsplit_once('/').unwrap_or(("/", program));
    (folder.is_empty() || folder.starts_with('/')) && name.starts_with("python")
}

fn measure(
    project: &Project,
    bench: &Bench,
    landed: &Landed,
    settings: &Settings,
    out: &Output,
) -> Result<Measured, CliError> {
    let progress = out.progress("preparing the bench");
    let runtime = materialise_runtime(&settings.cache)?;
    let mut command: Vec<OsString> = bench.command.iter().map(OsString::from).collect();
    let mut missing = None;
    if let Some(program) = bench.command.first().filter(|program| is_python(program)) {
        let python = find_python(program, &bench.wheels, &settings.cache, out)?;
        command[0] = python.program.into_os_string();
        missing = python.missing;
    }
    let mut env: BTreeMap<OsString, OsString> = env::vars_os().collect();
    env.insert("HOIST_ARTIFACT".into(), landed.path.clone().into());
    env.insert("PYTHONPATH".into(), runtime.into());
    env.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
    env.extend(missing.as_ref().map(|missing| ("HOIST_BENCH_WITHOUT".into(), missing.into())));
    progress.say(format!("measuring {}", landed.store_path).as_bytes());
    let limits = Limits { wall: Some(bench.timeout.0), ..Limits::default() };
    let spec = HostSpec { command, env, cwd: project.folder.clone(), limits };
    let said = run_to_its_end(&spec, bench.timeout.0)?;
    let values = last_object(&said).ok_or_else(|| {
        let message = if said.trim().is_empty() {
            "the bench printed nothing"
        } else {
            "the bench printed no JSON object on a line of its own"
        };
        CliError::new(Exit::No, message)
            .details(quoted(&said))
            .hint("let it print {\"speedup\": 31.4} last; the profile was not switched")
    })?;
    Ok(Measured { values, origin: if missing.is_none() { Origin::Whole } else { Origin::Without } })
}

/// Runs a bench, and ends what it started with it. Returns the end of what it printed.
fn run_to_its_end(spec: &HostSpec, timeout: Duration) -> Result<String, CliError> {
    let mut tail = Vec::new();
    let mut keep = |bytes: &[u8]| {
        tail.extend_from_slice(bytes);
        if tail.len() > 2 * KEPT_BYTES {
            tail.drain(..tail.len() - KEPT_BYTES);
        }
    };
    let outcome = hoist_sandbox::run_on_host(spec, &mut keep).map_err(|e| not_started(&e))?;
    let said = String::from_utf8_lossy(&tail).into_owned();
    let (ended, advice) = match outcome.end {
        End::Code(0) => return Ok(said),
        End::Code(code) => (format!("ended with exit code {code}"), ""),
        End::Signal(signal) => (format!("was ended by signal {signal}"), ""),
        End::TimedOut => (
            format!("did not end within {}", duration(timeout)),
            "raise `timeout` in [bench] if it needs longer; ",
        ),
    };
    Err(CliError::new(Exit::No, format!("the bench {ended}"))
        .details(quoted(&said))
        .hint(format!("{advice}the profile was not switched")))
}

fn not_started(error: &SandboxError) -> CliError {
    CliError::from_error(error, None, Exit::Machine)
        .hint("install it, or correct `command` in [bench]; the profile was not switched")
}

/// The last line that is a JSON object; warnings may follow it.
fn last_object(said: &str) -> Option<Map<String, Value>> {
    said.lines().rev().find_map(|line| serde_json::from_str(line.trim()).ok())
}

/// The last lines of what was printed, marked.
fn quoted(said: &str) -> Vec<String> {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    shown.iter().map(|line| format!("  {DIM}|{DIM:#} {}", printable(line))).collect()
}

/// A line without what would move the cursor, and not longer than a screen.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(SHOWN_COLUMNS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(value: &str) -> Result<Vec<Verdict>, CliError> {
        let bars = BTreeMap::from([("speedup".to_owned(), 13.1)]);
        judge(&bars, &serde_json::from_str(value).unwrap())
    }

    #[test]
    fn a_gate_opens_at_its_bar() {
        assert!(verdicts(r#"{"speedup": 13.1}"#).unwrap()[0].open());
        assert!(!verdicts(r#"{"speedup": 13.0}"#).unwrap()[0].open());
    }

    #[test]
    fn a_gate_without_data_does_not_open() {
        assert!(verdicts(r#"{"speed": 99}"#).is_err());
        assert!(verdicts(r#"{"speedup": "fast"}"#).is_err());
        let nan = Verdict { name: "speedup".to_owned(), bar: 1.0, value: f64::NAN };
        assert!(!nan.open());
    }

    #[test]
    fn the_last_object_counts_whatever_follows_it() {
        let said = "{\"speedup\": 1}\nnoise\n  {\"speedup\": 2}\na warning, [1], 3\n";
        assert_eq!(last_object(said).unwrap()["speedup"], 2);
        assert!(last_object("[1]\n2\n\"speedup\"\n{\"speedup\": 1").is_none());
    }
}
