//! From a project, or a packed ABI file, to what is asked of each library; and what was found.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::thread::available_parallelism;

use hoist_check::{
    Checked, CompareError, Contract, Family, Loaded, Policy, ProbeError, Promise, Report, Target,
    TreeError, apply_waivers, check_file, check_file_against, check_links, check_tree_on, floors,
};
use hoist_elf::DottedVersion;
use hoist_elf::header::Header;
use hoist_schema::abi::{ABI_EDITION, ABI_PATH, AbiFile, AbiLibrary};
use hoist_schema::manifest::{Day, IsaLevel, MANIFEST_FILE};
use hoist_schema::record::CheckedLibrary;
use hoist_schema::{Exit, Finding, Severity};
use rustix::system::uname;

use crate::error::CliError;
use crate::output::{BOLD, DIM, count, severity_style};
use crate::probing::Probing;
use crate::project::Project;
use crate::report::{printable, severity_word};
use crate::settings::Settings;

/// Longest ABI file that is read, in bytes.
const MAX_ABI_BYTES: u64 = 16 << 20;

/// The rule about a header that nothing could be held against.
const UNVERIFIED: &str = "export.signature_unverified";

/// What is asked of libraries, beside what their project or their ABI file promises.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// How bad each finding is.
    pub(crate) policy: Policy,
    /// What is asked of every library.
    pub(crate) contract: Contract,
    /// What flags ask, over all others.
    pub(crate) amendments: Amendments,
    /// Why the header of a policy cannot be read as C, so that nothing is held against it.
    pub(crate) unread_header: Option<String>,
    /// An older build of the same library, to compare with.
    pub(crate) previous: Option<PathBuf>,
    /// Load it in a sandbox, and how.
    pub(crate) probe: Option<Probing>,
    /// How many files are checked at a time.
    pub(crate) threads: NonZeroUsize,
}

/// What flags ask of every library, over what anything else asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Amendments {
    /// `--export`.
    pub(crate) exports: Vec<Promise>,
    /// `--header`: its path, and what it declares.
    pub(crate) header: Option<(String, Header)>,
    /// `--glibc`.
    pub(crate) glibc: Option<DottedVersion>,
    /// `--isa`.
    pub(crate) isa: Option<IsaLevel>,
}

impl Request {
    /// What `policy` asks of a library for this machine.
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            contract: policy.contract(Target::HOST),
            policy,
            amendments: Amendments::default(),
            unread_header: None,
            previous: None,
            probe: None,
            threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// The whole contract of a library without promises of its own.
    pub(crate) fn of_others(&self) -> Contract {
        self.amended(self.contract.clone())
    }

    /// `contract` with what flags and the policy ask besides.
    fn amended(&self, mut contract: Contract) -> Contract {
        let Amendments { exports, header, glibc, isa } = &self.amendments;
        let mut promise = |promised: Promise, by: &str| {
            if contract.exports.iter().any(|known| known.name == promised.name) {
                return;
            }
            if contract.exports.is_empty() {
                by.clone_into(&mut contract.promised_by);
            } else if !contract.promised_by.ends_with(by) {
                contract.promised_by.push_str(" or ");
                contract.promised_by.push_str(by);
            }
            contract.exports.push(promised);
        };
        if let Some((path, header)) = header {
            for function in &header.functions {
                promise(Promise::function(&function.name), path);
            }
        }
        for export in exports {
            promise(export.clone(), "--export");
        }
        if let Some((_, header)) = header {
            contract.header = Some(header.clone());
        }
        contract.glibc = glibc.clone().or(contract.glibc);
        contract.isa = isa.or(contract.isa);
        contract.exports_exact |= self.policy.exports_exact() && !contract.exports.is_empty();
        contract
    }
}

