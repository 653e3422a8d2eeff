//! `hoist check`: what the linker, the loader and an auditor will see.

mod fix;

use std::fs;
use std::path::{Path, PathBuf};

use hoist_check::{Contract, Promise, Target, check_file};
use hoist_nix::StorePath;
use hoist_schema::record::CheckRecord;
use hoist_schema::{Exit, Severity};

use crate::checking::{Findings, check_folder, contracts_of};
use crate::error::CliError;
use crate::output::{Output, count};
use crate::settings::Settings;

/// Check shared libraries as the linker, the loader and an auditor would
///
/// Takes files, folders and store paths. An artifact that hoist packed is held against the ABI
/// file in it; any other library is asked what this machine asks. Quiet about what is in order.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist check build/libx.so
  hoist check /nix/store/…-pattern-search-0.1.0
  hoist check --export pattern_search_ffi libx.so
  hoist check --all --json dist/ | jq .rule
  hoist check --report report.json dist/      all that was looked at and found, as one file
  hoist check --fix --output out/ dist/       a copy in which is mended what needs no compiler")]
pub(crate) struct CheckArgs {
    /// Files, folders or store paths
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A function that every library must export; may be given again
    #[arg(long, value_name = "NAME")]
    export: Vec<String>,
    /// Show what is only worth knowing as well
    #[arg(long)]
    all: bool,
    /// Write all that was looked at and found to this file as well, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    fix: fix::FixArgs,
}

pub(crate) fn run(args: &CheckArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    let exports: Vec<Promise> = args.export.iter().map(Promise::function).collect();
    if args.fix.is_asked() {
        let [path] = args.paths.as_slice() else {
            return Err(CliError::new(Exit::Usage, "--fix takes one path at a time"));
        };
        let there = in_store(path, settings).unwrap_or_else(|| path.clone());
        let (contracts, others) = contracts_of(&there, &exports)?;
        return fix::run(&args.fix, &there, &contracts, &others, out);
    }
    let mut findings = Findings::default();
    for path in &args.paths {
        let there = in_store(path, settings).unwrap_or_else(|| path.clone());
        if there.is_dir() {
            let progress = out.progress(format!("checking {}", there.display()));
            let found = check_folder(&there, &exports)?;
            drop(progress);
            findings.libraries.extend(found.libraries);
            findings.findings.extend(found.findings);
        } else {
            let contract = Contract {
                exports: exports.clone(),
                promised_by: "--export".to_owned(),
                ..Contract::new(Target::HOST)
            };
            let report = check_file(&there, &contract)?;
            let size = fs::metadata(&there).map_or(0, |metadata| metadata.len());
            findings.add(&path.display().to_string(), &report, &exports, size);
        }
    }
    let least = if args.all { Severity::Info } else { Severity::Warning };
    for finding in findings.findings.iter().filter(|finding| finding.severity >= least) {
        out.record(finding);
    }
    for line in findings.lines(least) {
        out.line(line);
    }
    if let Some(file) = &args.report {
        write_report(file, &findings)?;
    }
    if findings.libraries.is_empty() {
        return Err(CliError::new(Exit::No, "there is no shared library in what was named")
            .hint("name a file ending in .so, or a folder that holds one"));
    }
    let libraries = match findings.libraries.len() {
        1 => findings.libraries[0].path.clone(),
        more => count(more, "file"),
    };
    out.detail(format!("{libraries}: {}", findings.summary()));
    let refused = findings.worst() == Some(Severity::Error);
    Ok(if refused { Exit::No } else { Exit::Success })
}

fn write_report(file: &Path, findings: &Findings) -> Result<(), CliError> {
    let report = CheckRecord {
        libraries: findings.libraries.clone(),
        findings: findings.findings.clone(),
        worst: findings.worst(),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("a report is plain data");
    text.push('\n');
    fs::write(file, text).map_err(CliError::io("write", file))
}

/// Where a logical store path lies in hoist's own store, unless the machine has it where it says.
fn in_store(path: &Path, settings: &Settings) -> Option<PathBuf> {
    let inside = path.strip_prefix("/nix/store").ok().filter(|_| !path.exists())?;
    let mut parts = inside.components();
    StorePath::parse(parts.next()?.as_os_str().to_str()?).ok()?;
    let there = settings.root.join("nix/store").join(inside);
    there.exists().then_some(there)
}
