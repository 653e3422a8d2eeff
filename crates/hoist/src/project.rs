//! A project folder: its manifest and what it promises.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_build::Promise;
use hoist_check::{POLICY_NAMES, Policy, explain, nearest_rule};
use hoist_schema::manifest::{MANIFEST_FILE, ManifestError, Problem};
use hoist_schema::{Exit, Manifest};

use crate::error::CliError;
use crate::output::{BAD, BOLD, DIM};
use crate::settings::system;

/// Longest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A project that can be built.
#[derive(Debug)]
pub(crate) struct Project {
    /// Its folder, absolute.
    pub(crate) folder: PathBuf,
    /// Its `hoist.toml`.
    pub(crate) manifest: Manifest,
    /// What its libraries promise, from the headers.
    pub(crate) promise: Promise,
}

impl Project {
    /// Reads the project at `folder`; without one, that of the nearest `hoist.toml` from the
    /// current folder upwards.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, CliError> {
        let folder = match folder {
            Some(folder) => project_folder(folder)?,
            None => nearest()?,
        };
        let file = folder.join(MANIFEST_FILE);
        let text = read_manifest(&file)?;
        let manifest = Manifest::parse(&text).map_err(|error| refusal(&file, &error))?;
        let problems = unknown_names(&text, &manifest);
        if !problems.is_empty() {
            return Err(refusal(&file, &ManifestError { problems }));
        }
        let promise = Promise::read(&folder, &manifest, &system())?;
        Ok(Self { folder, manifest, promise })
    }
}

fn project_folder(folder: &Path) -> Result<PathBuf, CliError> {
    if !folder.is_dir() {
        let what = if folder.exists() { "is no folder" } else { "is not there" };
        let message = format!("the project folder {} {what}", folder.display());
        return Err(CliError::new(Exit::Usage, message)
            .hint("name the folder that holds hoist.toml, or go there and name none"));
    }
    folder.canonicalize().map_err(CliError::io("open the project folder", folder))
}

fn nearest() -> Result<PathBuf, CliError> {
    let here = std::env::current_dir().map_err(CliError::io("find", Path::new(".")))?;
    let found = here.ancestors().find(|folder| folder.join(MANIFEST_FILE).is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        let message = format!("no {MANIFEST_FILE} in {} or above it", here.display());
        CliError::new(Exit::Usage, message)
            .hint("name a project folder, or write one: `hoist init`")
    })
}

fn read_manifest(file: &Path) -> Result<String, CliError> {
    let metadata = fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            CliError::new(Exit::Usage, format!("there is no {}", file.display()))
                .hint("write one: `hoist init`")
        }
        _ => CliError::io("read", file)(error),
    })?;
    if metadata.len() > MAX_MANIFEST_BYTES {
        let message = format!(
            "{} has {} bytes, more than a manifest may have",
            file.display(),
            metadata.len()
        );
        return Err(CliError::new(Exit::Usage, message));
    }
    let bytes = fs::read(file).map_err(CliError::io("read", file))?;
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        let message = format!("{} is no text: byte {byte} is not UTF-8", file.display());
        CliError::new(Exit::Usage, message).hint("save it as UTF-8")
    })
}

/// Names in `[check]` that no rule and no policy has.
fn unknown_names(text: &str, manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(name) = manifest.check.policy.as_ref().filter(|name| Policy::named(name).is_none())
    {
        let nearest = Policy::nearest(name).map(|near| format!("did you mean `{near}`? "));
        let hint =
            format!("{}policies are {}", nearest.unwrap_or_default(), POLICY_NAMES.join(", "));
        let message = format!("there is no policy `{name}`");
        problems.push(Problem::at(text, &["check", "policy"], message, &hint));
    }
    for (index, waive) in manifest.check.waive.iter().enumerate() {
        if explain(&waive.rule).is_some() {
            continue;
        }
        let hint = match nearest_rule(&waive.rule) {
            Some(near) => format!("did you mean `{}`? `hoist explain` lists the rules", near.id),
            None => "`hoist explain` lists the rules".to_owned(),
        };
        let message = format!("there is no rule `{}`", waive.rule);
        let path = ["check", "waive", &index.to_string(), "rule"];
        problems.push(Problem::at(text, &path, message, &hint));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

/// Every problem with the line it is on, marked.
fn refusal(file: &Path, error: &ManifestError) -> CliError {
    let [first, others @ ..] = error.problems.as_slice() else {
        return CliError::new(Exit::Usage, format!("{} is refused", file.display()));
    };
    let place = |line: usize, column: usize| format!("{}:{line}:{column}", file.display());
    let mut details = Vec::new();
    for (index, problem) in error.problems.iter().enumerate() {
        if index > 0 {
            let place = place(problem.line, problem.column);
            details.push(format!("{BAD}error:{BAD:#} {place}: {}", problem.message));
        }
        let number = problem.line.to_string();
        let gutter = " ".repeat(number.len());
        let lead: String = " ".repeat(problem.column - 1);
        let marks = "^".repeat(problem.width);
        details.push(format!("{DIM}{gutter} |{DIM:#}"));
        details.push(format!("{DIM}{number} |{DIM:#} {}", problem.excerpt));
        details.push(format!("{DIM}{gutter} |{DIM:#} {lead}{BAD}{marks}{BAD:#}"));
        if index + 1 < error.problems.len() && !problem.hint.is_empty() {
            details.push(format!("{BOLD}hint:{BOLD:#} {}", problem.hint));
        }
    }
    let last = others.last().unwrap_or(first);
    let message = format!("{}: {}", place(first.line, first.column), first.message);
    CliError::new(Exit::Usage, message).details(details).hint(last.hint.clone())
}
