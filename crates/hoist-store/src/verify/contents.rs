//! Hashing many trees at a time.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use crate::tree::{TreeRead, read_tree, read_tree_here};
use crate::{FileError, TreeError};

/// A tree that is to be hashed.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) tree: PathBuf,
    /// Size of the NAR that it should have, in bytes.
    pub(super) nar_size: u64,
}

/// Hashes all trees, the largest first, as many at a time as there are processors. `done` is told
/// each one's place in `subjects` and what became of it, in the order in which they end.
pub(super) fn hash_all(
    subjects: &[Subject],
    mut done: impl FnMut(usize, Result<TreeRead, TreeError>),
) -> Result<(), FileError> {
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(subjects[index].nar_size));
    let total = subjects.iter().fold(0_u64, |sum, subject| sum.saturating_add(subject.nar_size));
    let next = AtomicUsize::new(0);
    let hash = |subject: &Subject| {
        // One that takes longer than all others together has a processor to spare for reading.
        if subject.nar_size > total / 2 {
            read_tree(&subject.tree)
        } else {
            read_tree_here(&subject.tree)
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let (results, hashed) = channel();
        for _ in 0..processors.min(subjects.len()) {
            let (results, order, next, hash) = (results.clone(), &order, &next, &hash);
            let work = move || {
                while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // The other end is there until all workers are at their end.
                    let _ = results.send((index, hash(&subjects[index])));
                }
            };
            let started = thread::Builder::new().spawn_scoped(scope, work);
            started.map_err(FileError::at("start a thread for", &subjects[order[0]].tree))?;
        }
        drop(results);
        for (index, result) in hashed {
            done(index, result);
        }
        Ok(())
    })
}
