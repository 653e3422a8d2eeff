//! The receipt: a line for each stage as it ends, for people.

use std::time::Duration;

use crate::output::{BOLD, DIM, Output, duration};

/// Prints the lines of one receipt, so that they stand in columns.
#[derive(Debug)]
pub(crate) struct Receipt<'a> {
    out: &'a Output,
}

impl<'a> Receipt<'a> {
    pub(crate) fn new(out: &'a Output) -> Self {
        Self { out }
    }

    /// The first line: what is being shipped.
    pub(crate) fn title(&self, title: &str) {
        self.out.detail(format!("{BOLD}{title}{BOLD:#}"));
    }

    /// One stage that has ended.
    pub(crate) fn stage(&self, name: &str, time: Duration, what: &str) {
        self.out.detail(format!("  {BOLD}{name:<7}{BOLD:#}{:>8}   {what}", duration(time)));
    }

    /// One more line about the stage before.
    pub(crate) fn more(&self, what: &str) {
        self.out.detail(format!("  {:<7}{:>8}   {what}", "", ""));
    }

    /// The last line.
    pub(crate) fn total(&self, time: Duration, what: &str) {
        self.out.detail(format!("  {DIM}{:<7}{:>8}{DIM:#}   {what}", "total", duration(time)));
    }
}
