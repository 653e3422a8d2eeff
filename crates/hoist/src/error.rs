//! How a command ends without success: a message, its causes, a hint, an exit code.

use std::error::Error;
use std::io;
use std::path::Path;

use anstream::adapter::strip_str;
use hoist_build::BuildError;
use hoist_cache::CacheError;
use hoist_sandbox::SandboxError;
use hoist_schema::Exit;
use hoist_schema::record::ErrorRecord;
use hoist_store::{DaemonError, GcError, ProfileError, StoreError, TreeError};

use crate::output::{BAD, BOLD, Output, notice};

/// Why a command did not succeed. Printed by [`CliError::print`] alone.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    exit: Exit,
    /// Lines shown below the message, such as the end of a log.
    details: Vec<String>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), hint: None, exit, details: Vec::new() }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self
    }

    #[must_use]
    pub(crate) fn details(mut self, lines: Vec<String>) -> Self {
        self.details = lines;
        self
    }

    /// An error of another crate, with its causes.
    pub(crate) fn from_error(error: &dyn Error, hint: Option<String>, exit: Exit) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        Self { message: error.to_string(), causes, hint, exit, details: Vec::new() }
    }

    /// A file of the user's that could not be used: `what` is the verb, e.g. `read`.
    pub(crate) fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let message = format!("cannot {what} {}", path.display());
            Self { causes: vec![error.to_string()], ..Self::new(Exit::Machine, message) }
        }
    }

    /// The message and its causes in one line, for a warning.
    pub(crate) fn line(&self) -> String {
        [&self.message]
            .into_iter()
            .chain(&self.causes)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(": ")
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints it to standard error, and as a record where `--json` was given.
    pub(crate) fn print(&self, out: &Output) {
        out.record(&ErrorRecord {
            error: self.message.clone(),
            caused_by: self.causes.clone(),
            details: self.details.iter().map(|line| strip_str(line).to_string()).collect(),
            hint: self.hint.clone().unwrap_or_default(),
            exit: self.exit as u8,
        });
        notice(format!("{BAD}error:{BAD:#} {}", self.message));
        for line in &self.details {
            notice(line);
        }
        for cause in &self.causes {
            notice(format!("  caused by: {cause}"));
        }
        if let Some(hint) = &self.hint {
            notice(format!("{BOLD}hint:{BOLD:#} {hint}"));
        }
    }
}

impl From<BuildError> for CliError {
    fn from(error: BuildError) -> Self {
        let mut hint = error.hint();
        if let BuildError::Sandbox(SandboxError::Unavailable { .. }) = &error {
            let other_way = "build on the host as it is: --no-sandbox";
            hint =
                Some(hint.map_or(other_way.to_owned(), |hint| format!("{hint}; or {other_way}")));
        }
        if let BuildError::Sandbox(SandboxError::CommandNotFound { .. }) = &error {
            hint = Some("install it, or name the folder that has it in `system` of [build]".into());
        }
        Self::from_error(&error, hint, error.exit())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let exit = match error {
            StoreError::NotInStore { .. }
            | StoreError::Modified { .. }
            | StoreError::AddNar(_)
            | StoreError::Export(_) => Exit::No,
            _ => Exit::Machine,
        };
        Self::from_error(&error, hint, exit)
    }
}

impl From<DaemonError> for CliError {
    fn from(error: DaemonError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::from_error(&error, hint, Exit::Machine)
    }
}

impl From<CacheError> for CliError {
    fn from(error: CacheError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let exit = match error {
            CacheError::Url { .. } => Exit::Usage,
            _ => Exit::Remote,
        };
        Self::from_error(&error, hint, exit)
    }
}

impl From<GcError> for CliError {
    fn from(error: GcError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let exit = match error {
            GcError::Store(error) => return error.into(),
            GcError::Profile(error) => return error.into(),
            GcError::PinName { .. } => Exit::Usage,
            GcError::PinTaken { .. } | GcError::NoPin { .. } => Exit::No,
            _ => Exit::Machine,
        };
        Self::from_error(&error, hint, exit)
    }
}

impl From<TreeError> for CliError {
    fn from(error: TreeError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::from_error(&error, hint, Exit::Machine)
    }
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let exit = match error {
            ProfileError::Name { .. } => Exit::Usage,
            ProfileError::NotInStore { .. }
            | ProfileError::NoGeneration { .. }
            | ProfileError::NoGenerations { .. }
            | ProfileError::NoOlderGeneration { .. } => Exit::No,
            _ => Exit::Machine,
        };
        Self::from_error(&error, hint, exit)
    }
}
