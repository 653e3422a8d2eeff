//! `hoist check NEW --against OLD`: whether callers of one build can use another.

use std::path::{Path, PathBuf};

use hoist_check::{Comparison, Contract, check_file_against, library_paths};
use hoist_elf::header::Header;
use hoist_schema::{Exit, Finding, Severity};
use hoist_store::Profile;

use super::in_store;
use crate::checking::{Request, folder_contracts, not_compared};
use crate::error::CliError;
use crate::output::{Output, count};
use crate::project::Project;
use crate::settings::Settings;

/// The previous build that `--against` names.
pub(super) struct Old {
    /// As the user named it, or the generation.
    name: String,
    /// Where it lies.
    path: PathBuf,
}

impl Old {
    /// Finds a file, a folder, a store path, or a generation: `NAME` is the active one of that
    /// profile, `NAME@N` its generation N, and `@N` that of the project around the current folder.
    pub(super) fn find(named: &str, settings: &Settings) -> Result<Self, CliError> {
        let path = PathBuf::from(named);
        if path.exists() {
            return Ok(Self { name: named.to_owned(), path });
        }
        if let Some(path) = in_store(&path, settings) {
            return Ok(Self { name: named.to_owned(), path });
        }
        let nothing = || {
            let message =
                format!("`{named}` is no file, folder, store path or generation that is here");
            CliError::new(Exit::Usage, message)
                .hint("a generation is written NAME or NAME@N; `hoist generations NAME` lists them")
        };
        if named.contains('/') {
            return Err(nothing());
        }
        let (profile, number) = match named.split_once('@') {
            Some((profile, number)) => (profile, Some(number.parse().map_err(|_| nothing())?)),
            None => (named, None),
        };
        let profile = match profile {
            "" => Project::load(None)?.manifest.package.name,
            profile => profile.to_owned(),
        };
        Self::generation(&profile, number, settings)?.ok_or_else(nothing)
    }

    fn generation(
        profile: &str,
        number: Option<u64>,
        settings: &Settings,
    ) -> Result<Option<Self>, CliError> {
        let store = settings.store()?;
        let generations = Profile::open(&store, profile)?.generations()?;
        let is_meant = |generation: &hoist_store::Generation| match number {
            Some(number) => generation.number == number,
            None => generation.is_current,
        };
        let found = generations.into_iter().find(is_meant);
        Ok(found.map(|generation| Self {
            name: format!("generation {} of {profile}", generation.number),
            path: store.physical(&generation.path),
        }))
    }

    /// Compares every library at `new`, which the user called `name`, with its counterpart.
    /// What is alike is said at once; the findings are returned.
    pub(super) fn compare(
        &self,
        new: &Path,
        name: &str,
        request: &Request,
        out: &Output,
    ) -> Result<Vec<Finding>, CliError> {
        let mut findings = self.differences(new, name, request, out)?;
        request.policy.judge(&mut findings);
        Ok(findings)
    }

    fn differences(
        &self,
        new: &Path,
        name: &str,
        request: &Request,
        out: &Output,
    ) -> Result<Vec<Finding>, CliError> {
        if !new.is_dir() {
            let old = self.counterpart(new)?;
            return self.compare_one((new, name), (&old, None), &request.of_others(), out);
        }
        let mut contracts = folder_contracts(new, request)?;
        if !self.path.is_dir() {
            let message = format!("{name} is a folder, and {} is a file", self.name);
            return Err(CliError::new(Exit::Usage, message)
                .hint("compare two folders, or name the library inside the folder"));
        }
        let promised = folder_contracts(&self.path, request)?;
        let (now, before) = (library_paths(new)?, library_paths(&self.path)?);
        let mut findings: Vec<Finding> = before
            .iter()
            .filter(|path| !new.join(path).exists())
            .map(|path| Finding {
                rule: "file.missing".to_owned(),
                severity: Severity::Error,
                file: path.clone(),
                symbol: None,
                object: None,
                message: format!("the file is not there, as it was in {}", self.name),
                fix: "keep it, or ship the new form under another package name".to_owned(),
                waived: None,
            })
            .collect();
        let compared = now.iter().filter(|path| self.path.join(path).is_file());
        let mut is_alone = true;
        for path in compared {
            is_alone = false;
            let contract = contracts.remove(path).unwrap_or_else(|| request.of_others());
            let (new, old) = (new.join(path), self.path.join(path));
            let header = promised.get(path).and_then(|contract| contract.header.as_ref());
            findings.extend(self.compare_one((&new, path), (&old, header), &contract, out)?);
        }
        if is_alone && findings.is_empty() {
            let message = format!("{name} and {} have no library in common", self.name);
            return Err(CliError::new(Exit::No, message)
                .hint("libraries are compared by their paths inside the two folders"));
        }
        Ok(findings)
    }

    /// The library of an old folder that has the name of `new`, or the old file itself.
    fn counterpart(&self, new: &Path) -> Result<PathBuf, CliError> {
        if !self.path.is_dir() {
            return Ok(self.path.clone());
        }
        let all: Vec<String> = library_paths(&self.path)?.into_iter().collect();
        let same_name = |path: &&String| Path::new(path).file_name() == new.file_name();
        let of_name: Vec<&String> = all.iter().filter(same_name).collect();
        // One library on each side can only mean each other, however a build calls them.
        if let ([only], _) | ([], [only]) = (&of_name[..], &all.iter().collect::<Vec<_>>()[..]) {
            return Ok(self.path.join(only));
        }
        let file = new.file_name().unwrap_or_default().display();
        let number = of_name.len();
        let message = format!("{} has {number} libraries named {file}", self.name);
        let names = if all.is_empty() {
            "it has no library at all".to_owned()
        } else {
            format!("name the one to compare with: {}", all.join(", "))
        };
        Err(CliError::new(Exit::Usage, message).hint(names))
    }

    fn compare_one(
        &self,
        (new, file): (&Path, &str),
        (old, header): (&Path, Option<&Header>),
        contract: &Contract,
        out: &Output,
    ) -> Result<Vec<Finding>, CliError> {
        let comparison = check_file_against(new, file, old, contract, header);
        let comparison = comparison.map_err(|error| not_compared(&error, old))?;
        if comparison.is_compatible() {
            out.detail(format!("{file}: compatible with {}{}", self.name, seen(&comparison)));
        }
        Ok(comparison.findings)
    }
}

/// How far the comparison could see.
fn seen(comparison: &Comparison) -> String {
    let exports = count(comparison.exports, "export");
    match (comparison.described, comparison.types) {
        (0, _) => format!(", by the names of {exports}"),
        (_, 0) => format!(" ({exports})"),
        (_, types) => format!(" ({exports}, {})", count(types, "type")),
    }
}