/// The answers about some libraries.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "named as in the reports")]
pub(crate) struct Findings {
    pub(crate) libraries: Vec<CheckedLibrary>,
    pub(crate) findings: Vec<Finding>,
    /// The folder that all of it is about, as it was named; empty when paths are as named
    /// themselves.
    pub(crate) below: String,
}

impl Findings {
    /// Adds what was found about one library.
    fn add(&mut self, (library, findings): (CheckedLibrary, Vec<Finding>)) {
        self.libraries.push(library);
        self.findings.extend(findings);
    }

    /// Adds what was found elsewhere, its files called by the path that they have from here.
    pub(crate) fn append(&mut self, mut other: Self) {
        if !other.below.is_empty() {
            let below = other.below.trim_end_matches('/');
            let whole = |path: &mut String| *path = format!("{below}/{path}");
            other.libraries.iter_mut().for_each(|library| whole(&mut library.path));
            other.findings.iter_mut().for_each(|finding| whole(&mut finding.file));
        }
        self.libraries.append(&mut other.libraries);
        self.findings.append(&mut other.findings);
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

    /// Judges what was found by the policy of `request`.
    ///
    /// That a header could not be held against debug information is worth knowing where it is the
    /// project's own: release builds have none, and `strict` asks for it. It is a warning where
    /// `--header` asked.
    fn judge(&mut self, request: &Request, contracts: &BTreeMap<String, Contract>) {
        let is_asked = request.amendments.header.is_some();
        for finding in &mut self.findings {
            let found = finding.severity;
            finding.severity = request.policy.severity(&finding.rule, found);
            let is_own = !is_asked && contracts.contains_key(&finding.file);
            let is_unsure = finding.rule == UNVERIFIED;
            if is_own && is_unsure && finding.severity == found {
                finding.severity = Severity::Info;
            }
        }
    }

    /// Judges what was found by the waivers of `project`, which have the last word.
    pub(crate) fn waive(&mut self, project: &Project) -> Result<(), CliError> {
        let waivers = &project.manifest.check.waive;
        apply_waivers(waivers, today()?, MANIFEST_FILE, &mut self.findings);
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

    /// The findings of at least `least` as lines for people that name their file, worst first.
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
                finding.rule,
                printable(&finding.file),
                printable(&finding.message)
            ));
            if !finding.fix.is_empty() {
                lines.push(format!("    {DIM}fix: {}{DIM:#}", printable(&finding.fix)));
            }
        }
        lines
    }
}

impl From<TreeError> for CliError {
    fn from(error: TreeError) -> Self {
        Self::from_error(&error, None, Exit::Machine)
    }
}

/// Checks the libraries that `project` promises in the output tree or artifact at `tree`, by its own
/// policy.
///
/// - `is_new`: whether to load them as well, if the project does not say otherwise. What is in the
///   store was loaded before it came there.
pub(crate) fn check_artifact(
    project: &Project,
    settings: &Settings,
    tree: &Path,
    is_new: bool,
) -> Result<Findings, CliError> {
    let probe = Probing::of_manifest(&project.manifest.check).filter(|_| is_new);
    let request = Request { probe, ..Request::new(project_policy(project)?) };
    let mut findings = check_project(project, settings, tree, &request)?;
    findings.waive(project)?;
    Ok(findings)
}

/// The policy that `project` asks for.
pub(crate) fn project_policy(project: &Project) -> Result<Policy, CliError> {
    let Some(name) = &project.manifest.check.policy else { return Ok(Policy::default()) };
    Policy::named(name).ok_or_else(|| {
        CliError::new(Exit::Usage, format!("{MANIFEST_FILE}: there is no policy `{name}`"))
    })
}

/// Checks the libraries that `project` promises in the output tree or artifact at `tree`; what is
/// waived comes with [`Findings::waive`], once all is found.
pub(crate) fn check_project(
    project: &Project,
    settings: &Settings,
    tree: &Path,
    request: &Request,
) -> Result<Findings, CliError> {
    let contracts = project_contracts(project, settings, request);
    let mut others = request.of_others();
    ask_of_all(&mut others, project);
    others.store_roots.insert(0, settings.root.clone());
    let mut findings = check_with(tree, &contracts, &request.amended(others), request)?;
    findings.add_links(tree, &contracts)?;
    findings.judge(request, &contracts);
    Ok(findings)
}

