//! What loading the library changed in the process.

use std::collections::BTreeMap;

use super::judge::{Seen, signal_name};
use super::place::in_artifact;
use crate::report::{Judge, name_some};
use crate::rule::{LOAD_FPENV, LOAD_SIDE_EFFECT};

/// What the program that loads the library is called, and threads that were given no name.
const PROGRAM_NAME: &str = "run";

/// Names that one finding shows.
const SHOWN: usize = 5;

pub(super) fn report(judge: &mut Judge<'_>, seen: &Seen<'_>) {
    report_floating_point(judge, seen);
    let mut effect = |message: String, fix: &str| {
        judge.report(&LOAD_SIDE_EFFECT, message, fix);
    };
    report_output(&mut effect, seen);
    report_processes(&mut effect, seen);
    report_signals(&mut effect, seen);
    report_files(&mut effect, seen);
    report_settings(&mut effect, seen);
}

/// Bits of a floating-point control register, and what they do when they are set.
struct Controls {
    /// Its name.
    register: &'static str,
    /// Its value in a fresh process.
    fresh: u64,
    /// Masks and meanings; a mask whose bits differ from the fresh value is told.
    bits: &'static [(u64, &'static str)],
}

/// Source: Intel SDM volume 1, figures 10-3 and 8-6.
const MXCSR: Controls = Controls {
    register: "MXCSR",
    fresh: 0x1f80,
    bits: &[
        (0x8000, "results too small become zero (FTZ)"),
        (0x0040, "denormal operands become zero (DAZ)"),
        (0x6000, "rounding"),
        (0x1f80, "exceptions that stop the process"),
    ],
};
const X87: Controls = Controls {
    register: "the x87 control word",
    fresh: 0x37f,
    bits: &[
        (0x0300, "precision of `long double`"),
        (0x0c00, "rounding of `long double`"),
        (0x003f, "exceptions that stop the process"),
    ],
};
/// Source: Arm ARM, FPCR.
const FPCR: Controls = Controls {
    register: "FPCR",
    fresh: 0,
    bits: &[
        (1 << 24, "denormal numbers become zero (FZ)"),
        (1 << 19, "half-precision denormal numbers become zero (FZ16)"),
        (3 << 22, "rounding"),
        (1 << 25, "NaN payloads"),
        (0x9f00, "exceptions that stop the process"),
    ],
};

fn report_floating_point(judge: &mut Judge<'_>, seen: &Seen<'_>) {
    let mut changes = Vec::new();
    for line in seen.told.each("floating") {
        let controls = match line.value(0) {
            "x87" => X87,
            _ if cfg!(target_arch = "aarch64") => FPCR,
            _ => MXCSR,
        };
        let Controls { register, fresh, bits } = controls;
        let found = u64::from_str_radix(line.value(1), 16).unwrap_or(fresh);
        let other = bits.iter().filter(|(mask, _)| (found ^ fresh) & mask != 0);
        let other: Vec<&str> = other.map(|(_, meaning)| *meaning).collect();
        let what = if other.is_empty() { "other bits".to_owned() } else { other.join(", ") };
        changes.push(format!("{what} ({register} is {found:#x}, was {fresh:#x})"));
    }
    if changes.is_empty() {
        return;
    }
    let changes = changes.join("; ");
    let fix = if changes.contains("become zero") {
        "link without `-ffast-math` (and `-Ofast`, `-funsafe-math-optimizations`), which before gcc \
         13 add crtfastmath.o to shared libraries; compiling with them is no matter"
    } else {
        "set the floating-point state at the begin of a function and restore it at its end"
    };
    let message = format!("loading it changes how the whole process computes: {changes}");
    judge.report(&LOAD_FPENV, message, fix);
}

fn report_output(effect: &mut impl FnMut(String, &str), seen: &Seen<'_>) {
    let size = seen.output.size_bytes;
    if size > 0 {
        let line = seen.output.first_line().map_or_else(String::new, |line| format!(": `{line}`"));
        let message = format!("it prints {size} bytes when it is loaded{line}");
        effect(message, "print nothing: a program's output belongs to the program");
    }
}

fn report_processes(effect: &mut impl FnMut(String, &str), seen: &Seen<'_>) {
    let more = seen.told.number("thread-more").unwrap_or(0).max(0);
    let threads: Vec<&str> = seen.told.each("thread").map(|line| line.value(0)).collect();
    let count = number(threads.len()).saturating_add(more);
    if count > 0 {
        let fix = "start threads at the first call: a fork loses them";
        let own: Vec<&str> = threads.into_iter().filter(|name| *name != PROGRAM_NAME).collect();
        let named = if own.is_empty() {
            String::new() // those without a name have the program's
        } else {
            format!(", named {}", name_some(dedup(own).into_iter(), SHOWN))
        };
        let threads = plural(count, "thread", "threads");
        effect(format!("it starts {count} {threads} when it is loaded{named}"), fix);
    }
    let programs: Vec<&str> = seen
        .told
        .supervisor
        .iter()
        .filter(|line| line.key == "program")
        .map(|line| line.value(0))
        .collect();
    let started = seen.told.number("started").unwrap_or(0);
    let fix = "start no process from a constructor";
    if started > 0 {
        let run = if programs.is_empty() {
            String::new()
        } else {
            format!(", running {}", name_some(dedup(programs).into_iter(), SHOWN))
        };
        let message = format!(
            "it starts {started} {} when it is loaded{run}",
            plural(started, "process", "processes")
        );
        effect(message, fix);
    } else if seen.told.first("children").is_some() {
        effect("it starts a process when it is loaded".to_owned(), fix);
    }
}

