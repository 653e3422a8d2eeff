//! From what the probe's program told to findings.

use std::fmt::Write as _;
use std::time::Duration;

use hoist_sandbox::End;

use super::place::{Library, Place, in_artifact};
use super::words::Told;
use super::{Output, ProbeError, changes};
use crate::report::Judge;
use crate::rule::{LOAD_CRASH, LOAD_FAIL, LOAD_HANG, LOAD_SIDE_EFFECT};

/// All that is known of one probe.
pub(super) struct Seen<'a> {
    pub(super) told: &'a Told,
    /// Whether the nonce came back.
    pub(super) succeeded: bool,
    /// How the watching process ended, which is 0 unless something went wrong with it.
    pub(super) end: End,
    pub(super) output: &'a Output,
    pub(super) library: Library<'a>,
    pub(super) time_limit: Duration,
}

/// How the process that loaded the library ended.
enum Ended {
    Exit(i64),
    Signal(i64),
    /// Not within its time.
    Never,
    /// It was stopped when it had so many processes.
    Swarm(i64),
    /// The process that watched it was killed with it.
    Unwatched,
}

/// Adds the findings; fails when the library needs a process that the probe is not.
pub(super) fn judge(judge: &mut Judge<'_>, seen: &Seen<'_>) -> Result<(), ProbeError> {
    if let Some(refused) = seen.told.first("refused") {
        return report_refusal(judge, refused.value(0));
    }
    report_symbols(judge, seen);
    report_end(judge, seen);
    if seen.succeeded {
        changes::report(judge, seen);
    }
    Ok(())
}

impl Seen<'_> {
    fn ended(&self) -> Ended {
        let Some(line) = self.told.first("end") else {
            return match self.end {
                End::TimedOut => Ended::Never,
                End::Code(_) | End::Signal(_) => Ended::Unwatched,
            };
        };
        let number = line.value(1).parse().unwrap_or(-1);
        match line.value(0) {
            "exit" => Ended::Exit(number),
            "signal" => Ended::Signal(number),
            "processes" => Ended::Swarm(number),
            _ => Ended::Never,
        }
    }

    /// What was going on, as the end of a sentence.
    fn phase(&self) -> &'static str {
        match self.told.phase() {
            "end" if self.succeeded => "while the process ended",
            "compare" => "right after it was loaded",
            "look-up" => "while its symbols were looked up",
            _ => "while it was loaded",
        }
    }

    fn place(&self) -> Option<Place> {
        self.library.place(self.told)
    }

    /// The last line that it printed, which often says why.
    fn last_words(&self) -> String {
        match self.output.last_line() {
            Some(line) => format!("; it printed `{line}`"),
            None => String::new(),
        }
    }
}

/// What the loader refused, from the text of `dlerror`.
fn report_refusal(judge: &mut Judge<'_>, text: &str) -> Result<(), ProbeError> {
    let text = text.replace("/artifact/", "");
    if let Some(symbol) = text.split("undefined symbol: ").nth(1) {
        let symbol = symbol.split([',', ' ', '\t']).next().unwrap_or(symbol).to_owned();
        if judge.contract.host_symbols.iter().any(|start| symbol.starts_with(start)) {
            return Err(ProbeError::NeedsHost { symbol });
        }
        let message = format!("`{symbol}` is found in no library that was loaded: {text}");
        let fix = "link the library that defines it, and ship that one too";
        judge.report(&LOAD_FAIL, message, fix).symbol(&symbol);
        return Ok(());
    }
    if let Some((object, _)) = text.split_once(": cannot open shared object file") {
        let object = object.rsplit(": ").next().unwrap_or(object);
        let message = format!("`{object}` is needed and was not found: {text}");
        let fix = "put it into the artifact where RUNPATH `$ORIGIN` leads, or link it statically";
        judge.report(&LOAD_FAIL, message, fix).object(object);
        return Ok(());
    }
    if let Some((_, version)) = text.split_once("version `") {
        let version = version.split('\'').next().unwrap_or(version);
        let message = format!("`{version}` is in no library of this machine: {text}");
        let fix = "build against the oldest system that must load it";
        judge.report(&LOAD_FAIL, message, fix).object(version);
        return Ok(());
    }
    let message = format!("the loader refuses it: {text}");
    judge.report(&LOAD_FAIL, message, "see what the loader says; `hoist check` tells more of it");
    Ok(())
}

fn report_symbols(judge: &mut Judge<'_>, seen: &Seen<'_>) {
    for line in seen.told.each("missing") {
        let (name, error) = (line.value(0), line.value(1).replace("/artifact/", ""));
        let message = format!("`{name}` is promised, and looking it up fails: {error}");
        judge
            .report(&LOAD_FAIL, message, "export it, or promise no more than there is")
            .symbol(name);
    }
    for line in seen.told.each("elsewhere") {
        let (name, file) = (line.value(0), in_artifact(line.value(1)));
        let message = format!("`{name}` is promised, and what is found is in {file}");
        let fix = "define it here, or promise it for the library that has it";
        judge.report(&LOAD_FAIL, message, fix).symbol(name).object(&file);
    }
}

