//! Repairs of what a check found, never in place: a [`Fixed`] holds what would be written, and
//! [`Fixed::write`] writes it somewhere else.
//!
//! What only a compiler can mend is left, with the reason. `docs/fix.md` tells users which is which.

mod bundle;
mod error;
mod library;
mod output;
mod plan;
mod search_path;
mod site;
mod tell;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hoist_schema::{Finding, Repair, Severity};

use crate::tree::Checked;

pub use error::FixError;
pub use output::Written;
pub use plan::{fix_file, fix_tree};

/// What may be done to repair a library, beside what needs no asking.
#[derive(Debug, Clone, Default)]
pub struct FixOptions {
    /// Folders in which missing libraries are looked for, after those that RUNPATH names on this
    /// machine and before the system's.
    pub bundle_from: Vec<PathBuf>,
    /// Whether debug information goes to a file beside the library.
    pub split_debug: bool,
    /// Whether a library that asks for an executable stack is told that it gets none. It crashes
    /// then, if it really runs code there.
    pub clear_execstack: bool,
}

/// What a repair would write, and what was found before and would be found after.
#[derive(Debug)]
pub struct Fixed {
    /// What was found before.
    pub before: Vec<Finding>,
    /// What was done about each, and what was done besides.
    pub repairs: Vec<Repair>,
    /// What is found in the repaired files.
    pub after: Vec<Checked>,
    /// New contents by path, relative to the artifact; for a file alone, to the output's folder.
    pub files: BTreeMap<String, Vec<u8>>,
    destination: output::Destination,
}

impl Fixed {
    /// Whether anything differs from the input.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.files.is_empty()
    }

    /// The severity of the worst finding that is left.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.after.iter().filter_map(|checked| checked.report.worst()).max()
    }

    /// Where it is written.
    #[must_use]
    pub fn output(&self) -> &std::path::Path {
        &self.destination.output
    }
}
