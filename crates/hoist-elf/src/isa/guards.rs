//! Which instructions of a function run or not by what a test of the processor said.
//!
//! What runs after the test whatever it said is not guarded by it: where the ways that a branch
//! chooses between come together again, the test is over.

use std::mem;

use iced_x86::{FlowControl, Instruction};

use super::taint::{Effect, Source, Taint};
use super::walk::is_near_branch;

/// Longest function that is looked at so, in instructions.
const MOST_INSTRUCTIONS: usize = 1 << 17;

/// How many steps along the ways between instructions may still be taken, in all functions of a
/// library.
#[derive(Debug)]
pub(super) struct Steps {
    left: usize,
}

impl Steps {
    /// Steps for each byte of code.
    const PER_BYTE: usize = 16;

    /// What a small library may take besides.
    const LEAST: usize = 1 << 20;

    pub(super) fn new(code_bytes: usize) -> Self {
        Self { left: code_bytes.saturating_mul(Self::PER_BYTE).saturating_add(Self::LEAST) }
    }

    /// Takes one; `None` where none is left.
    fn take(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

/// The place of the end of the function, to which all ways lead.
const EXIT: usize = usize::MAX;

/// The instructions of one function that are guarded, by their addresses.
#[derive(Debug)]
pub(super) struct Guards {
    guarded: Vec<u64>,
    /// The branches that a test decides.
    branches: Vec<u64>,
}

impl Guards {
    /// Whether the instruction at `address` is guarded.
    pub(super) fn hold(&self, address: u64) -> bool {
        self.guarded.binary_search(&address).is_ok()
    }

    /// Whether where the branch at `address` goes is guarded.
    pub(super) fn decide(&self, address: u64) -> bool {
        self.branches.binary_search(&address).is_ok()
    }
}

/// One instruction.
#[derive(Debug)]
struct Node {
    address: u64,
    next: u64,
    /// Where it may jump to.
    target: Option<u64>,
    /// Whether the next instruction may follow.
    falls: bool,
    effect: Effect,
}

/// The instructions of a function, and what each learns about the processor.
#[derive(Debug, Default)]
pub(super) struct Flow {
    nodes: Vec<Node>,
    has_hidden_ways: bool,
    is_too_long: bool,
}

impl Flow {
    pub(super) fn add(&mut self, instruction: &Instruction, source: Source) {
        if self.nodes.len() >= MOST_INSTRUCTIONS {
            self.is_too_long = true;
            return;
        }
        let flow = instruction.flow_control();
        let is_call = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
        let ends = matches!(
            flow,
            FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Interrupt
                | FlowControl::Exception
        );
        self.has_hidden_ways |=
            flow == FlowControl::IndirectBranch && !instruction.is_ip_rel_memory_operand();
        let jumps = is_near_branch(instruction) && !is_call;
        self.nodes.push(Node {
            address: instruction.ip(),
            next: instruction.next_ip(),
            target: jumps.then(|| instruction.near_branch_target()),
            falls: !ends,
            effect: Effect::of(instruction, source),
        });
    }

    /// The guarded instructions; `None` where an answer goes to where it is not followed, or
    /// jumps through tables hide the ways, so that nothing can be said; nor is anything where it
    /// would take too long.
    pub(super) fn guards(mut self, steps: &mut Steps) -> Option<Guards> {
        if self.has_hidden_ways || self.is_too_long {
            return None;
        }
        self.nodes.sort_unstable_by_key(|node| node.address);
        let graph = Graph::of(&self.nodes);
        let branches = graph.tested_branches(&self.nodes, steps)?;
        let ends = graph.ends(steps)?;
        let mut is_guarded = vec![false; self.nodes.len()];
        // Which branch each instruction was last seen behind.
        let mut seen_behind = vec![EXIT; self.nodes.len()];
        for &branch in &branches {
            let mut open = vec![branch];
            seen_behind[branch] = branch;
            while let Some(node) = open.pop() {
                for next in graph.successors(node) {
                    let is_over = next == EXIT || next == ends[branch];
                    if is_over || mem::replace(&mut seen_behind[next], branch) == branch {
                        continue;
                    }
                    is_guarded[next] = true;
                    steps.take()?;
                    open.push(next);
                }
            }
        }
        let guarded = self.nodes.iter().zip(is_guarded).filter(|(_, is_guarded)| *is_guarded);
        Some(Guards {
            guarded: guarded.map(|(node, _)| node.address).collect(),
            branches: branches.into_iter().map(|branch| self.nodes[branch].address).collect(),
        })
    }
}

/// The ways between instructions, by their places in order of address.
struct Graph {
    successors: Vec<[Option<usize>; 2]>,
}

impl Graph {
    fn of(nodes: &[Node]) -> Self {
        let place = |address: u64| {
            nodes.binary_search_by_key(&address, |node| node.address).unwrap_or(EXIT)
        };
        let successors = |node: &Node| {
            let next = node.falls.then(|| place(node.next));
            let target = node.target.map(place);
            if next.is_none() && target.is_none() { [Some(EXIT), None] } else { [next, target] }
        };
        Self { successors: nodes.iter().map(successors).collect() }
    }

    fn successors(&self, node: usize) -> impl Iterator<Item = usize> {
        self.successors[node].into_iter().flatten()
    }

    /// The branches that depend on a test; `None` where an answer is lost from sight.
    fn tested_branches(&self, nodes: &[Node], steps: &mut Steps) -> Option<Vec<usize>> {
        let mut before = vec![Taint::default(); nodes.len()];
        let mut open: Vec<usize> = (0..nodes.len()).rev().collect();
        while let Some(node) = open.pop() {
            steps.take()?;
            let (after, is_lost) = before[node].after(&nodes[node].effect);
            let leaves = nodes[node].target.is_some() && self.successors(node).any(|to| to == EXIT);
            if is_lost || leaves && after.is_taken_along() {
                return None;
            }
            for next in self.successors(node).filter(|&next| next != EXIT) {
                if before[next].join(after) {
                    open.push(next);
                }
            }
        }
        let branches = |node: &usize| {
            nodes[*node].falls && nodes[*node].target.is_some() && before[*node].holds_flags()
        };
        Some((0..nodes.len()).filter(branches).collect())
    }

    /// For each instruction, the nearest one that every way from it to the end of the function
    /// comes by: its immediate post-dominator. `None` where that takes too long.
    ///
    /// Source: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    fn ends(&self, steps: &mut Steps) -> Option<Vec<usize>> {
        let count = self.successors.len();
        let order = self.backwards();
        let mut rank = vec![0; count];
        for (index, &node) in order.iter().enumerate() {
            rank[node] = index + 1;
        }
        // 0 is the end of the function, and unknown ones are `None`.
        let rank_of = |node: usize| if node == EXIT { 0 } else { rank[node] };
        let mut ends: Vec<Option<usize>> = vec![None; count];
        let mut is_changed = true;
        while is_changed {
            is_changed = false;
            for &node in &order {
                steps.take()?;
                let mut meeting: Option<usize> = None;
                for next in self.successors(node) {
                    if next != EXIT && ends[next].is_none() {
                        continue;
                    }
                    let (mut one, mut other) = (meeting.unwrap_or(next), next);
                    while one != other {
                        let later =
                            if rank_of(one) > rank_of(other) { &mut one } else { &mut other };
                        *later = ends.get(*later).copied().flatten().unwrap_or(EXIT);
                        steps.take()?;
                    }
                    meeting = Some(one);
                }
                if meeting.is_some() && ends[node] != meeting {
                    ends[node] = meeting;
                    is_changed = true;
                }
            }
        }
        Some(ends.into_iter().map(|end| end.unwrap_or(EXIT)).collect())
    }

    /// The instructions from which the end can be reached, those nearest to it first: the reverse
    /// of the order in which a walk against the ways leaves them.
    fn backwards(&self) -> Vec<usize> {
        let count = self.successors.len();
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut is_seen = vec![false; count];
        let mut lasts = Vec::new();
        for node in 0..count {
            for next in self.successors(node) {
                match before.get_mut(next) {
                    Some(before) => before.push(node),
                    None => lasts.push(node),
                }
            }
        }
        let mut order = Vec::new();
        for last in lasts {
            if mem::replace(&mut is_seen[last], true) {
                continue;
            }
            open.push((last, 0));
            while let Some((node, at)) = open.pop() {
                match before[node].get(at) {
                    Some(&next) => {
                        open.push((node, at + 1));
                        if !mem::replace(&mut is_seen[next], true) {
                            open.push((next, 0));
                        }
                    }
                    None => order.push(node),
                }
            }
        }
        order.reverse();
        order
    }
}