fn report_signals(effect: &mut impl FnMut(String, &str), seen: &Seen<'_>) {
    let name = |text: &str| {
        let known = text.parse().ok().and_then(signal_name);
        known.map_or_else(|| format!("signal {text}"), str::to_owned)
    };
    let fix = "leave signals to the program; Python, for one, has handlers of its own";
    let mut by_owner: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in seen.told.each("handler") {
        by_owner.entry(in_artifact(line.value(1))).or_default().push(name(line.value(0)));
    }
    for (owner, signals) in by_owner {
        let owner = if owner.is_empty() { String::new() } else { format!(" in {owner}") };
        let signals = name_some(signals.iter().map(String::as_str), SHOWN);
        effect(format!("it installs a handler{owner} for {signals}"), fix);
    }
    for (key, what) in [("ignored", "ignores"), ("default", "resets"), ("blocked", "blocks")] {
        let signals: Vec<String> = seen.told.each(key).map(|line| name(line.value(0))).collect();
        if !signals.is_empty() {
            let signals = name_some(signals.iter().map(String::as_str), SHOWN);
            effect(format!("it {what} {signals} for the whole process"), fix);
        }
    }
    if seen.told.first("timer").is_some() {
        effect("it starts a timer that will interrupt the process by a signal".to_owned(), fix);
    }
}

fn report_files(effect: &mut impl FnMut(String, &str), seen: &Seen<'_>) {
    let opened: Vec<&str> = seen.told.each("opened").map(|line| line.value(1)).collect();
    if !opened.is_empty() {
        let more = seen.told.number("opened-more").unwrap_or(0).max(0);
        let count = number(opened.len()).saturating_add(more);
        let opened: Vec<String> = opened.into_iter().map(in_artifact).collect();
        let names =
            name_some(dedup(opened.iter().map(String::as_str).collect()).into_iter(), SHOWN);
        let message = format!(
            "it opens {count} {} and leaves {} open: {names}",
            plural(count, "file", "files"),
            plural(count, "it", "them")
        );
        effect(message, "open files when they are needed, and close them");
    }
    let closed: Vec<&str> = seen.told.each("closed").map(|line| line.value(0)).collect();
    if !closed.is_empty() {
        let names = name_some(closed.into_iter(), SHOWN);
        effect(format!("it closes files of the program: {names}"), "close only what it opened");
    }
    let left: Vec<String> =
        seen.told.each("left").map(|line| format!("{}/{}", line.value(0), line.value(1))).collect();
    if !left.is_empty() {
        let names = name_some(left.iter().map(String::as_str), SHOWN);
        effect(format!("it writes {names}"), "write no file before it is called");
    }
}

fn report_settings(effect: &mut impl FnMut(String, &str), seen: &Seen<'_>) {
    let leave = "leave the process as it is: what it changes, it changes for every other library";
    let names = |key: &str| -> Vec<String> {
        let settings = seen.told.each(key);
        settings
            .map(|line| line.value(0).split('=').next().unwrap_or_default().to_owned())
            .collect()
    };
    for (key, does, where_) in [("variable", "sets", "in"), ("unset", "removes", "from")] {
        let names = names(key);
        if !names.is_empty() {
            let names = name_some(names.iter().map(String::as_str), SHOWN);
            effect(format!("it {does} {names} {where_} the environment of the process"), leave);
        }
    }
    let value = |key: &str| seen.told.each(key).next().map(|line| line.value(0).to_owned());
    if let Some(folder) = value("folder") {
        effect(format!("it changes the working directory to `{folder}`"), leave);
    }
    if let Some(mask) = value("umask") {
        effect(format!("it changes the umask to {mask}"), leave);
    }
    if let Some(locale) = value("locale") {
        let message = format!("it changes the locale of the process to `{locale}`");
        effect(message, "use `newlocale` and `uselocale`: the decimal point of all others changes");
    }
    if let Some(nice) = value("nice") {
        effect(format!("it changes the priority of the process to {nice}"), leave);
    }
    let limits: Vec<String> =
        seen.told.each("rlimit").map(|line| limit_name(line.value(0))).collect();
    if !limits.is_empty() {
        let names = name_some(limits.iter().map(String::as_str), SHOWN);
        effect(format!("it changes the limits of the process: {names}"), leave);
    }
    if seen.told.first("affinity").is_some() {
        effect("it changes which processors the process may use".to_owned(), leave);
    }
    if seen.told.first("personality").is_some() {
        effect("it changes the personality of the process".to_owned(), leave);
    }
}

/// The name of a limit by its number, on x86 and Arm.
fn limit_name(number: &str) -> String {
    const NAMES: [&str; 16] = [
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_DATA",
        "RLIMIT_STACK",
        "RLIMIT_CORE",
        "RLIMIT_RSS",
        "RLIMIT_NPROC",
        "RLIMIT_NOFILE",
        "RLIMIT_MEMLOCK",
        "RLIMIT_AS",
        "RLIMIT_LOCKS",
        "RLIMIT_SIGPENDING",
        "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE",
        "RLIMIT_RTPRIO",
        "RLIMIT_RTTIME",
    ];
    let name = number.parse::<usize>().ok().and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("limit {number}"), |name| (*name).to_owned())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn plural<'w>(count: i64, one: &'w str, more: &'w str) -> &'w str {
    if count == 1 { one } else { more }
}

/// Each name once, in the order of their first.
fn dedup(names: Vec<&str>) -> Vec<&str> {
    let mut once: Vec<&str> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}
