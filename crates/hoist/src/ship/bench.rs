//! The gate: a project's own bench, run on the store path, held against the manifest's bars.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hoist_nix::Sha256Hash;
use hoist_schema::Exit;
use hoist_schema::manifest::Bench;
use hoist_schema::record::StageRecord;
use serde_json::{Map, Value};

use super::Landed;
use super::bench_python::{Python, find_python};
use super::stages::ms;
use crate::error::CliError;
use crate::output::{BOLD, GOOD, Output, duration};
use crate::project::Project;
use crate::receipt::Receipt;
use crate::runtime::materialise_runtime;
use crate::settings::Settings;

/// Edition of how benches are run; another one measures again.
const EDITION: &str = "1";

/// Most bytes of a bench's output that are read.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// What a bench measured.
#[derive(Debug)]
struct Measured {
    values: Map<String, Value>,
    cached: bool,
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
        Some(values) => Measured { values, cached: true },
        None => Measured { values: measure(project, bench, landed, settings, out)?, cached: false },
    };
    let time = start.elapsed();
    out.record(&StageRecord::Bench {
        ms: ms(time),
        cached: measured.cached,
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
    if !measured.cached
        && let Ok(json) = serde_json::to_vec(&measured.values)
    {
        let kept_folder = kept.parent().unwrap_or(Path::new("/"));
        // A measurement that is not remembered is taken again.
        let _ = fs::create_dir_all(kept_folder).and_then(|()| fs::write(&kept, json));
    }
    Ok(())
}

/// All that a measurement depends on, as one name.
fn key(project: &Project, bench: &Bench, landed: &Landed) -> String {
    let mut text = format!("{EDITION}\n{}\n", landed.store_path);
    for word in &bench.command {
        let content = fs::read(project.folder.join(word)).unwrap_or_default();
        text = format!("{text}{word} {}\n", Sha256Hash::of(&content).base16());
    }
    text.push_str(&bench.wheels.join(" "));
    Sha256Hash::of(text.as_bytes()).base16()
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
        format!("`{}` is {:.1}, wanted at least {}", self.name, self.value, self.bar)
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
            CliError::new(Exit::No, message).hint("correct `min` in [bench], or the bench")
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
    if measured.cached {
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

fn measure(
    project: &Project,
    bench: &Bench,
    landed: &Landed,
    settings: &Settings,
    out: &Output,
) -> Result<Map<String, Value>, CliError> {
    let progress = out.progress("preparing the bench");
    let runtime = materialise_runtime(&settings.cache)?;
    let mut words = bench.command.iter();
    let program = words.next().map(String::as_str).unwrap_or_default();
    let python = match program {
        "python3" | "python" => Some(find_python(&bench.wheels, &settings.cache, out)?),
        _ => None,
    };
    progress.say(format!("measuring {}", landed.store_path).as_bytes());
    let program = python.as_ref().map_or(PathBuf::from(program), |python| python.program.clone());
    let mut command = Command::new(&program);
    command
        .args(words)
        .current_dir(&project.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("HOIST_ARTIFACT", &landed.path)
        .env("PYTHONPATH", &runtime)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(Python { missing: Some(missing), .. }) = &python {
        command.env("HOIST_BENCH_WITHOUT", missing);
    }
    let run = run_bounded(&mut command, bench.timeout.0, &program)?;
    drop(progress);
    let ended = match run.code {
        None => Some(format!("did not end within {}", duration(bench.timeout.0))),
        Some(0) => None,
        Some(code) => Some(format!("ended with exit code {code}")),
    };
    if let Some(ended) = ended {
        let lines: Vec<String> = run.stderr.lines().map(|line| format!("  | {line}")).collect();
        let shown = lines[lines.len().saturating_sub(20)..].to_vec();
        return Err(CliError::new(Exit::No, format!("the bench {ended}"))
            .details(shown)
            .hint("the profile was not switched"));
    }
    let last = run.stdout.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).map_err(|error| {
        let message = format!("the last line that the bench printed is no JSON object: {error}");
        CliError::new(Exit::No, message).hint("let it print {\"speedup\": 31.4} last")
    })
}

/// What a finished command printed; no code when it was stopped.
struct Finished {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run_bounded(
    command: &mut Command,
    timeout: Duration,
    program: &Path,
) -> Result<Finished, CliError> {
    let mut child = command.spawn().map_err(|error| {
        CliError::io("start the bench", program)(error)
            .hint("install it, or correct `command` in [bench]")
    })?;
    let stdout = read_aside(child.stdout.take());
    let stderr = read_aside(child.stderr.take());
    let code = wait_bounded(&mut child, timeout).map_err(CliError::io("wait for", program))?;
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Finished { code, stdout: text(stdout), stderr: text(stderr) })
}

fn read_aside(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut stream, &mut std::io::sink()); // never block the writer
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait_bounded(child: &mut Child, timeout: Duration) -> std::io::Result<Option<i32>> {
    let end = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.code().unwrap_or(-1)));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
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
    fn a_command_that_does_not_end_is_stopped() {
        let mut command = Command::new("sleep");
        command.arg("60").stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = run_bounded(&mut command, Duration::from_millis(50), Path::new("sleep"));
        assert!(run.unwrap().code.is_none());
    }
}
