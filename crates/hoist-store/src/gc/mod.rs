//! Collecting garbage: removing what no root leads to.
//!
//! Under the store's lock it is decided what goes, the database forgets it in one transaction, and
//! its trees are moved out of the way; then the lock is free, and the trees are removed. Ended at
//! any moment, all that is registered is there; what is there and not registered goes with the next
//! collection, or is replaced when it is added again.
//!
//! Nobody waits for a lock while holding the store's: generations are removed before it is taken,
//! paths that somebody holds a lock of are left alone.

mod alone;
mod error;
mod generations;
mod leftovers;
mod pins;
mod policy;
mod reach;
mod roots;
mod trash;
mod usage;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

use hoist_nix::StorePath;

use self::alone::Alone;
use self::leftovers::Leftover;
use self::reach::{reached, unreached};
use self::trash::Trash;
use self::usage::Usage;
use crate::database::ValidPath;
use crate::temp::{StaleDir, stale_dirs};
use crate::tree::remove_tree_counting;
use crate::verify::chain;
use crate::{FileError, Store};

pub use self::error::GcError;
pub use self::generations::RemovedGeneration;
pub use self::pins::Pin;
pub use self::policy::{Collected, CollectedPath, GcEvent, Policy};
pub use self::roots::{Root, RootKind, Roots};

/// What lies on disk and is to be removed, with the locks that keep others away from it.
struct Doomed {
    paths: Vec<PathBuf>,
    leftovers: Vec<Leftover>,
    stale_dirs: Vec<StaleDir>,
    /// Of collections that did not end.
    abandoned: Vec<Trash>,
}

impl Store {
    /// Removes all paths that no root leads to, as `nix-store --gc` does, and before that the
    /// generations that `policy` does not keep.
    ///
    /// A path is kept with all that it refers to and, where Nix built it, its derivation: Nix's
    /// settings `keep-derivations = true` and `keep-outputs = false`, which are its defaults.
    ///
    /// - `watch`: is told what is going on.
    ///
    /// # Errors
    ///
    /// [`GcError::Adding`] when this store was added to since it was opened. All else that keeps
    /// roots from being found or the database from being written; then no path is removed.
    pub fn collect_garbage(
        &self,
        policy: &Policy,
        watch: &mut dyn FnMut(GcEvent),
    ) -> Result<Collected, GcError> {
        if self.holds_off_collection() {
            return Err(GcError::Adding);
        }
        if policy.dry_run {
            return self.collect(policy, watch);
        }
        self.layout.release_space();
        let collected = self.collect(policy, watch);
        self.layout.reserve_space();
        collected
    }

    fn collect(
        &self,
        policy: &Policy,
        watch: &mut dyn FnMut(GcEvent),
    ) -> Result<Collected, GcError> {
        let mut collected =
            Collected { generations: self.prune_generations(policy)?, ..Collected::default() };
        let waiting = || watch(GcEvent::Waiting);
        let alone = Alone::wait_for(&self.layout, policy.dry_run, waiting)?;
        watch(GcEvent::Deciding);
        let doomed = self.decide(policy, &mut collected)?;
        if policy.dry_run {
            drop(alone);
            collected.freed = self.usage(&doomed);
            return Ok(collected);
        }
        let trash = self.move_away(doomed, &mut collected)?;
        drop(alone);
        remove(trash, &mut collected, watch);
        collected.freed += self.remove_unshared_files()?;
        self.remove_orphaned_sidecars()?;
        Ok(collected)
    }

