//! `hoist check --fix`: what can be mended without a compiler, in a copy.

use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::fix::{FixError, FixOptions, Written, fix_file, fix_tree};
use hoist_schema::record::FixRecord;
use hoist_schema::{Exit, Finding, Repair, Severity};

use crate::checking::{Request, folder_contracts};
use crate::error::CliError;
use crate::output::{BOLD, DIM, GOOD, Output, WARNING, count};
use crate::report::printable;

/// What `--fix` takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Repair")]
pub(crate) struct FixArgs {
    /// Write a repaired copy: RUNPATH, needed libraries, SONAME, binding; never the input itself
    // What these ask is about a check that only looks.
    #[arg(long, conflicts_with_all = ["report", "format", "against", "probe", "all"])]
    fix: bool,
    /// Where the copy goes [default: NAME.fixed.so, or FOLDER-fixed, beside the input]
    #[arg(long, value_name = "PATH", requires = "fix")]
    output: Option<PathBuf>,
    /// A folder to take missing libraries from; may be given again
    #[arg(long, value_name = "DIR", requires = "fix")]
    bundle_from: Vec<PathBuf>,
    /// Move debug information to NAME.debug beside each library
    #[arg(long, requires = "fix")]
    split_debug: bool,
    /// Take away an executable stack; what runs code there crashes then
    #[arg(long, requires = "fix")]
    clear_execstack: bool,
}

impl FixArgs {
    /// Whether a repair is asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.fix
    }
}

/// Repairs the file or folder at `path`, whose libraries are judged as `request` says.
pub(crate) fn run(
    args: &FixArgs,
    path: &Path,
    request: &Request,
    out: &Output,
) -> Result<Exit, CliError> {
    let output = place(args.output.as_deref(), path)?;
    let options = FixOptions {
        bundle_from: args.bundle_from.clone(),
        split_debug: args.split_debug,
        clear_execstack: args.clear_execstack,
    };
    let progress = out.progress(format!("repairing {}", path.display()));
    let others = request.of_others();
    let fixed = if path.is_dir() {
        fix_tree(path, &output, &folder_contracts(path, request)?, &others, &options)?
    } else {
        fix_file(path, &output, &others, &options)?
    };
    let written = fixed.write()?;
    drop(progress);

    for repair in &fixed.repairs {
        out.record(repair);
        for line in lines(repair) {
            out.line(line);
        }
    }
    let after = fixed.after.iter().flat_map(|checked| &checked.report.findings);
    let mut left: Vec<Finding> = after.cloned().collect();
    request.policy.judge(&mut left);
    left.retain(|finding| finding.severity > Severity::Info);
    let refused = left.iter().any(|finding| finding.severity == Severity::Error);
    let summary = summary(&left);
    let made = fixed.repairs.iter().filter(|repair| repair.made).count();
    out.record(&FixRecord {
        output: output.display().to_string(),
        already_there: written == Written::AlreadyThere,
        changed: fixed.files.keys().cloned().collect(),
        left,
    });
    let there = if written == Written::AlreadyThere { " was there already" } else { "" };
    let repairs = if made == 0 { "nothing to repair".to_owned() } else { count(made, "repair") };
    out.detail(format!("{}{there}: {repairs}, {summary}", output.display()));
    Ok(if refused { Exit::No } else { Exit::Success })
}

/// `nothing left`, or `1 error and 2 warnings left`.
fn summary(left: &[Finding]) -> String {
    let of = |severity| left.iter().filter(|finding| finding.severity == severity).count();
    let parts: Vec<String> = [(of(Severity::Error), "error"), (of(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    if parts.is_empty() {
        "nothing left".to_owned()
    } else {
        format!("{} left", parts.join(" and "))
    }
}

/// What was done about a finding, for people.
fn lines(repair: &Repair) -> Vec<String> {
    let (style, word) = if repair.made { (GOOD, "repaired") } else { (WARNING, "left") };
    let mut lines = vec![format!(
        "  {style}{word}{style:#}[{BOLD}{}{BOLD:#}] {}: {}",
        repair.rule,
        printable(&repair.file),
        printable(&repair.message)
    )];
    if repair.before.is_some() || repair.after.is_some() {
        let text = |text: &Option<String>| text.as_deref().map_or("none".to_owned(), printable);
        let (before, after) = (text(&repair.before), text(&repair.after));
        lines.push(format!("    {DIM}{before} → {after}{DIM:#}"));
    }
    lines
}

/// Where the copy of `path` goes; folders above it are made. `--output DIR/` of a file means a file
/// in that folder.
fn place(asked: Option<&Path>, path: &Path) -> Result<PathBuf, CliError> {
    let Some(asked) = asked else { return Ok(beside(path)) };
    let is_folder = asked.is_dir() || asked.as_os_str().as_encoded_bytes().ends_with(b"/");
    let place = match path.file_name() {
        Some(name) if is_folder && !path.is_dir() => asked.join(name),
        // Without its final `/`, a folder that is to be made is the name of one.
        _ => asked.components().collect(),
    };
    if let Some(parent) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(CliError::io("make", parent))?;
    }
    Ok(place)
}

/// `libx.fixed.so` for `libx.so`, `dist-fixed` for a folder `dist`.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = match name.find(".so") {
        _ if path.is_dir() => format!("{name}-fixed"),
        Some(at) => format!("{}.fixed{}", &name[..at], &name[at..]),
        None => format!("{name}.fixed"),
    };
    path.with_file_name(new)
}

impl From<FixError> for CliError {
    fn from(error: FixError) -> Self {
        let hint = error.hint().map(str::to_owned);
        let exit = match error {
            FixError::OutputIsInput { .. } | FixError::NoName { .. } => Exit::Usage,
            FixError::OutputExists { .. }
            | FixError::NotAFile { .. }
            | FixError::NotAFolder { .. }
            | FixError::Bundle { .. } => Exit::No,
            _ => Exit::Machine,
        };
        Self::from_error(&error, hint, exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_cannot_speak_to_the_terminal() {
        let repair = Repair {
            rule: "dyn.runpath_leak".to_owned(),
            file: "a\u{1b}[2J.so".to_owned(),
            made: true,
            before: Some("/home/\u{1b}]0;owned\u{7}".to_owned()),
            after: None,
            message: "bundled from `/x\u{9b}y`".to_owned(),
        };
        let shown = anstream::adapter::strip_str(&lines(&repair).join("\n")).to_string();
        assert_eq!(
            shown,
            "  repaired[dyn.runpath_leak] a\\u{1b}[2J.so: bundled from `/x\\u{9b}y`\n    \
             /home/\\u{1b}]0;owned\\u{7} → none"
        );
    }

    #[test]
    fn the_copy_is_called_after_the_input() {
        let name = |path: &str| beside(Path::new(path)).display().to_string();
        assert_eq!(name("build/libx.so"), "build/libx.fixed.so");
        assert_eq!(name("libx.so.1.2"), "libx.fixed.so.1.2");
        assert_eq!(name("plugin"), "plugin.fixed");
        let folder = tempfile::tempdir().unwrap();
        let expected = format!("{}-fixed", folder.path().display());
        assert_eq!(beside(folder.path()).display().to_string(), expected);
    }
}
