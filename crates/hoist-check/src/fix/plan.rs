//! From a file or a folder to what its repair would write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hoist_elf::edit::split_debug;
use hoist_elf::{ElfFacts, FileKind};
use hoist_schema::{Finding, Repair};

use crate::check::{Candidate, check_library};
use crate::contract::Contract;
use crate::fix::bundle::{Bundle, MOST_LIBRARIES};
use crate::fix::error::FixError;
use crate::fix::library::{Need, Patient, Source, make_edits};
use crate::fix::output::Destination;
use crate::fix::site::{Site, name_of, read_library};
use crate::fix::tell::{Treatment, tell};
use crate::fix::{FixOptions, Fixed};
use crate::siblings::folder_of;
use crate::tree::{Checked, Folder, check_file, check_tree, read_used};

/// Folders of a Linux system that libraries are drawn in from when nothing else has them.
const SYSTEM_FOLDERS: [&str; 8] = [
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/usr/lib",
];

/// Repairs one file. What it draws in lies in a folder `NAME.libs` beside `output`.
///
/// Nothing is written yet.
///
/// # Errors
///
/// When the file cannot be read, when `output` is the file itself, and when a library that must be
/// bundled cannot be edited.
pub fn fix_file(
    input: &Path,
    output: &Path,
    contract: &Contract,
    options: &FixOptions,
) -> Result<Fixed, FixError> {
    let destination = Destination::file(input, output)?;
    let report = check_file(input, contract)?;
    let path = destination.in_site.clone();
    let site = Site::new(Folder::new(Path::new("/"), contract), std::iter::empty());
    let plan = Plan { contracts: &BTreeMap::new(), others: contract, options, destination, site };
    let checked = Checked { path, report };
    plan.run(vec![checked], &|_| input.to_owned())
}

/// Repairs the libraries of a folder, which `contracts` and `others` judge as [`check_tree`] does.
/// What they need is looked for in the folder first; what is drawn in lies in a folder `NAME.libs`
/// beside the first library that needs it.
///
/// Nothing is written yet.
///
/// # Errors
///
/// As [`fix_file`], and when `output` lies in `root`.
pub fn fix_tree(
    root: &Path,
    output: &Path,
    contracts: &BTreeMap<String, Contract>,
    others: &Contract,
    options: &FixOptions,
) -> Result<Fixed, FixError> {
    let destination = Destination::tree(root, output)?;
    let checked = check_tree(root, contracts, others)?;
    let paths = checked.iter().map(|checked| checked.path.clone());
    let site = Site::new(Folder::new(root, others), paths);
    let plan = Plan { contracts, others, options, destination, site };
    plan.run(checked, &|path| root.join(path))
}

/// The place of a bundle, and what is needed of it or elsewhere.
type Needs = (usize, Vec<Need>);

struct Plan<'a> {
    contracts: &'a BTreeMap<String, Contract>,
    others: &'a Contract,
    options: &'a FixOptions,
    destination: Destination,
    site: Site,
}

impl<'a> Plan<'a> {
    /// - `on_disk`: where the input of a path in the site is.
    fn run(
        mut self,
        checked: Vec<Checked>,
        on_disk: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Fixed, FixError> {
        let before: Vec<Finding> =
            checked.iter().flat_map(|checked| checked.report.findings.clone()).collect();
        let mut paths: BTreeSet<String> =
            checked.iter().map(|checked| checked.path.clone()).collect();
        let (patients, untouched) = self.patients(checked, on_disk);
        for checked in &untouched {
            paths.remove(&checked.path);
        }
        let mut treatments = Vec::new();
        let (mut bundles, needs) = self.needs(&patients)?;
        bundles.iter_mut().for_each(Bundle::settle_names);
        let libs = libs_folder(&patients, &needs);
        let shown = self.destination.shown(&libs);
        for (patient, (at, needs)) in patients.into_iter().zip(needs) {
            let bundle = &bundles[at];
            treatments.push(self.treat(patient, needs, bundle, (&libs, &shown), on_disk)?);
        }
        let mut repairs = Vec::new();
        for bundle in &bundles {
            repairs.extend(self.put_bundle(bundle, &libs, &mut paths)?);
        }
        let after = self.check_again(paths, on_disk)?;
        for treatment in &treatments {
            repairs.extend(tell(treatment, after.get(&treatment.patient.path)));
        }
        let mut after: Vec<Checked> = after.into_values().collect();
        after.extend(untouched);
        let files = self.destination.relative(self.site.into_changed());
        Ok(Fixed { before, repairs, after, files, destination: self.destination })
    }

    fn contract(&self, path: &str) -> &'a Contract {
        self.contracts.get(path).unwrap_or(self.others)
    }

    /// The libraries among what was checked, and what is none.
    fn patients(
        &self,
        checked: Vec<Checked>,
        on_disk: &dyn Fn(&str) -> PathBuf,
    ) -> (Vec<Patient<'a>>, Vec<Checked>) {
        let (mut patients, mut others) = (Vec::new(), Vec::new());
        for Checked { path, mut report } in checked {
            let is_library = |it: &ElfFacts| it.kind == FileKind::SharedLibrary;
            let Some(facts) = report.facts.take_if(|it| is_library(it)) else {
                others.push(Checked { path, report });
                continue;
            };
            let source = on_disk(&path);
            let source = source.canonicalize().unwrap_or(source);
            patients.push(Patient {
                shown: self.destination.shown(&path),
                origin: source.parent().unwrap_or(Path::new("/")).to_owned(),
                facts,
                contract: self.contract(&path),
                findings: report.findings,
                path,
            });
        }
        (patients, others)
    }

