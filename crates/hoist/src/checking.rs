//! From a project, or a packed ABI file, to what is asked of each library; and findings as people
//! read them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path};

use hoist_check::{Checked, Contract, Promise, Target, TreeError, check_links, check_tree};
use hoist_schema::abi::{ABI_EDITION, ABI_PATH, AbiFile};
use hoist_schema::record::CheckedLibrary;
use hoist_schema::{Exit, Finding, Severity};

use crate::error::CliError;
use crate::output::{BOLD, DIM, count, severity_style};
use crate::project::Project;
use crate::settings::Settings;

/// Longest ABI file that is read, in bytes.
const MAX_ABI_BYTES: u64 = 16 << 20;

/// The answers about some libraries.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) libraries: Vec<CheckedLibrary>,
    pub(crate) findings: Vec<Finding>,
}

impl Findings {
    /// Adds what was found about one library, called `path`.
    pub(crate) fn add(
        &mut self,
        path: &str,
        report: &hoist_check::Report,
        promised: &[Promise],
        size_bytes: u64,
    ) {
        let exported = |promise: &&Promise| {
            let facts = report.facts.as_ref();
            facts.is_some_and(|facts| facts.exports().any(|symbol| *symbol.name == *promise.name))
        };
        self.libraries.push(CheckedLibrary {
            path: path.to_owned(),
            exports: promised.iter().filter(exported).count(),
            size_bytes,
        });
        self.findings.extend(report.findings.iter().cloned());
    }

    /// Adds the links of the artifact at `tree` that lead out of it; those of promised libraries
    /// are found with them.
    fn add_links(
        &mut self,
        tree: &Path,
        contracts: &BTreeMap<String, Contract>,
    ) -> Result<(), CliError> {
        let links = check_links(tree)?;
        self.findings.extend(links.into_iter().filter(|link| !contracts.contains_key(&link.file)));
        Ok(())
    }

    /// The severity of the worst finding.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// `no findings`, or `1 error, 2 warnings`; what is only worth knowing is not counted.
    pub(crate) fn summary(&self) -> String {
        let of = |severity| self.findings.iter().filter(|found| found.severity == severity).count();
        let parts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .into_iter()
            .map(|(severity, word)| (of(severity), word))
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| count(number, word))
            .collect();
        if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
    }

    /// The findings of at least `least` as lines for people, worst first.
    pub(crate) fn lines(&self, least: Severity) -> Vec<String> {
        let mut shown: Vec<&Finding> =
            self.findings.iter().filter(|finding| finding.severity >= least).collect();
        shown.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut lines = Vec::new();
        for finding in shown {
            let style = severity_style(finding.severity);
            let word = severity_word(finding.severity);
            lines.push(format!(
                "  {style}{word}{style:#}[{BOLD}{}{BOLD:#}] {}: {}",
                finding.rule, finding.file, finding.message
            ));
            if !finding.fix.is_empty() {
                lines.push(format!("    {DIM}fix: {}{DIM:#}", finding.fix));
            }
        }
        lines
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

impl From<TreeError> for CliError {
    fn from(error: TreeError) -> Self {
        Self::from_error(&error, None, Exit::Machine)
    }
}

/// Checks the libraries that `project` promises in the output tree or artifact at `tree`.
pub(crate) fn check_artifact(
    project: &Project,
    settings: &Settings,
    tree: &Path,
) -> Result<Findings, CliError> {
    let contracts = project_contracts(project, settings);
    let mut findings = check_with(tree, &contracts, &Contract::new(Target::HOST))?;
    findings.add_links(tree, &contracts)?;
    Ok(findings)
}

/// Checks a folder: an artifact by the ABI file packed in it, and every other library as one
/// without promises. Each must export `exports` as well.
pub(crate) fn check_folder(folder: &Path, exports: &[Promise]) -> Result<Findings, CliError> {
    let (contracts, others) = contracts_of(folder, exports)?;
    let mut findings = check_with(folder, &contracts, &others)?;
    if packed_abi(folder)?.is_some() {
        findings.add_links(folder, &contracts)?;
    }
    Ok(findings)
}

/// What is asked of the libraries in a file or folder: of those that the ABI file packed in it
/// promises, by path, and of all others. Each must export `exports` as well.
pub(crate) fn contracts_of(
    folder: &Path,
    exports: &[Promise],
) -> Result<(BTreeMap<String, Contract>, Contract), CliError> {
    let others = Contract {
        exports: exports.to_owned(),
        promised_by: "--export".to_owned(),
        ..Contract::new(Target::HOST)
    };
    let Some(abi) = packed_abi(folder)? else { return Ok((BTreeMap::new(), others)) };
    let target = Target::of_system(&abi.system).unwrap_or(Target::HOST);
    let mut contracts = promised_contracts(&abi, target, ABI_PATH);
    for contract in contracts.values_mut() {
        let asked = exports.iter().filter(|asked| !contract.exports.contains(asked));
        let asked: Vec<Promise> = asked.cloned().collect();
        if !asked.is_empty() {
            contract.promised_by.push_str(" or --export");
        }
        contract.exports.extend(asked);
    }
    Ok((contracts, others))
}

/// The ABI file of the artifact at `folder`; `None` for a folder without one.
fn packed_abi(folder: &Path) -> Result<Option<AbiFile>, CliError> {
    let file = folder.join(ABI_PATH);
    let refuse = |why: &str| {
        let message = format!("{} is not an ABI file: {why}", file.display());
        CliError::new(Exit::No, message).hint("ship the package again")
    };
    match file.symlink_metadata() {
        Ok(_) => {}
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(CliError::io("read", &file)(error)),
    }
    let target = file.canonicalize().map_err(CliError::io("read", &file))?;
    let inside = folder.canonicalize().map_err(CliError::io("read", folder))?;
    if !target.starts_with(inside) || !target.is_file() {
        return Err(refuse("it is no regular file of this folder"));
    }
    let mut bytes = Vec::new();
    File::open(&target)
        .and_then(|opened| opened.take(MAX_ABI_BYTES + 1).read_to_end(&mut bytes))
        .map_err(CliError::io("read", &file))?;
    if bytes.len() as u64 > MAX_ABI_BYTES {
        return Err(refuse(&format!("it has more than {MAX_ABI_BYTES} bytes")));
    }
    let edition: Edition =
        serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
    if edition.edition != ABI_EDITION {
        let message = format!(
            "{} is of edition {}, and this hoist reads edition {ABI_EDITION}",
            file.display(),
            edition.edition
        );
        return Err(CliError::new(Exit::No, message).hint("use the hoist that packed it"));
    }
    let abi: AbiFile =
        serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))?;
    let leaves = |path: &str| {
        path.is_empty()
            || !Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
    };
    match abi.libraries.iter().find(|library| leaves(&library.path)) {
        Some(library) => {
            Err(refuse(&format!("its library `{}` lies outside the artifact", library.path)))
        }
        None => Ok(Some(abi)),
    }
}

