//! What is reached from the roots, and in which order the rest can go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use hoist_nix::StorePath;

use crate::database::ValidPath;

/// Says of each registered path whether a root leads to it.
pub(super) fn reached(registered: &[ValidPath], roots: &HashSet<StorePath>) -> Vec<bool> {
    let mut reached = vec![false; registered.len()];
    let is_root = |&place: &usize| roots.contains(&registered[place].path);
    let mut pending: Vec<usize> = (0..registered.len()).filter(is_root).collect();
    while let Some(place) = pending.pop() {
        if !reached[place] {
            reached[place] = true;
            pending.extend(&registered[place].needs);
        }
    }
    reached
}

/// Places of what is not reached, each after all that need it, those registered first as early as
/// that allows.
///
/// - `max_bytes`: ends the list once the NARs of what is on it sum up to that. Paths that need each
///   other in a circle are left out then, as half of a circle cannot go.
pub(super) fn unreached(
    registered: &[ValidPath],
    reached: &[bool],
    max_bytes: Option<u64>,
) -> Vec<usize> {
    let mut needed_by = vec![0_usize; registered.len()];
    for (_, path) in registered.iter().enumerate().filter(|&(place, _)| !reached[place]) {
        for &needed in &path.needs {
            needed_by[needed] += 1;
        }
    }
    let oldest_first = |place: usize| Reverse((registered[place].registered_unix, place));
    let is_free = |&place: &usize| !reached[place] && needed_by[place] == 0;
    let mut free: BinaryHeap<_> = (0..registered.len()).filter(is_free).map(oldest_first).collect();
    let mut ordered = Vec::new();
    let mut bytes = 0_u64;
    while max_bytes.is_none_or(|max| bytes < max)
        && let Some(Reverse((_, place))) = free.pop()
    {
        ordered.push(place);
        bytes = bytes.saturating_add(registered[place].nar_size);
        for &needed in &registered[place].needs {
            needed_by[needed] -= 1;
            if needed_by[needed] == 0 && !reached[needed] {
                free.push(oldest_first(needed));
            }
        }
    }
    if max_bytes.is_none() {
        let listed: HashSet<usize> = ordered.iter().copied().collect();
        let in_circles = |place: &usize| !reached[*place] && !listed.contains(place);
        ordered.extend((0..registered.len()).filter(in_circles));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Paths 0, 1, …, each with the places that it needs; path N was registered at N and has a NAR
    /// of 100 bytes.
    fn graph(needs: &[&[usize]]) -> Vec<ValidPath> {
        needs.iter().enumerate().map(|(place, needs)| registered(place, needs.to_vec())).collect()
    }

    fn registered(place: usize, needs: Vec<usize>) -> ValidPath {
        ValidPath {
            id: i64::try_from(place).unwrap(),
            path: path(place),
            nar_size: 100,
            registered_unix: u64::try_from(place).unwrap(),
            needs,
        }
    }

    fn path(place: usize) -> StorePath {
        StorePath::parse(&format!("{place:032}-x")).unwrap()
    }

    fn roots(places: &[usize]) -> HashSet<StorePath> {
        places.iter().map(|&place| path(place)).collect()
    }

    #[test]
    fn a_root_keeps_all_that_it_needs() {
        let graph = graph(&[&[1, 2], &[3], &[], &[], &[3]]);
        assert_eq!(reached(&graph, &roots(&[0])), [true, true, true, true, false]);
        assert_eq!(reached(&graph, &roots(&[])), [false; 5]);
        let unknown = roots(&[0, 9]);
        assert_eq!(reached(&graph, &unknown), [true, true, true, true, false]);
    }

    #[test]
    fn what_needs_others_goes_before_them() {
        let graph = graph(&[&[], &[0], &[1], &[]]);
        let reached = reached(&graph, &roots(&[]));
        assert_eq!(unreached(&graph, &reached, None), [2, 1, 0, 3]);
    }

    #[test]
    fn a_limit_ends_the_list_once_it_is_met() {
        let graph = graph(&[&[], &[0], &[1], &[]]);
        let reached = reached(&graph, &roots(&[]));
        assert_eq!(unreached(&graph, &reached, Some(0)), [0_usize; 0]);
        assert_eq!(unreached(&graph, &reached, Some(100)), [2]);
        assert_eq!(unreached(&graph, &reached, Some(101)), [2, 1]);
        assert_eq!(unreached(&graph, &reached, Some(1 << 40)), [2, 1, 0, 3]);
    }

    #[test]
    fn circles_go_as_a_whole_or_not_at_all() {
        let graph = graph(&[&[1], &[0], &[]]);
        let reached = reached(&graph, &roots(&[]));
        assert_eq!(unreached(&graph, &reached, None), [2, 0, 1]);
        assert_eq!(unreached(&graph, &reached, Some(1 << 40)), [2]);
    }

    proptest! {
        /// What stays never needs what goes, wherever the list ends.
        #[test]
        fn nothing_that_stays_needs_what_goes(
            needs in prop::collection::vec(prop::collection::vec(0..20_usize, 0..4), 20),
            root_places in prop::collection::vec(0..20_usize, 0..4),
            max_bytes in prop::option::of(0..2500_u64),
        ) {
            let graph: Vec<_> =
                needs.into_iter().enumerate().map(|(place, needs)| registered(place, needs)).collect();
            let reached = reached(&graph, &roots(&root_places));
            let gone = unreached(&graph, &reached, max_bytes);
            let distinct: HashSet<_> = gone.iter().copied().collect();
            prop_assert_eq!(distinct.len(), gone.len());
            for (place, path) in graph.iter().enumerate().filter(|(place, _)| !distinct.contains(place)) {
                prop_assert!(path.needs.iter().all(|needed| !distinct.contains(needed)), "{place}");
            }
            if max_bytes.is_none() {
                let dead = reached.iter().filter(|&&reached| !reached).count();
                prop_assert_eq!(gone.len(), dead);
            }
        }
    }
}