    /// What each library needs, with the place of its bundle: libraries for one machine, whose
    /// hosts have the same, share one.
    fn needs(&self, patients: &[Patient<'a>]) -> Result<(Vec<Bundle<'a>>, Vec<Needs>), FixError> {
        let mut bundles: Vec<Bundle<'a>> = Vec::new();
        let mut needs = Vec::new();
        for patient in patients {
            let identity = patient.facts.identity;
            let known = bundles.iter().position(|it| it.is_for(identity, patient.contract));
            let at = known.unwrap_or(bundles.len());
            if known.is_none() {
                let folders = self.options.bundle_from.iter().cloned();
                let folders = folders.chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect();
                bundles.push(Bundle::new(patient.contract, identity, folders));
            }
            needs.push((at, patient.resolve(&self.site, &mut bundles[at])?));
            if bundles.iter().map(|it| it.libraries.len()).sum::<usize>() > MOST_LIBRARIES {
                return Err(FixError::TooManyLibraries { limit: MOST_LIBRARIES });
            }
        }
        Ok((bundles, needs))
    }

    /// Edits one library and takes its debug information out, where that is asked.
    fn treat(
        &mut self,
        patient: Patient<'a>,
        needs: Vec<Need>,
        bundle: &Bundle<'_>,
        (libs, shown): (&str, &str),
        on_disk: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Treatment<'a>, FixError> {
        let dependencies = patient.dependency_edits(&needs, bundle, libs);
        let own = patient.own_edits(self.options);
        let splits = self.options.split_debug && patient.facts.sections.has_debug_info;
        let mut treatment = Treatment::new(patient, needs, bundle, shown);
        if dependencies.is_empty() && own.is_empty() && !splits {
            return Ok(treatment);
        }
        let source = on_disk(&treatment.patient.path);
        let Some(original) = read_library(&source) else {
            let source_error = std::io::Error::other("it is gone, or larger than 1 GiB");
            return Err(FixError::Io { what: "read", path: source, source: source_error });
        };
        let mut edited = make_edits(original.clone(), &dependencies, &own);
        if splits {
            let name = format!("{}.debug", name_of(&treatment.patient.path));
            match split_debug(&edited.bytes, &name) {
                Ok(split) => {
                    edited.bytes = split.library;
                    let folder = folder_of(&treatment.patient.path);
                    let path = format!("{folder}/{name}").trim_start_matches('/').to_owned();
                    treatment.debug = Some(Ok(self.destination.shown(&path)));
                    self.site.change(path, split.debug);
                }
                Err(refusal) => treatment.debug = Some(Err(refusal.to_string())),
            }
        }
        treatment.refused = edited.refused;
        treatment.layout = edited.layout;
        if edited.bytes != original {
            self.site.change(treatment.patient.path.clone(), edited.bytes);
        }
        Ok(treatment)
    }

    /// Puts what was drawn in into the artifact.
    fn put_bundle(
        &mut self,
        bundle: &Bundle<'_>,
        libs: &str,
        paths: &mut BTreeSet<String>,
    ) -> Result<Vec<Repair>, FixError> {
        let mut repairs = Vec::new();
        for (source, library) in &bundle.libraries {
            let path = format!("{libs}/{}", library.name).trim_start_matches('/').to_owned();
            let bytes = bundle.repaired(source)?;
            if self.site.changed(&path) == Some(&bytes) {
                continue; // the libraries of another contract need the same
            }
            let shown = self.destination.shown(&path);
            repairs.push(Repair {
                rule: crate::rule::DYN_NEEDED_MISSING.id.to_owned(),
                file: shown.clone(),
                made: library.missing.is_empty(),
                before: Some(source.display().to_string()),
                after: Some(shown),
                message: if library.missing.is_empty() {
                    format!("copied from `{}`, under a name of its own", source.display())
                } else {
                    let missing = library.missing.join("`, `");
                    format!(
                        "it needs `{missing}`, found nowhere: name the folder with --bundle-from"
                    )
                },
            });
            self.site.change(path.clone(), bytes);
            paths.insert(path);
        }
        Ok(repairs)
    }

    /// All rules once more, on what would be written.
    fn check_again(
        &self,
        paths: BTreeSet<String>,
        on_disk: &dyn Fn(&str) -> PathBuf,
    ) -> Result<BTreeMap<String, Checked>, FixError> {
        let check = |path: String| {
            let (bytes, size_bytes) = if let Some(bytes) = self.site.changed(&path) {
                (Cow::Borrowed(bytes), bytes.len() as u64)
            } else {
                let file = on_disk(&path);
                let read = |source| FixError::Io { what: "read", path: file.clone(), source };
                let size_bytes = fs::metadata(&file).map_err(read)?.len();
                (Cow::Owned(read_used(&file, size_bytes)?), size_bytes)
            };
            let shown = self.destination.shown(&path);
            let candidate = Candidate { file: &shown, path: &path, bytes: &bytes, size_bytes };
            let report = check_library(&candidate, self.contract(&path), &self.site);
            Ok((path, Checked { path: shown, report }))
        };
        paths.into_iter().map(check).collect()
    }
}

/// The folder that takes what is drawn in: `NAME.libs` beside the first library that needs it.
fn libs_folder(patients: &[Patient<'_>], needs: &[Needs]) -> String {
    let draws =
        |needs: &[Need]| needs.iter().any(|need| matches!(need.source, Source::Bundle { .. }));
    let first = patients.iter().zip(needs).find(|(_, (_, needs))| draws(needs));
    let Some((patient, _)) = first else { return String::new() };
    let name = name_of(&patient.path);
    let stem = name.find(".so").map_or(name, |at| &name[..at]);
    format!("{}/{stem}.libs", folder_of(&patient.path)).trim_start_matches('/').to_owned()
}