/// The day that waivers are held against, as all the world counts it (UTC).
fn today() -> Result<Day, CliError> {
    let text = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    text.parse().map_err(|why: String| CliError::new(Exit::Machine, format!("the clock: {why}")))
}

/// Checks a folder: an artifact by the ABI file packed in it, and every other library as one
/// without promises.
pub(crate) fn check_folder(folder: &Path, request: &Request) -> Result<Findings, CliError> {
    let contracts = folder_contracts(folder, request)?;
    let mut findings = check_with(folder, &contracts, &request.of_others(), request)?;
    if !contracts.is_empty() {
        findings.add_links(folder, &contracts)?;
    }
    findings.judge(request, &contracts);
    Ok(findings)
}

/// Checks one file, called `name`: the rules of its contract, and whatever else was asked.
pub(crate) fn check_one(path: &Path, name: &str, request: &Request) -> Result<Findings, CliError> {
    let contract = request.of_others();
    let mut report = check_file(path, &contract)?;
    if let Some(old) = &request.previous {
        let compared = check_file_against(path, name, old, &contract, None);
        report.findings.extend(compared.map_err(|error| not_compared(&error, old))?.findings);
    }
    probe_as_asked(&contract, request, &mut report, || Loaded::alone(path))?;
    report.findings.extend(request.unread_header.as_ref().map(|why| unverified(why)));
    let mut findings = Findings::default();
    findings.add(kept(name, path, &contract, report));
    findings.findings.iter_mut().for_each(|finding| name.clone_into(&mut finding.file));
    request.policy.judge(&mut findings.findings);
    Ok(findings)
}

/// A header that cannot be read is no answer about the library, and no reason to give none.
fn unverified(why: &str) -> Finding {
    Finding {
        rule: UNVERIFIED.to_owned(),
        severity: Severity::Warning,
        file: String::new(),
        symbol: None,
        object: None,
        message: format!("nothing was held against the header: {why}"),
        fix: "`hoist check --header FILE` shows what it can and cannot read".to_owned(),
        waived: None,
    }
}

/// A refusal to compare with the build at `old`.
pub(crate) fn not_compared(error: &CompareError, old: &Path) -> CliError {
    let exit = match error {
        CompareError::Read(_) => Exit::Machine,
        _ => Exit::No,
    };
    let hint = "`hoist check FILE` tells more about each".to_owned();
    let refusal = CliError::from_error(error, Some(hint), exit);
    refusal.details(vec![format!("  against {}", old.display())])
}

/// Loads a library, if that is asked.
fn probe_as_asked(
    contract: &Contract,
    request: &Request,
    report: &mut Report,
    loaded: impl FnOnce() -> Result<Loaded, ProbeError>,
) -> Result<(), CliError> {
    match &request.probe {
        Some(probing) => probing.add_to(report, contract, loaded),
        None => Ok(()),
    }
}

/// What is kept of the answers about one library.
fn kept(
    name: &str,
    path: &Path,
    contract: &Contract,
    report: Report,
) -> (CheckedLibrary, Vec<Finding>) {
    let facts = report.facts.as_ref();
    let is_there = |promise: &&Promise| {
        facts.is_some_and(|facts| facts.exports().any(|symbol| *symbol.name == *promise.name))
    };
    let floors = facts.map(floors).unwrap_or_default();
    let library = CheckedLibrary {
        path: name.to_owned(),
        exports: contract.exports.iter().filter(is_there).count(),
        size_bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
        exported: facts.map_or(0, |facts| facts.exports().count()),
        glibc: floors.get(Family::Glibc).map(|floor| floor.release.to_string()),
        loads_on: floors.to_string(),
    };
    (library, report.findings)
}