/// What every edition of the ABI file begins with.
#[derive(serde::Deserialize)]
struct Edition {
    edition: u32,
}

fn check_with(
    folder: &Path,
    contracts: &BTreeMap<String, Contract>,
    others: &Contract,
) -> Result<Findings, CliError> {
    let mut findings = Findings::default();
    for Checked { path, report } in check_tree(folder, contracts, others)? {
        let promised = &contracts.get(&path).unwrap_or(others).exports;
        let size = fs::metadata(folder.join(&path)).map_or(0, |metadata| metadata.len());
        findings.add(&path, &report, promised, size);
    }
    Ok(findings)
}

/// What the manifest asks of each library, by its path in the artifact.
fn project_contracts(project: &Project, settings: &Settings) -> BTreeMap<String, Contract> {
    let check = &project.manifest.check;
    let abi = &project.promise.abi;
    let target = Target::of_system(&abi.system).unwrap_or(Target::HOST);
    let mut contracts = promised_contracts(abi, target, "hoist.toml");
    let own_folders = [Some(project.folder.clone()), Some(settings.cache.root().to_owned())]
        .into_iter()
        .chain([std::env::home_dir()])
        .flatten()
        .filter(|folder| folder.parent().is_some()) // `/` is everywhere
        .map(|folder| folder.display().to_string());
    let own_folders: Vec<String> = own_folders.collect();
    for library in &project.manifest.library {
        let Some(contract) = contracts.get_mut(&library.path) else { continue };
        if let Some(header) = &library.header {
            contract.promised_by.clone_from(header);
        }
        contract.exports_exact = check.exports_exact;
        contract.glibc = check.glibc.and_then(|version| version.to_string().parse().ok());
        contract.size_bytes = check.size.map(|size| size.min_bytes..=size.max_bytes);
        contract.forbidden_paths.extend(own_folders.iter().cloned());
        contract.leaked_paths.clone_from(&own_folders);
    }
    contracts
}

fn promised_contracts(
    abi: &AbiFile,
    target: Target,
    promised_by: &str,
) -> BTreeMap<String, Contract> {
    let contract = |library: &hoist_schema::abi::AbiLibrary| Contract {
        exports: library
            .functions
            .iter()
            .map(|function| Promise::function(&function.name))
            .collect(),
        promised_by: promised_by.to_owned(),
        ..Contract::new(target)
    };
    abi.libraries.iter().map(|library| (library.path.clone(), contract(library))).collect()
}
