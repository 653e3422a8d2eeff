//! From exports to every type that a caller of them sees.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::layout::{Difference, Subject, compare};
use super::relate::{Pair, Sides};

/// Most pairs of types that are compared; large C++ libraries have some ten thousand.
const MOST_PAIRS: usize = 1 << 18;

/// Most differences whose exports are looked for, copies of a type in other units included.
const MOST_DIFFERENCES: usize = 2000;

/// Most exports of which each is told about a difference; of more, one is, and the others are
/// counted.
const FEW_EXPORTS: usize = 4;

/// Types that exports lead to, each pair compared once.
pub(crate) struct Reach<'t> {
    sides: Sides<'t>,
    is_visible: &'t dyn Fn(&str) -> bool,
    numbers: HashMap<Pair, usize>,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    difference: Option<Difference>,
    /// The types that have this one in them, or point to it.
    parents: Vec<usize>,
    /// The exports that name it.
    exports: Vec<usize>,
}

/// A difference and the exports through which callers meet it.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) difference: Difference,
    /// All if they are few, else the first; by the numbers they were added with.
    pub(crate) exports: Vec<usize>,
    /// How many others there are.
    pub(crate) others: usize,
}

impl Reached {
    /// What to add to the message about the export at `index`: that there are others, at the last.
    pub(crate) fn and_others(&self, index: usize) -> String {
        if self.others > 0 && index + 1 == self.exports.len() {
            format!("; so do {} other exports", self.others)
        } else {
            String::new()
        }
    }
}

impl<'t> Reach<'t> {
    /// - `is_visible`: whether callers may look into a struct, by its name on the right side.
    pub(crate) fn new(sides: Sides<'t>, is_visible: &'t dyn Fn(&str) -> bool) -> Self {
        Self { sides, is_visible, numbers: HashMap::new(), nodes: Vec::new() }
    }

    /// Compares the types that export number `export` names, and all they lead to.
    pub(crate) fn add(&mut self, export: usize, pairs: Vec<Pair>) {
        let mut waiting: Vec<(Option<usize>, Pair)> =
            pairs.into_iter().map(|pair| (None, pair)).collect();
        while let Some((parent, pair)) = waiting.pop() {
            let known = self.numbers.get(&pair).copied();
            if known.is_none() && self.nodes.len() >= MOST_PAIRS {
                continue;
            }
            let number = known.unwrap_or(self.nodes.len());
            if known.is_none() {
                self.numbers.insert(pair, number);
                let mut inner = Vec::new();
                let difference = compare(&self.sides, pair, self.is_visible, &mut inner);
                self.nodes.push(Node { difference, ..Node::default() });
                waiting.extend(inner.into_iter().map(|pair| (Some(number), pair)));
            }
            let node = &mut self.nodes[number];
            match parent {
                Some(parent) => node.parents.push(parent),
                None => node.exports.push(export),
            }
        }
    }

    /// Whether some types were left out because there are too many.
    pub(crate) fn is_cut(&self) -> bool {
        self.nodes.len() >= MOST_PAIRS
    }

    /// How many pairs of types were compared.
    pub(crate) fn compared(&self) -> usize {
        self.nodes.len()
    }

    /// Every difference once, however many units have a copy of the type.
    pub(crate) fn differences(&self) -> Vec<Reached> {
        let mut by_difference: BTreeMap<(Subject, &str, &str), (usize, BTreeSet<usize>)> =
            BTreeMap::new();
        let differing = self.nodes.iter().enumerate().filter(|(_, node)| node.difference.is_some());
        for (number, node) in differing.take(MOST_DIFFERENCES) {
            if let Some(found) = &node.difference {
                let key = (found.subject, &*found.spelled, &*found.what);
                let known = by_difference.entry(key).or_insert((number, BTreeSet::new()));
                known.1.extend(self.exports_above(number));
            }
        }
        let mut reached: Vec<(usize, Reached)> = Vec::new();
        for (number, exports) in by_difference.into_values() {
            let Some(difference) = self.nodes[number].difference.clone() else { continue };
            let shown = if exports.len() > FEW_EXPORTS { 1 } else { exports.len() };
            let others = exports.len() - shown;
            let exports = exports.into_iter().take(shown).collect();
            reached.push((number, Reached { difference, exports, others }));
        }
        reached.sort_by_key(|(number, _)| *number);
        reached.into_iter().map(|(_, reached)| reached).collect()
    }

    /// The exports that lead to a pair.
    fn exports_above(&self, number: usize) -> BTreeSet<usize> {
        let mut exports = BTreeSet::new();
        let mut seen = BTreeSet::from([number]);
        let mut waiting = vec![number];
        while let Some(number) = waiting.pop() {
            let node = &self.nodes[number];
            exports.extend(&node.exports);
            waiting.extend(node.parents.iter().filter(|parent| seen.insert(**parent)));
        }
        exports
    }
}
