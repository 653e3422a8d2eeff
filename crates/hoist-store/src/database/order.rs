//! In which order paths can be entered.

use std::collections::HashMap;

use hoist_nix::StorePath;

use super::PathInfo;
use crate::AddNarError;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// Its references are being looked at.
    Open,
    Placed,
}

/// Sorts paths so that each comes behind those of them that it refers to.
///
/// # Errors
///
/// [`AddNarError::Cycle`] when paths refer to each other in a circle, which no store can hold: none
/// of them could have been there first.
pub(crate) fn references_first(infos: &[PathInfo]) -> Result<Vec<&PathInfo>, AddNarError> {
    let index_of: HashMap<&StorePath, usize> =
        infos.iter().enumerate().map(|(index, info)| (&info.path, index)).collect();
    let mut marks = vec![Mark::New; infos.len()];
    let mut ordered = Vec::with_capacity(infos.len());
    for start in 0..infos.len() {
        // From a path to a reference of it and so on, each with those that are still to look at.
        let mut levels = Vec::new();
        if marks[start] == Mark::New {
            marks[start] = Mark::Open;
            levels.push((start, infos[start].references.iter()));
        }
        while let Some((index, references)) = levels.last_mut() {
            let (index, info) = (*index, &infos[*index]);
            let Some(reference) = references.next() else {
                marks[index] = Mark::Placed;
                ordered.push(info);
                levels.pop();
                continue;
            };
            let Some(&next) = index_of.get(reference) else { continue };
            match marks[next] {
                Mark::Open if next != index => {
                    let (path, reference) = (info.path.clone(), reference.clone());
                    return Err(AddNarError::Cycle { path, reference });
                }
                Mark::New => {
                    marks[next] = Mark::Open;
                    levels.push((next, infos[next].references.iter()));
                }
                Mark::Open | Mark::Placed => {}
            }
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use hoist_nix::{Sha256Hash, StorePathName};

    use super::*;

    fn path(name: &str) -> StorePath {
        StorePath::new(&[7; 20], &StorePathName::parse(name).unwrap())
    }

    fn info(name: &str, references: &[&str]) -> PathInfo {
        PathInfo {
            path: path(name),
            nar_hash: Sha256Hash::of(b""),
            nar_size: Some(0),
            registered_unix: 0,
            deriver: None,
            references: references.iter().map(|name| path(name)).collect(),
            ultimate: false,
            signatures: Vec::new(),
            content_address: None,
        }
    }

    fn order(infos: &[PathInfo]) -> Vec<&str> {
        let ordered = references_first(infos).unwrap();
        ordered.into_iter().map(|info| info.path.name()).collect()
    }

    #[test]
    fn references_come_first() {
        let infos = [info("a", &["b", "c"]), info("b", &["c"]), info("c", &[])];
        assert_eq!(order(&infos), ["c", "b", "a"]);
    }

    #[test]
    fn a_path_may_refer_to_itself_and_to_what_is_not_among_them() {
        assert_eq!(order(&[info("a", &["a", "elsewhere"]), info("b", &["a"])]), ["a", "b"]);
    }

    #[test]
    fn a_long_chain_does_not_end_the_stack() {
        let name = |number: usize| format!("n{number}");
        let infos: Vec<_> =
            (0..50_000).map(|number| info(&name(number), &[&name(number + 1)])).collect();
        assert_eq!(order(&infos)[0], "n49999");
    }

    #[test]
    fn a_circle_is_refused() {
        let infos = [info("a", &["b"]), info("b", &["c"]), info("c", &["a"])];
        let refusal = references_first(&infos).unwrap_err();
        assert!(matches!(refusal, AddNarError::Cycle { .. }), "{refusal}");
    }
}
