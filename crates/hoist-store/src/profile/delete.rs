//! Removing generations.
//!
//! Source: `deleteGenerations` and those beside it in `profiles.cc` of Nix 2.8 and 2.26.

use std::fs;
use std::num::NonZeroU64;

use super::{Generation, Profile, sidecar};
use crate::layout::is_absent;
use crate::tree::sync_dir;
use crate::{FileError, ProfileError};

/// Which generations of a profile to remove, as `nix-env --delete-generations` understands it. The
/// current one always stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Those of these numbers; a number without a generation is passed over.
    Numbers(Vec<u64>),
    /// All but the current one, `old`.
    Old,
    /// Those made before a time, as `30d`, but for the newest of them: that one was current then.
    Before {
        /// The time, in seconds since 1970.
        unix: u64,
    },
    /// Those before the current one, but for the newest, as `+5`: with the current one, `keep` of
    /// them stay. Those behind it all stay.
    Beyond {
        /// How many stay.
        keep: NonZeroU64,
    },
}

impl Profile<'_> {
    /// Removes generations, and returns their numbers, oldest first. What they hold stays in the
    /// store until garbage is collected.
    ///
    /// # Errors
    ///
    /// [`ProfileError::CurrentGeneration`] when the current one is named; nothing is removed then.
    /// [`ProfileError::File`] when a link cannot be removed.
    pub fn delete(&self, which: &Deletion) -> Result<Vec<u64>, ProfileError> {
        let (links, _lock) = self.lock()?;
        let numbers = self.deleted_by(which)?;
        let remove = |path| match fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => Err(FileError::at("remove", path)(error)),
            _ => Ok(()),
        };
        for &number in &numbers {
            remove(links.path(number))?;
        }
        // First the links: no generation may be without what is known of it.
        sync_dir(links.dir())?;
        for &number in &numbers {
            remove(sidecar::path(&self.sidecars(), number))?;
        }
        Ok(numbers)
    }

    /// Returns what [`delete`](Self::delete) would remove.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub fn deleted_by(&self, which: &Deletion) -> Result<Vec<u64>, ProfileError> {
        let generations = self.generations()?;
        let current = generations.iter().find(|generation| generation.is_current);
        if let (Deletion::Numbers(numbers), Some(current)) = (which, current)
            && numbers.contains(&current.number)
        {
            let (profile, number) = (self.name().to_string(), current.number);
            return Err(ProfileError::CurrentGeneration { profile, number });
        }
        let deleted = deleted(&generations, which).into_iter();
        Ok(deleted.filter(|old| !old.is_current).map(|old| old.number).collect())
    }
}

/// Those that go, of generations that are given oldest first.
fn deleted<'g>(generations: &'g [Generation], which: &Deletion) -> Vec<&'g Generation> {
    match which {
        Deletion::Numbers(numbers) => {
            generations.iter().filter(|old| numbers.contains(&old.number)).collect()
        }
        Deletion::Old => generations.iter().collect(),
        Deletion::Before { unix } => {
            let newest = generations.iter().rposition(|old| old.created_unix < *unix);
            generations[..newest.unwrap_or(0)].iter().collect()
        }
        Deletion::Beyond { keep } => {
            let current = generations.iter().position(|generation| generation.is_current);
            let behind_current = current.map_or(0, |index| index + 1);
            let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
            generations[..behind_current.saturating_sub(keep)].iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use hoist_nix::{StorePath, StorePathName};

    use super::*;
    use crate::Health;

    /// Generations made at second 10, 20 and so on.
    fn generations(numbers: &[u64], current: u64) -> Vec<Generation> {
        let name = StorePathName::parse("x").unwrap();
        let generation = |number: &u64| Generation {
            number: *number,
            path: StorePath::new(&[0; 20], &name),
            created_unix: number * 10,
            parent: None,
            action_key: None,
            health: Health::Unknown,
            is_current: *number == current,
        };
        numbers.iter().map(generation).collect()
    }

    fn numbers(generations: &[Generation], which: &Deletion) -> Vec<u64> {
        deleted(generations, which).into_iter().map(|old| old.number).collect()
    }

    #[test]
    fn the_generation_that_was_current_then_stays() {
        let generations = generations(&[1, 2, 4, 5], 5);
        let before = |unix| numbers(&generations, &Deletion::Before { unix });
        assert_eq!(before(41), [1, 2]);
        assert_eq!(before(40), [1]);
        assert_eq!(before(1000), [1, 2, 4]);
        assert!(before(10).is_empty());
    }

    #[test]
    fn generations_behind_the_current_one_do_not_count() {
        let generations = generations(&[1, 2, 3, 4, 5], 3);
        let beyond = |keep| {
            let keep = NonZeroU64::new(keep).unwrap();
            numbers(&generations, &Deletion::Beyond { keep })
        };
        assert_eq!(beyond(1), [1, 2]);
        assert_eq!(beyond(2), [1]);
        assert!(beyond(9).is_empty());
    }

    #[test]
    fn without_a_current_one_nothing_is_beyond_it() {
        let keep = NonZeroU64::MIN;
        assert!(numbers(&generations(&[1, 2], 9), &Deletion::Beyond { keep }).is_empty());
    }
}
