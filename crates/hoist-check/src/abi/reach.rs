//! From exports to every type that a caller of them sees.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::layout::{Difference, Subject, compare};
use super::relate::{Pair, Sides};

/// Most pairs of types that are compared; large C++ libraries have some ten thousand.
const MOST_PAIRS: usize = 1 << 18;

/// Most differences whose exports are looked for, copies of a type in other units included; the
/// worst are taken first.
const MOST_DIFFERENCES: usize = 2000;

/// How many steps are taken from all differences together to the exports above them. Each
/// difference gets its share, and has at least one export.
const MOST_STEPS: usize = 1 << 21;

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
    /// Whether there may be still more, which were not looked for.
    pub(crate) is_cut: bool,
}

impl Reached {
    /// What to add to the message about the export at `index`: that there are others, at the last.
    pub(crate) fn and_others(&self, index: usize) -> String {
        if index + 1 != self.exports.len() {
            return String::new();
        }
        match (self.others, self.is_cut) {
            (0, false) => String::new(),
            (0, true) => "; so may others".to_owned(),
            (others, false) => format!("; so do {others} other exports"),
            (others, true) => format!("; so do at least {others} other exports"),
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

    /// Whether some types or differences were left out because there are too many.
    pub(crate) fn is_cut(&self) -> bool {
        let differing = self.nodes.iter().filter(|node| node.difference.is_some());
        self.nodes.len() >= MOST_PAIRS || differing.count() > MOST_DIFFERENCES
    }

    /// How many pairs of types were compared.
    pub(crate) fn compared(&self) -> usize {
        self.nodes.len()
    }

    /// Every difference once, however many units have a copy of the type.
    pub(crate) fn differences(&self) -> Vec<Reached> {
        let differing = self.nodes.iter().enumerate();
        let mut differing: Vec<(usize, &Difference)> = differing
            .filter_map(|(number, node)| Some((number, node.difference.as_ref()?)))
            .collect();
        differing.sort_by_key(|(_, difference)| Reverse(difference.severity));
        differing.truncate(MOST_DIFFERENCES);
        let first_exports = self.first_exports();
        let mut left = MOST_STEPS;
        let mut waiting = differing.len();
        let mut by_difference: BTreeMap<(Subject, &str, &str), Above> = BTreeMap::new();
        for (number, difference) in differing {
            let key = (difference.subject, &*difference.spelled, &*difference.what);
            let known = by_difference.entry(key).or_insert_with(|| Above::new(number, difference));
            known.number = known.number.min(number);
            known.exports.extend(first_exports[number]);
            let share = left / waiting.max(1);
            let mut steps = share;
            known.is_cut |= !self.add_exports_above(number, &mut known.exports, &mut steps);
            left -= share - steps;
            waiting -= 1;
        }
        let mut found: Vec<Above> = by_difference.into_values().collect();
        found.sort_by_key(|above| above.number);
        found.into_iter().map(Above::reached).collect()
    }

    /// For each pair, the first export that leads to it.
    fn first_exports(&self) -> Vec<Option<usize>> {
        let mut first: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            // What no export names was found through its first parent, which was there before.
            let above = || first.get(*node.parents.first()?).copied().flatten();
            first.push(node.exports.first().copied().or_else(above));
        }
        first
    }

    /// Adds the exports that lead to a pair, as far as `steps` allow; tells whether it added all.
    fn add_exports_above(
        &self,
        number: usize,
        exports: &mut BTreeSet<usize>,
        steps: &mut usize,
    ) -> bool {
        let mut seen = HashSet::from([number]);
        let mut waiting = vec![number];
        while let Some(number) = waiting.pop() {
            let node = &self.nodes[number];
            let Some(left) = steps.checked_sub(1 + node.exports.len() + node.parents.len()) else {
                return false;
            };
            *steps = left;
            exports.extend(&node.exports);
            waiting.extend(node.parents.iter().filter(|parent| seen.insert(**parent)));
        }
        true
    }
}

/// A difference and the exports above all its copies.
struct Above<'n> {
    /// Of the first copy.
    number: usize,
    difference: &'n Difference,
    exports: BTreeSet<usize>,
    is_cut: bool,
}

impl<'n> Above<'n> {
    fn new(number: usize, difference: &'n Difference) -> Self {
        Self { number, difference, exports: BTreeSet::new(), is_cut: false }
    }

    fn reached(self) -> Reached {
        let shown = if self.exports.len() > FEW_EXPORTS { 1 } else { self.exports.len() };
        Reached {
            difference: self.difference.clone(),
            others: self.exports.len() - shown,
            exports: self.exports.into_iter().take(shown).collect(),
            is_cut: self.is_cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use hoist_elf::debug::HeaderTypes;
    use hoist_schema::Severity;

    use super::*;

    fn difference(name: &str) -> Difference {
        Difference {
            subject: Subject::Layout,
            severity: Severity::Error,
            name: name.to_owned(),
            spelled: format!("struct {name}"),
            what: "size 4 → 8 bytes".to_owned(),
        }
    }

    /// Differences of a chain of structs, each in the next, under so many exports.
    fn of_chain(structs: usize, exports: usize) -> Vec<Reached> {
        let header = HeaderTypes::default();
        let sides = Sides { left: &header.types, right: &header.types, is_header: true };
        let mut reach = Reach::new(sides, &|_| true);
        for number in 0..structs {
            let difference = Some(difference(&format!("s{number}")));
            let parents = number.checked_sub(1).into_iter().collect();
            let exports = if number == 0 { (0..exports).collect() } else { Vec::new() };
            reach.nodes.push(Node { difference, parents, exports });
        }
        reach.differences()
    }

    #[test]
    fn every_export_above_a_few_differences_is_counted() {
        let reached = of_chain(3, 10_000);
        assert_eq!(reached.len(), 3);
        for reached in reached {
            assert_eq!((&*reached.exports, reached.others), (&[0][..], 9999));
            assert_eq!(reached.and_others(0), "; so do 9999 other exports");
        }
        let reached = of_chain(1, 2);
        assert_eq!((&*reached[0].exports, reached[0].others), (&[0, 1][..], 0));
        assert_eq!(reached[0].and_others(1), "");
    }

    #[test]
    fn so_many_steps_are_taken_that_every_difference_has_an_export() {
        let reached = of_chain(MOST_DIFFERENCES + 1, 20_000);
        assert_eq!(reached.len(), MOST_DIFFERENCES);
        assert!(reached.iter().all(|reached| reached.exports == [0]));
        assert_eq!(reached[0].and_others(0), "; so may others");
        let counted: usize = reached.iter().map(|reached| reached.others).sum();
        assert!(counted <= MOST_STEPS, "{counted}");
    }
}