/// What the ABI file packed in a folder asks of each library; nothing without one.
pub(crate) fn folder_contracts(
    folder: &Path,
    request: &Request,
) -> Result<BTreeMap<String, Contract>, CliError> {
    let Some(abi) = packed_abi(folder)? else { return Ok(BTreeMap::new()) };
    let contracts = promised_contracts(&abi, ABI_PATH, request);
    Ok(contracts.into_iter().map(|(path, contract)| (path, request.amended(contract))).collect())
}

/// The ABI file of the artifact at `folder`; `None` for a folder without one.
pub(crate) fn packed_abi(folder: &Path) -> Result<Option<AbiFile>, CliError> {
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
    request: &Request,
) -> Result<Findings, CliError> {
    let keep = |Checked { path, mut report }: Checked| {
        let contract = contracts.get(&path).unwrap_or(others);
        let loaded = || Ok(Loaded::in_artifact(folder, &path));
        probe_as_asked(contract, request, &mut report, loaded)?;
        Ok::<_, CliError>(kept(&path, &folder.join(&path), contract, report))
    };
    let mut findings = Findings::default();
    for found in check_tree_on(request.threads, folder, contracts, others, keep)? {
        findings.add(found?);
    }
    Ok(findings)
}

/// What the manifest asks of each library, by its path in the artifact.
fn project_contracts(
    project: &Project,
    settings: &Settings,
    request: &Request,
) -> BTreeMap<String, Contract> {
    let check = &project.manifest.check;
    let mut contracts = promised_contracts(&project.promise.abi, MANIFEST_FILE, request);
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
        ask_of_all(contract, project);
        contract.exports_exact |= check.exports_exact;
        contract.size_bytes = check.size.map(|size| size.min_bytes..=size.max_bytes);
        contract.forbidden_paths.extend(own_folders.iter().cloned());
        contract.leaked_paths.clone_from(&own_folders);
        contract.leaked_names.extend(uname().nodename().to_str().ok().map(str::to_owned));
        contract.store_roots.insert(0, settings.root.clone());
        *contract = request.amended(contract.clone());
    }
    contracts
}

/// What `[check]` asks of every library of the artifact, promised or not.
fn ask_of_all(contract: &mut Contract, project: &Project) {
    let check = &project.manifest.check;
    let glibc = check.glibc.map(|version| DottedVersion::from([version.major, version.minor]));
    contract.glibc = glibc.or_else(|| contract.glibc.take());
    let libstdcxx = check.libstdcxx.and_then(|version| version.to_string().parse().ok());
    contract.libstdcxx = libstdcxx.or_else(|| contract.libstdcxx.take());
    contract.isa = check.isa.or(contract.isa);
}

/// What an ABI file promises of each library, over what is asked of every one.
fn promised_contracts(
    abi: &AbiFile,
    promised_by: &str,
    request: &Request,
) -> BTreeMap<String, Contract> {
    let target = Target::of_system(&abi.system).unwrap_or(Target::HOST);
    let base = if target == request.contract.target {
        request.contract.clone()
    } else {
        request.policy.contract(target)
    };
    let contract = |library: &AbiLibrary| Contract {
        exports: library
            .functions
            .iter()
            .map(|function| Promise::function(&function.name))
            .collect(),
        promised_by: promised_by.to_owned(),
        header: declared(library),
        ..base.clone()
    };
    abi.libraries.iter().map(|library| (library.path.clone(), contract(library))).collect()
}

/// What the header of a library declares; `None` where only names were promised.
fn declared(library: &AbiLibrary) -> Option<Header> {
    let functions = library.functions.iter().filter(|function| function.signature.is_some());
    let functions: Vec<_> = functions.cloned().collect();
    (!functions.is_empty()).then(|| Header { functions, structs: library.structs.clone() })
}
