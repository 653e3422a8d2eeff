//! The one place that prints: data to standard output, everything else to standard error.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use hoist_schema::Severity;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::report::printable;

/// How a value of a receipt or a table is shown.
pub(crate) const BOLD: Style = Style::new().bold();
/// What matters less than what stands beside it.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// A warning.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// The colour of a finding's severity; its word always stands beside it.
pub(crate) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
        Severity::Info => DIM,
    }
}

/// Where and how a command prints. Colours are dropped where the stream is no terminal or
/// `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Why the last of what was to be printed is lost.
    lost: RefCell<Option<io::Error>>,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, lost: RefCell::new(None) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a record where `--json` was given.
    pub(crate) fn record(&self, record: &impl Serialize) {
        if self.json {
            let line = serde_json::to_string(record).expect("records are plain data");
            self.print(&line);
        }
    }

    /// Prints a line for people.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        if !self.json {
            self.print(line.as_ref());
        }
    }

    /// Prints a line whatever was asked for, as what another program reads.
    pub(crate) fn print(&self, line: &str) {
        match writeln!(anstream::stdout(), "{line}") {
            // The reader, such as `head`, has seen enough; the work goes on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => *self.lost.borrow_mut() = Some(error),
            Ok(()) => {}
        }
    }

    /// Prints a text that ends its own lines, as what another program reads.
    pub(crate) fn whole(&self, text: &str) {
        self.print(text.trim_end_matches('\n'));
    }

    /// Width of the terminal that results go to, in characters; `None` where it is none.
    pub(crate) fn width() -> Option<usize> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        Some(usize::from(size.ws_col)).filter(|width| *width > 0)
    }

    /// Why something that was printed did not arrive, if so.
    pub(crate) fn take_lost(&self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Prints a line for people that `--quiet` leaves out.
    pub(crate) fn detail(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.line(line);
        }
    }

    /// Prints a warning to standard error, `--quiet` or not. It often quotes what a file says.
    pub(crate) fn warn(message: impl AsRef<str>) {
        notice(format!("{WARNING}warning:{WARNING:#} {}", printable(message.as_ref())));
    }

    /// Starts a spinner that says what is going on; drawn on a terminal only.
    pub(crate) fn progress(&self, message: impl Into<String>) -> Progress {
        let drawn = !self.json && !self.quiet && io::stderr().is_terminal();
        let target =
            if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        bar.set_message(message.into());
        if drawn {
            // It turns on a thread of its own.
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar }
    }
}

/// A spinner, cleared when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Says what is going on now: the last line of what a build or a tool printed.
    pub(crate) fn say(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) {
            let line: String = line.trim().chars().filter(|c| !c.is_control()).take(70).collect();
            self.bar.set_message(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line to standard error.
pub(crate) fn notice(line: impl AsRef<str>) {
    let _ = writeln!(anstream::stderr(), "{}", line.as_ref());
}

/// A duration as people say it: `3 ms`, `1.42 s`, `2 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.01 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 99.5 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// A size as people say it: `15.2 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = bytes as f64;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `1 export`, `2 exports`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_three_digits_at_most() {
        let text = |ms: u64| duration(Duration::from_millis(ms));
        assert_eq!(text(3), "3.0 ms");
        assert_eq!(text(42), "42 ms");
        assert_eq!(text(999), "999 ms");
        assert_eq!(text(1420), "1.42 s");
        assert_eq!(text(125_000), "2 min 5 s");
    }

    #[test]
    fn sizes_use_the_unit_that_keeps_them_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(15_565), "15.2 KiB");
        assert_eq!(size(1_048_575), "1.0 MiB");
    }
}
