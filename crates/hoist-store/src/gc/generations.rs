//! Which generations a collection removes before it looks for garbage.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hoist_nix::StorePath;

use super::roots::paths_in_use;
use super::{GcError, Policy};
use crate::layout::is_absent;
use crate::lock::PathLock;
use crate::{Deletion, FileError, Generation, Health, Profile, ProfileError, ProfileName, Store};

/// A generation that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedGeneration {
    /// Its profile.
    pub profile: String,
    /// Its number.
    pub number: u64,
    /// What it held.
    pub path: StorePath,
}

impl Store {
    /// Removes the generations that `policy` does not keep.
    pub(super) fn prune_generations(
        &self,
        policy: &Policy,
    ) -> Result<Vec<RemovedGeneration>, GcError> {
        let rules = rules(policy);
        let mut removed = Vec::new();
        if rules.is_empty() {
            return Ok(removed);
        }
        let mut kept = paths_in_use()?;
        kept.extend(self.pins()?.into_iter().map(|pin| pin.path));
        for name in self.profile_names()? {
            let profile = Profile::open(self, name.as_str())?;
            let expendable = if policy.dry_run {
                expendable(&profile, &rules, &kept)?
            } else {
                prune(&profile, &rules, &kept)?
            };
            removed.extend(expendable.into_iter().map(|generation| RemovedGeneration {
                profile: name.to_string(),
                number: generation.number,
                path: generation.path,
            }));
        }
        Ok(removed)
    }

    /// The link of a generation.
    pub(super) fn generation_link(&self, profile: &str, number: u64) -> PathBuf {
        self.layout.profiles().join(format!("{profile}-{number}-link"))
    }

    /// Removes what is known of generations that are gone.
    pub(super) fn remove_orphaned_sidecars(&self) -> Result<(), GcError> {
        for name in names(&self.layout.generations())? {
            let Ok(profile) = ProfileName::parse(&name) else { continue };
            // It is written before the link of the generation, and under this lock.
            let _lock = PathLock::acquire(&self.layout.profiles().join(profile.as_str()))?;
            let dir = self.layout.generations().join(&name);
            for file in names(&dir)? {
                let number = file.strip_suffix(".json").and_then(|number| number.parse().ok());
                let Some(number) = number else { continue };
                if !self.generation_link(&name, number).is_symlink() {
                    let path = dir.join(file);
                    fs::remove_file(&path).map_err(FileError::at("remove", path))?;
                }
            }
            let _ = fs::remove_dir(&dir); // unless something is left in it
        }
        Ok(())
    }

    /// The profiles that hoist can name. Those of other users, which Nix keeps in folders, stay as
    /// they are.
    fn profile_names(&self) -> Result<Vec<ProfileName>, FileError> {
        let names = names(&self.layout.profiles())?;
        Ok(names.iter().filter_map(|name| ProfileName::parse(name).ok()).collect())
    }
}

/// What must all be true of a generation that goes.
fn rules(policy: &Policy) -> Vec<Deletion> {
    let by_age = policy.older_than.map(|age| {
        let unix = policy.now_unix.saturating_sub(age.as_secs());
        Deletion::Before { unix }
    });
    let by_count = policy.keep.map(|keep| Deletion::Beyond { keep });
    by_age.into_iter().chain(by_count).collect()
}

/// Removes the expendable generations of a profile.
fn prune(
    profile: &Profile<'_>,
    rules: &[Deletion],
    kept: &BTreeSet<StorePath>,
) -> Result<Vec<Generation>, ProfileError> {
    loop {
        let expendable = expendable(profile, rules, kept)?;
        let numbers = expendable.iter().map(|generation| generation.number).collect();
        match profile.delete(&Deletion::Numbers(numbers)) {
            // Somebody rolled back to one of them just now.
            Err(ProfileError::CurrentGeneration { .. }) => {}
            deleted => return deleted.map(|_| expendable),
        }
    }
}

/// The generations of a profile that neither the rules nor anything else keeps, newest first.
fn expendable(
    profile: &Profile<'_>,
    rules: &[Deletion],
    kept: &BTreeSet<StorePath>,
) -> Result<Vec<Generation>, ProfileError> {
    let mut generations = profile.generations()?;
    // A profile that points nowhere was about to be made, or is damaged.
    if !generations.iter().any(|generation| generation.is_current) {
        return Ok(Vec::new());
    }
    let is_good = |generation: &&Generation| generation.health == Health::Good;
    let last_good = generations.iter().rfind(is_good).map(|generation| generation.number);
    generations.retain(|generation| {
        Some(generation.number) != last_good && !kept.contains(&generation.path)
    });
    for rule in rules {
        let deleted = profile.deleted_by(rule)?;
        generations.retain(|generation| deleted.contains(&generation.number));
    }
    generations.reverse();
    Ok(generations)
}

/// The names in a folder, sorted; none when it is not there.
fn names(dir: &Path) -> Result<Vec<String>, FileError> {
    let listed = || FileError::at("list", dir);
    let entries = match fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.map_err(listed())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(listed())?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