    /// Finds out what goes, and makes the database forget it unless the run is dry.
    fn decide(&self, policy: &Policy, collected: &mut Collected) -> Result<Doomed, GcError> {
        let mut roots = self.find_roots(!policy.dry_run)?;
        // Of a dry run, they are still there.
        let removed: BTreeSet<PathBuf> = collected
            .generations
            .iter()
            .map(|generation| self.generation_link(&generation.profile, generation.number))
            .collect();
        roots.roots.retain(|root| !root.kind.is_through(&removed));
        let named: HashSet<StorePath> = roots.roots.iter().map(|root| root.path.clone()).collect();

        let choose = |registered: &[ValidPath]| {
            let chosen = unreached(registered, &reached(registered, &named), policy.max_freed);
            let chosen_paths = chosen.iter().map(|&place| {
                let ValidPath { path, nar_size, .. } = &registered[place];
                CollectedPath { path: path.clone(), nar_size: *nar_size }
            });
            let paths: Vec<CollectedPath> = chosen_paths.collect();
            let all = registered.iter().map(|registered| registered.path.clone()).collect();
            (chosen, (paths, all))
        };
        let database = self.database()?;
        let (paths, all): (_, HashSet<StorePath>) = if policy.dry_run {
            choose(&database.registered()?).1
        } else {
            database.forget(choose)?
        };

        let kept_hashes = named.iter().map(StorePath::hash_part).collect();
        let leftovers = self.leftovers(&all.iter().collect(), &kept_hashes, !policy.dry_run)?;
        collected.leftovers = leftovers.iter().map(|leftover| leftover.name.clone()).collect();
        collected.kept = all.len() - paths.len();
        collected.roots = roots.roots.iter().filter(|root| all.contains(&root.path)).count();
        collected.stale_roots = roots.stale;
        collected.unreadable_processes = roots.unreadable_processes;
        collected.unreadable_links = roots.unreadable_links;
        let doomed = Doomed {
            paths: paths.iter().map(|gone| self.physical(&gone.path)).collect(),
            leftovers,
            stale_dirs: stale_dirs(self)?,
            abandoned: Trash::abandoned(&self.layout)?,
        };
        collected.paths = paths;
        Ok(doomed)
    }

    /// Moves all that goes into the trash.
    fn move_away(
        &self,
        doomed: Doomed,
        collected: &mut Collected,
    ) -> Result<Vec<Trash>, FileError> {
        let leftovers = doomed.leftovers.iter().map(|leftover| &leftover.path);
        let stale_dirs = doomed.stale_dirs.iter().map(|stale| &stale.path);
        let mut trees = doomed.paths.iter().chain(leftovers).chain(stale_dirs).peekable();
        let mut trash = doomed.abandoned;
        if trees.peek().is_none() {
            return Ok(trash);
        }
        let mut new = Trash::create(&self.layout)?;
        for tree in trees {
            if let Err(error) = new.take(tree) {
                collected.stuck.push(chain(&error));
            }
        }
        trash.push(new);
        Ok(trash)
    }

    /// How many bytes become free when all that is removed, as a dry run says it.
    fn usage(&self, doomed: &Doomed) -> u64 {
        let mut usage = Usage::default();
        let leftovers = doomed.leftovers.iter().map(|leftover| leftover.path.as_path());
        let stale_dirs = doomed.stale_dirs.iter().map(|stale| stale.path.as_path());
        let paths = doomed.paths.iter().map(PathBuf::as_path);
        for tree in paths.chain(leftovers).chain(stale_dirs) {
            usage.add_tree(tree);
        }
        for tree in doomed.abandoned.iter().flat_map(Trash::trees) {
            usage.add_tree(&tree);
        }
        usage.add_shared_files(&self.layout.shared_files());
        usage.bytes()
    }

    /// Removes what Nix's sharing of equal files has kept for paths that are gone. Returns the bytes
    /// that became free.
    fn remove_unshared_files(&self) -> Result<u64, FileError> {
        use std::os::unix::fs::MetadataExt;
        let dir = self.layout.shared_files();
        let Ok(entries) = fs::read_dir(&dir) else { return Ok(0) };
        let mut freed = 0;
        for entry in entries {
            let entry = entry.map_err(FileError::at("list", &dir))?;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.nlink() == 1 && fs::remove_file(entry.path()).is_ok() {
                freed += metadata.blocks().saturating_mul(512); // whatever the file system's are
            }
        }
        Ok(freed)
    }
}

/// Removes what lies in the trash; this may take long, and nobody waits for it.
fn remove(trash: Vec<Trash>, collected: &mut Collected, watch: &mut dyn FnMut(GcEvent)) {
    let trees: Vec<PathBuf> = trash.iter().flat_map(Trash::trees).collect();
    for (done, tree) in trees.iter().enumerate() {
        watch(GcEvent::Removing { done, total: trees.len() });
        match remove_tree_counting(tree) {
            Ok(freed) => collected.freed += freed,
            Err(error) => collected.stuck.push(chain(&error)),
        }
    }
    for trash in trash {
        trash.remove();
    }
}
