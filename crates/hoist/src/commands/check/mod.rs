//! `hoist check`: what the linker, the loader and an auditor will see.

mod against;
mod asked;
mod fix;
mod in_project;
mod neutral;
mod probe;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use hoist_elf::DottedVersion;
use hoist_nix::StorePath;
use hoist_schema::manifest::IsaLevel;
use hoist_schema::{Exit, Severity};
use hoist_store::{PathInfo, StoreError};

use self::against::Old;
use crate::checking::{Findings, Request, check_folder, check_one};
use crate::error::CliError;
use crate::output::{Output, count, size};
use crate::report::{ReportForm, Shown, table};
use crate::settings::Settings;

/// Check shared libraries as the linker, the loader and an auditor would
///
/// Takes files, folders and store paths; without one, the active generation of the project here, by
/// its hoist.toml. An artifact that hoist packed is held against the ABI file in it; any other
/// library is asked what this machine asks. Quiet about what is in order.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hoist check build/libx.so
  hoist check /nix/store/…-pattern-search-0.1.0
  hoist check --probe libx.so                   load it in a sandbox as well
  hoist check libx.so --against pattern-search  can callers of the active generation use it?
  hoist check --header x.h --glibc 2.28 --isa x86-64-v2 libx.so
  hoist check --policy manylinux_2_28 dist/     what wheels may ask of their hosts
  hoist check --all --json dist/ | jq .rule     a record for each finding
  hoist check --fix --output out/ dist/         a copy in which is mended what needs no compiler
  hoist check --report hoist.sarif dist/        for a code host; .xml for JUnit, .json for all else")]
pub(crate) struct CheckArgs {
    /// Files, folders or store paths [default: the active generation of the project here]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// default, nix, strict, manylinux_2_28 and its siblings; or a file with an elf-policy
    /// [default: that of hoist.toml in a project, else default]
    #[arg(long, value_name = "NAME|FILE")]
    policy: Option<PathBuf>,
    /// A function that every library must export; may be given again
    #[arg(long, value_name = "NAME")]
    export: Vec<String>,
    /// C header whose functions every library must export as it declares them
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,
    /// Oldest glibc that must load them
    #[arg(long, value_name = "VERSION")]
    glibc: Option<DottedVersion>,
    /// Instructions that every target's processor has
    #[arg(long, value_name = "LEVEL", value_parser = asked::isa_level,
          hide_possible_values = true, help = "Instructions that every target's processor has: \
          x86-64, x86-64-v2, -v3, -v4")]
    isa: Option<IsaLevel>,
    #[command(flatten)]
    probe: probe::ProbeArgs,
    /// Compare with the build that callers were compiled for: a file, folder, store path or
    /// generation (NAME or NAME@N)
    #[arg(long, value_name = "OLD")]
    against: Option<String>,
    /// Show what is only worth knowing, and waived, as well
    #[arg(long)]
    all: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write all that was looked at and found to this file as well: .sarif, .xml (JUnit), or JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Files that are checked at a time [default: one for each processor]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    fix: fix::FixArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, the worst first
    Table,
    /// One JSON object with all that was looked at and found
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// JUnit's XML, for build servers
    Junit,
    /// elf-findings/1, of one file
    Neutral,
}

pub(crate) fn run(args: &CheckArgs, settings: &Settings, out: &Output) -> Result<Exit, CliError> {
    if out.is_json() && args.format != Format::Table {
        return Err(CliError::new(Exit::Usage, "--json and --format are two ways to print")
            .hint("take --json for a record a line, --format json for one object"));
    }
    if args.format == Format::Neutral && args.paths.len() != 1 {
        return Err(
            CliError::new(Exit::Usage, "--format neutral is about one file").hint("name one PATH")
        );
    }
    if args.fix.is_asked() {
        let [path] = args.paths.as_slice() else {
            return Err(CliError::new(Exit::Usage, "--fix takes one path at a time"));
        };
        let there = in_store(path, settings).unwrap_or_else(|| path.clone());
        return fix::run(&args.fix, &there, &asked::request(args, None)?, out);
    }
    // Another program reads what is printed, and nothing but the report.
    let silent = Output::new(false, true);
    let is_read_by_people = args.format == Format::Table;
    let findings = find(args, settings, if is_read_by_people { out } else { &silent })?;
    print(args, &findings, out);
    if let Some(file) = &args.report {
        let text = ReportForm::of_file(file).render(&findings);
        fs::write(file, text).map_err(CliError::io("write", file))?;
    }
    if findings.libraries.is_empty() {
        return Err(CliError::new(Exit::No, "there is no shared library in what was named")
            .hint("name a file ending in .so, or a folder that holds one"));
    }
    let refused = findings.worst() == Some(Severity::Error);
    Ok(if refused { Exit::No } else { Exit::Success })
}