fn report_end(judge: &mut Judge<'_>, seen: &Seen<'_>) {
    match seen.ended() {
        Ended::Exit(0) if seen.succeeded => {}
        Ended::Exit(code) if seen.succeeded => {
            let message = format!("it makes the process end with exit code {code} instead of 0");
            judge.report(&LOAD_SIDE_EFFECT, message, "leave the end of the process to its program");
        }
        Ended::Exit(code) => report_exit(judge, seen, code),
        Ended::Signal(signal) => report_signal(judge, seen, signal),
        Ended::Never => report_hang(judge, seen),
        Ended::Swarm(number) => {
            let message =
                format!("it started processes without end: {number} at once, then it was stopped");
            judge.report(&LOAD_HANG, message, "start no process while it is loaded");
        }
        Ended::Unwatched => {
            let message = format!("it killed every process of the probe {}", seen.phase());
            judge.report(&LOAD_CRASH, message, "send no signal to processes that it did not start");
        }
    }
}

fn report_exit(judge: &mut Judge<'_>, seen: &Seen<'_>, code: i64) {
    let mut message = format!("it ended the process with exit code {code} {}", seen.phase());
    if let Some(program) = seen.told.first("became") {
        let _ = write!(message, ", by executing `{}` in its place", in_artifact(program.value(0)));
    }
    message += &seen.last_words();
    let fix = "let a constructor report a failure to its caller later, and never call `exit`";
    judge.report(&LOAD_CRASH, message, fix);
}

fn report_signal(judge: &mut Judge<'_>, seen: &Seen<'_>, signal: i64) {
    let mut message = format!("{} {}", death(signal), seen.phase());
    let place = seen.place();
    if let Some(place) = &place {
        let _ = write!(message, ", {}", place.text);
    }
    message += &cause(seen, signal);
    message += &seen.last_words();
    let fix = match signal {
        4 => "compile for the processors of all targets, or ask the processor first",
        6 => "let a constructor report a failure to its caller later instead of `abort`",
        _ => "run it under a debugger: `gdb --args python3 -c 'import ctypes; ctypes.CDLL(\"…\")'`",
    };
    let reported = judge.report(&LOAD_CRASH, message, fix);
    if let Some(function) = place.and_then(|place| place.function) {
        reported.symbol(&function);
    }
}

/// `SIGSEGV killed the process`; its number where it has no name.
fn death(signal: i64) -> String {
    match signal_name(signal) {
        Some(name) => format!("{name} (signal {signal}) killed the process"),
        None => format!("signal {signal} killed the process"),
    }
}

/// What a signal means here, where more is known.
fn cause(seen: &Seen<'_>, signal: i64) -> String {
    if let Some(sent) = seen.told.first("sent").filter(|_| signal != 6) {
        let by = if sent.value(0) == "by-itself" { "itself" } else { "another process" };
        return format!("; it was sent by {by}");
    }
    let told = seen.told.first("address").and_then(|line| {
        let address = u64::from_str_radix(line.value(1), 16).ok()?;
        Some(match line.value(0) {
            _ if address < 4096 => format!("; it followed a null pointer, to address {address:#x}"),
            "unmapped" => format!("; it used address {address:#x}, where nothing is"),
            _ => format!("; it used address {address:#x}, which it may not use that way"),
        })
    });
    match signal {
        4 => "; it executed an illegal instruction: one that this processor does not have, or a trap \
              that the compiler put where nothing should come".to_owned(),
        8 => "; it divided by zero or raised a floating-point exception".to_owned(),
        9 => "; it used too much memory, or was killed from outside".to_owned(),
        25 => "; it wrote a file of more than 64 MiB".to_owned(),
        _ => told.unwrap_or_default(),
    }
}

fn report_hang(judge: &mut Judge<'_>, seen: &Seen<'_>) {
    let limit = seen.time_limit.as_secs_f64();
    let mut message = match seen.told.phase() {
        "end" if seen.succeeded => format!("the process does not end within {limit} s"),
        _ => format!("loading it takes longer than {limit} s"),
    };
    let place = seen.place();
    let call = seen.told.first("call").map(|line| format!("`{}`", line.value(0)));
    let call = call.or_else(|| seen.told.number("call-number").map(|number| number.to_string()));
    let doing = match &call {
        Some(call) => format!("waiting in the system call {call}"),
        None => "running".to_owned(),
    };
    if let Some(place) = &place {
        let _ = write!(message, ": it was {doing}, {}", place.text);
    }
    let fix = "wait for nothing and compute nothing long in a constructor; do it at the first call";
    let reported = judge.report(&LOAD_HANG, message, fix);
    if let Some(function) = place.and_then(|place| place.function) {
        reported.symbol(&function);
    }
}

/// The name of a signal with the same number on every processor that hoist serves.
pub(super) fn signal_name(number: i64) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(number).ok()?.checked_sub(1).and_then(|index| NAMES.get(index)).copied()
}

impl Output {
    /// The last line of what was kept that says something, as printable text.
    fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.kept);
        text.lines().rev().map(printable).find(|line| !line.is_empty())
    }

    /// The first line that says something, as printable text.
    pub(super) fn first_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.kept);
        text.lines().map(printable).find(|line| !line.is_empty())
    }
}

/// Characters of printed lines that a message shows.
const SHOWN_CHARACTERS: usize = 120;

fn printable(line: &str) -> String {
    let shown = line.trim().chars().filter(|character| !character.is_control());
    shown.take(SHOWN_CHARACTERS).collect()
}
