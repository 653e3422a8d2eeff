//! The load probe as a part of a check: when a library is loaded, and what it means that one cannot
//! be.

use hoist_check::{Contract, Loaded, ProbeError, ProbeOptions, Report, not_probed, probe};
use hoist_elf::FileKind;
use hoist_schema::manifest::{Check, Timeout};
use hoist_schema::{Exit, Severity};

use crate::error::CliError;

/// How libraries are probed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probing {
    options: ProbeOptions,
    /// Whether somebody asked for it: then a machine that cannot is an error.
    is_asked: bool,
}

impl Probing {
    /// As the user asks for on the command line.
    pub(crate) fn asked(timeout: Option<Timeout>) -> Self {
        Self { options: options(timeout), is_asked: true }
    }

    /// As a project says; one that says nothing is probed where that is possible.
    pub(crate) fn of_manifest(check: &Check) -> Option<Self> {
        let is_asked = check.probe == Some(true);
        let is_refused = check.probe == Some(false);
        (!is_refused).then(|| Self { options: options(check.probe_timeout), is_asked })
    }

    /// Whether somebody asked for it, and not only nobody refused.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Loads a library that the static rules have looked at, and adds what that gives to their
    /// report. What they say the loader cannot read is not given to it.
    pub(crate) fn add_to(
        &self,
        report: &mut Report,
        contract: &Contract,
        loaded: impl FnOnce() -> Result<Loaded, ProbeError>,
    ) -> Result<(), CliError> {
        if !may_be_loaded(report) {
            return Ok(());
        }
        let loaded = loaded()?;
        match probe(&loaded, contract, self.options) {
            Ok(probed) => report.findings.extend(probed.findings),
            Err(error) if self.is_asked && error.is_of_the_machine() => return Err(error.into()),
            Err(error) => {
                let mut finding = not_probed(&loaded.file, &error);
                if !self.is_asked {
                    finding.severity = Severity::Info;
                }
                report.findings.push(finding);
            }
        }
        report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(())
    }
}

fn options(timeout: Option<Timeout>) -> ProbeOptions {
    timeout.map_or_else(ProbeOptions::default, |timeout| ProbeOptions { time_limit: timeout.0 })
}

/// Whether it is a whole library for this target, as far as the static rules know.
fn may_be_loaded(report: &Report) -> bool {
    let is_library =
        report.facts.as_ref().is_some_and(|facts| facts.kind == FileKind::SharedLibrary);
    let is_unfit = report.findings.iter().any(|finding| {
        finding.severity == Severity::Error
            && (finding.rule.starts_with("file.") || UNFIT.contains(&&*finding.rule))
    });
    is_library && !is_unfit
}

/// Rules whose findings mean that this machine's loader is the wrong one to ask.
const UNFIT: [&str; 4] = ["target.machine", "target.class", "target.endian", "target.osabi"];

impl From<ProbeError> for CliError {
    fn from(error: ProbeError) -> Self {
        let hint = error.hint();
        Self::from_error(&error, (!hint.is_empty()).then_some(hint), Exit::Machine)
    }
}
