//! Profiles: a name that points to one of its generations, each of them a store path.
//!
//! The links are Nix's: `NAME` → `NAME-N-link` → `/nix/store/…`, below `nix/var/nix/profiles`, so
//! that Nix lists them and takes every generation for a root. What Nix has no place for lies in
//! `nix/var/hoist/generations/NAME/N.json`; a generation without it, as Nix makes them, is whole.

mod delete;
mod links;
mod name;
mod sidecar;

use std::path::{Path, PathBuf};

use hoist_nix::{StoreDir, StorePath};

use self::links::{Link, Links};
use self::sidecar::Sidecar;
use crate::layout::{Layout, create_dir_all};
use crate::lock::PathLock;
use crate::{ProfileError, Store};

pub use self::delete::Deletion;
pub use self::name::ProfileName;
pub use self::sidecar::Health;

/// A profile of a store; it comes into being with its first generation.
#[derive(Debug)]
pub struct Profile<'s> {
    store: &'s Store,
    name: ProfileName,
}

/// One generation of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number, from 1 up; numbers of deleted generations are not given again while a newer
    /// one exists.
    pub number: u64,
    /// What it holds.
    pub path: StorePath,
    /// When it was made, in seconds since 1970.
    pub created_unix: u64,
    /// The generation that was current before; unknown for those that Nix made.
    pub parent: Option<u64>,
    /// Hash of all that went into its build, where it was built.
    pub action_key: Option<String>,
    /// What is known of how it behaves.
    pub health: Health,
    /// Whether the profile points to it.
    pub is_current: bool,
}

/// What is told of a generation when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGeneration {
    /// The time, in seconds since 1970.
    pub created_unix: u64,
    /// Hash of all that went into its build, where it was built.
    pub action_key: Option<String>,
}

/// Where a profile points to after a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switched {
    /// The generation that is current now.
    pub number: u64,
    /// Whether it was made for this.
    pub created: bool,
    /// The generation that was current before; none for the first.
    pub previous: Option<u64>,
}

/// What a profile points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The generation's number.
    pub number: u64,
    /// What it holds.
    pub path: StorePath,
    /// Where that lies on disk.
    pub physical: PathBuf,
}

/// Looks up what the profile `name` of the store below `root` points to; `None` when there is no
/// such profile. Two links are read, and no database.
///
/// # Errors
///
/// [`ProfileError::Name`] for a name that no profile can have, [`ProfileError::NoGeneration`] when
/// the profile points to a generation that is not there.
pub fn read_current(root: &Path, name: &str) -> Result<Option<Current>, ProfileError> {
    let layout = Layout::new(root)?;
    let name = ProfileName::parse(name)?;
    let links = Links::new(layout.profiles(), &name);
    let Some(number) = links.current()? else { return Ok(None) };
    let path = target(&links, &name, number, &StoreDir::default())?;
    let physical = layout.store().join(path.as_str());
    Ok(Some(Current { number, path, physical }))
}