/// Looks at all that was named, or at the artifact of the project here.
fn find(args: &CheckArgs, settings: &Settings, out: &Output) -> Result<Findings, CliError> {
    if args.paths.is_empty() {
        return in_project::find(args, settings, out);
    }
    let request = asked::request(args, None)?;
    let old = args.against.as_ref().map(|named| Old::find(named, settings)).transpose()?;
    let mut all = Findings::default();
    for path in &args.paths {
        let mut found = look_at(path, settings, &request, args.format == Format::Neutral, out)?;
        if let Some(old) = &old {
            let there = in_store(path, settings).unwrap_or_else(|| path.clone());
            let name = path.display().to_string();
            found.findings.extend(old.compare(&there, &name, &request, out)?);
        }
        if let [_] = args.paths.as_slice() {
            return Ok(found);
        }
        if found.below.is_empty() && path.is_dir() {
            found.below = path.display().to_string();
        }
        all.append(found);
    }
    Ok(all)
}

fn look_at(
    path: &Path,
    settings: &Settings,
    request: &Request,
    is_one_file: bool,
    out: &Output,
) -> Result<Findings, CliError> {
    let there = in_store(path, settings).unwrap_or_else(|| path.to_owned());
    let _progress = out.progress(format!("checking {}", there.display()));
    // The neutral format is about a file; a folder in its place is a finding.
    if is_one_file || !there.is_dir() {
        return check_one(&there, &path.display().to_string(), request);
    }
    let mut request = request.clone();
    if let Some(store_path) = store_path(path) {
        request.contract.references = references(&store_path, settings)?;
    }
    let found = check_folder(&there, &request)?;
    Ok(Findings { below: path.display().to_string(), ..found })
}

/// The hash parts of what `path` keeps; not known of one that is not in hoist's store.
fn references(path: &StorePath, settings: &Settings) -> Result<Option<Vec<String>>, CliError> {
    let store = match settings.store() {
        Err(StoreError::NotAStore { .. }) => return Ok(None),
        store => store?,
    };
    let info = store.path_info(path)?;
    let parts =
        |info: PathInfo| info.references.iter().map(|it| it.hash_part().to_owned()).collect();
    Ok(info.map(parts))
}

/// The store path that a logical path lies in.
fn store_path(path: &Path) -> Option<StorePath> {
    let mut parts = path.strip_prefix("/nix/store").ok()?.components();
    StorePath::parse(parts.next()?.as_os_str().to_str()?).ok()
}

fn print(args: &CheckArgs, findings: &Findings, out: &Output) {
    let shown = Shown { all: args.all, width: Output::width() };
    match args.format {
        Format::Table => {
            let least = shown.least();
            for finding in findings.findings.iter().filter(|finding| finding.severity >= least) {
                out.record(finding);
            }
            for line in table(findings, shown) {
                out.line(line);
            }
            if !findings.libraries.is_empty() {
                out.detail(last_line(args, findings));
            }
        }
        Format::Json => out.whole(&ReportForm::Json.render(findings)),
        Format::Sarif => out.whole(&ReportForm::Sarif.render(findings)),
        Format::Junit => out.whole(&ReportForm::Junit.render(findings)),
        Format::Neutral => out.whole(&neutral::findings(findings)),
    }
}

/// What was looked at and how it stands, with the facts of a single library that is in order.
fn last_line(args: &CheckArgs, findings: &Findings) -> String {
    let summary = findings.summary();
    let [library] = findings.libraries.as_slice() else {
        return format!("{}: {summary}", count(findings.libraries.len(), "file"));
    };
    let mut facts = vec![size(library.size_bytes), count(library.exported, "export")];
    facts.extend((!library.loads_on.is_empty()).then(|| format!("needs {}", library.loads_on)));
    let isa = args.isa.and_then(|level| serde_json::to_value(level).ok());
    facts.extend(isa.and_then(|level| level.as_str().map(str::to_owned)));
    if findings.worst() >= Some(Severity::Warning) {
        format!("{}: {summary}", library.path)
    } else {
        format!("{}: {summary}; {}", library.path, facts.join(", "))
    }
}

/// Where a logical store path lies in hoist's own store, unless the machine has it where it says.
pub(crate) fn in_store(path: &Path, settings: &Settings) -> Option<PathBuf> {
    store_path(path).filter(|_| !path.exists())?;
    let there = settings.root.join("nix/store").join(path.strip_prefix("/nix/store").ok()?);
    there.exists().then_some(there)
}