impl<'s> Profile<'s> {
    /// The profile `name` of `store`, which need not have a generation yet.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Name`] for a name that no profile can have.
    pub fn open(store: &'s Store, name: &str) -> Result<Self, ProfileError> {
        Ok(Self { store, name: ProfileName::parse(name)? })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &ProfileName {
        &self.name
    }

    /// Returns all generations, oldest first.
    ///
    /// # Errors
    ///
    /// [`ProfileError::File`] when the profile cannot be read.
    pub fn generations(&self) -> Result<Vec<Generation>, ProfileError> {
        let links = self.links();
        let current = links.current()?;
        let generation = |link| self.generation(&link, current);
        Ok(links.list()?.into_iter().filter(Link::is_canonical).filter_map(generation).collect())
    }

    /// Returns the generation that the profile points to.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NoGeneration`] when that is not there.
    pub fn current(&self) -> Result<Option<Generation>, ProfileError> {
        let links = self.links();
        let Some(number) = links.current()? else { return Ok(None) };
        let link = links.get(number)?;
        let generation = link.and_then(|link| self.generation(&link, Some(number)));
        generation.map(Some).ok_or_else(|| self.no_generation(number))
    }

    /// Makes `path` current, in a generation of its own unless the current one or the newest one
    /// holds it already.
    ///
    /// Nix reuses the newest generation only; hoist also stays where it is, and then writes nothing,
    /// so that a read-only store is enough.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NotInStore`] when the store does not vouch for `path`,
    /// [`ProfileError::File`] when a link cannot be made. The profile then points to where it did.
    pub fn switch(&self, path: &StorePath, new: &NewGeneration) -> Result<Switched, ProfileError> {
        self.require_in_store(path)?;
        let wanted = self.store.dir().print(path);
        let holds = |link: &Link| link.is_canonical() && link.target == wanted;
        if let Some(stayed) = stay(&self.links(), holds)? {
            return Ok(stayed);
        }
        let (links, _lock) = self.lock()?;
        if let Some(stayed) = stay(&links, holds)? {
            return Ok(stayed); // another made it current meanwhile
        }
        // Until here a collection may have taken it; from here on, none does.
        self.store.keep_for_now(path)?;
        self.require_in_store(path)?;
        let previous = links.current()?;
        let all = links.list()?;
        if let Some(link) = all.last().filter(|link| holds(link)) {
            links.point_to(link.number)?;
            return Ok(Switched { number: link.number, created: false, previous });
        }
        let number = all.last().map_or(0, |link| link.number) + 1;
        let sidecar = Sidecar {
            parent: previous,
            created: new.created_unix,
            store_path: wanted.clone(),
            action_key: new.action_key.clone(),
            health: Health::Unknown,
        };
        sidecar.write(&self.sidecars(), number)?;
        links.create(number, &wanted)?;
        links.point_to(number)?;
        Ok(Switched { number, created: true, previous })
    }

    /// Makes an older generation current: `to`, or else the newest before the current one that is
    /// not marked bad.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NoGeneration`], [`ProfileError::NoGenerations`] and
    /// [`ProfileError::NoOlderGeneration`] when there is none, [`ProfileError::NotInStore`] when the
    /// store has lost its path.
    pub fn rollback(&self, to: Option<u64>) -> Result<Switched, ProfileError> {
        let (links, _lock) = self.lock()?;
        let previous = links.current()?;
        let number = match to {
            Some(number) => number,
            None => self.newest_before(&links, previous)?,
        };
        let path = target(&links, &self.name, number, self.store.dir())?;
        self.require_in_store(&path)?;
        links.point_to(number)?;
        Ok(Switched { number, created: false, previous })
    }

    /// Records how generation `number` behaves.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NoGeneration`] when there is none of that number.
    pub fn mark(&self, number: u64, health: Health) -> Result<(), ProfileError> {
        let (links, _lock) = self.lock()?;
        let generation = links.get(number)?.and_then(|link| self.generation(&link, None));
        let generation = generation.ok_or_else(|| self.no_generation(number))?;
        let sidecar = Sidecar {
            parent: generation.parent,
            created: generation.created_unix,
            store_path: self.store.dir().print(&generation.path),
            action_key: generation.action_key,
            health,
        };
        Ok(sidecar.write(&self.sidecars(), number)?)
    }

    fn newest_before(&self, links: &Links<'_>, current: Option<u64>) -> Result<u64, ProfileError> {
        let profile = self.name.to_string();
        let Some(current) = current else { return Err(ProfileError::NoGenerations { profile }) };
        let is_candidate = |link: &&Link| {
            let generation = self.generation(link, None);
            let is_good = generation.is_some_and(|generation| generation.health != Health::Bad);
            link.is_canonical() && link.number < current && is_good
        };
        let all = links.list()?;
        let newest = all.iter().rev().find(is_candidate).map(|link| link.number);
        newest.ok_or(ProfileError::NoOlderGeneration { profile, current })
    }

    /// What a link and its sidecar say; `None` when it leads out of the store.
    fn generation(&self, link: &Link, current: Option<u64>) -> Option<Generation> {
        let path = self.store.dir().parse_path(&link.target).ok()?;
        let sidecar = Sidecar::read(&self.sidecars(), link.number);
        // Of an earlier generation of this number, or of a crash before there was a link.
        let sidecar = sidecar.filter(|sidecar| sidecar.store_path == link.target);
        Some(Generation {
            number: link.number,
            path,
            created_unix: sidecar.as_ref().map_or(link.modified_unix, |sidecar| sidecar.created),
            parent: sidecar.as_ref().and_then(|sidecar| sidecar.parent),
            health: sidecar.as_ref().map_or(Health::Unknown, |sidecar| sidecar.health),
            action_key: sidecar.and_then(|sidecar| sidecar.action_key),
            is_current: current == Some(link.number),
        })
    }

    fn require_in_store(&self, path: &StorePath) -> Result<(), ProfileError> {
        if self.store.is_there(path)? {
            return Ok(());
        }
        Err(ProfileError::NotInStore { path: path.clone() })
    }

    fn no_generation(&self, number: u64) -> ProfileError {
        ProfileError::NoGeneration { profile: self.name.to_string(), number }
    }

    fn lock(&self) -> Result<(Links<'_>, PathLock), ProfileError> {
        let links = self.links();
        create_dir_all(links.dir())?;
        let lock = PathLock::acquire(&links.profile())?;
        Ok((links, lock))
    }

    fn links(&self) -> Links<'_> {
        Links::new(self.store.layout.profiles(), &self.name)
    }

    fn sidecars(&self) -> PathBuf {
        self.store.layout.generations().join(self.name.as_str())
    }
}

/// Where a profile stays when its current generation is what `holds` wants.
fn stay(
    links: &Links<'_>,
    holds: impl Fn(&Link) -> bool,
) -> Result<Option<Switched>, ProfileError> {
    let Some(number) = links.current()? else { return Ok(None) };
    let link = links.get(number)?.filter(holds);
    Ok(link.map(|_| Switched { number, created: false, previous: Some(number) }))
}

/// The store path of generation `number`.
fn target(
    links: &Links<'_>,
    name: &ProfileName,
    number: u64,
    dir: &StoreDir,
) -> Result<StorePath, ProfileError> {
    let link = links.get(number)?;
    link.and_then(|link| dir.parse_path(&link.target).ok())
        .ok_or_else(|| ProfileError::NoGeneration { profile: name.to_string(), number })
}
