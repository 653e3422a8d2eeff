//! What calling a function may need, its callees included: one pass over the call graph for all
//! functions at once, from what is above the baseline back to who leads there.

use super::need::Need;
use super::scan::{Above, Summary};

/// Why a function needs more than the baseline, and where to go on to see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) above: Above,
    pub(super) next: Next,
    /// How many functions come after this one on the way to the instruction.
    pub(super) distance: usize,
}

/// The next function on the way to an instruction above the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The instruction is in this function.
    Here,
    /// By a way that no test guards.
    Open(u32),
    /// By a way that a test guards.
    Guarded(u32),
}

/// For each function, what it leads to.
pub(super) struct Reach {
    /// Instructions that run without any test.
    pub(super) open: Vec<Option<Cause>>,
    /// Instructions that run behind a test in the function or below it.
    pub(super) guarded: Vec<Option<Cause>>,
    /// Either, whatever guards them.
    any: Vec<Option<Cause>>,
}

/// Edges against their direction: who leads to each function.
struct Callers {
    /// Where the callers of each function start in `list`, and one more.
    starts: Vec<usize>,
    /// A caller, and whether the way is guarded.
    list: Vec<(u32, bool)>,
}

impl Callers {
    fn of(summaries: &[Summary]) -> Self {
        let mut starts = vec![0; summaries.len() + 1];
        for edge in summaries.iter().flat_map(|summary| &summary.edges) {
            starts[edge.to as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut list = vec![(0, false); starts.last().copied().unwrap_or(0)];
        for (caller, summary) in (0..).zip(summaries) {
            for edge in &summary.edges {
                let at = &mut next[edge.to as usize];
                list[*at] = (caller, edge.is_guarded);
                *at += 1;
            }
        }
        Self { starts, list }
    }

    fn of_function(&self, function: u32) -> &[(u32, bool)] {
        let function = function as usize;
        &self.list[self.starts[function]..self.starts[function + 1]]
    }
}

/// Whether each function leads to something above the baseline by any way.
pub(super) fn leads_above(summaries: &[Summary]) -> Vec<bool> {
    let callers = Callers::of(summaries);
    let own = summaries.iter().map(any_above);
    spread(&callers, own, |_| true).iter().map(Option::is_some).collect()
}

impl Reach {
    pub(super) fn compute(summaries: &[Summary]) -> Self {
        let callers = Callers::of(summaries);
        let any = spread(&callers, summaries.iter().map(any_above), |_| true);
        let own = summaries.iter().map(|summary| summary.above.map(here));
        let open = spread(&callers, own, |is_guarded| !is_guarded);
        let behind_test = summaries.iter().map(|summary| {
            let ways = summary.edges.iter().filter(|edge| edge.is_guarded);
            let beyond = ways.filter_map(|edge| {
                let cause = any[edge.to as usize]?;
                let distance = cause.distance + 1;
                Some(Cause { above: cause.above, next: Next::Guarded(edge.to), distance })
            });
            beyond.chain(summary.guarded_above.map(here)).max_by_key(|cause| cause.above.need)
        });
        let guarded = spread(&callers, behind_test, |is_guarded| !is_guarded);
        Self { open, guarded, any }
    }

    /// The functions from `start` to the instruction, without `start` itself; the first `most` of
    /// them.
    pub(super) fn path(&self, start: usize, is_guarded: bool, most: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut table = if is_guarded { &self.guarded } else { &self.open };
        let mut here = start;
        while let Some(cause) = table[here].filter(|_| path.len() < most) {
            here = match cause.next {
                Next::Here => break,
                Next::Open(next) => next as usize,
                Next::Guarded(next) => {
                    table = &self.any;
                    next as usize
                }
            };
            path.push(here);
        }
        path
    }
}

fn here(above: Above) -> Cause {
    Cause { above, next: Next::Here, distance: 0 }
}

fn any_above(summary: &Summary) -> Option<Cause> {
    let both = summary.above.into_iter().chain(summary.guarded_above);
    both.max_by_key(|above| above.need).map(here)
}

/// Gives every function that leads to one with a cause of its `own` the highest such cause, the
/// nearest of those. Each function is given one once, and paths lead strictly nearer.
fn spread(
    callers: &Callers,
    own: impl Iterator<Item = Option<Cause>>,
    may_pass: impl Fn(bool) -> bool,
) -> Vec<Option<Cause>> {
    let own: Vec<Option<Cause>> = own.collect();
    let mut given: Vec<Option<Cause>> = vec![None; own.len()];
    let mut needs: Vec<Need> = own.iter().flatten().map(|cause| cause.above.need).collect();
    needs.sort_unstable();
    needs.dedup();
    for need in needs.into_iter().rev() {
        let mut queue: Vec<u32> = Vec::new();
        for (index, cause) in (0..).zip(&own) {
            let slot = &mut given[index as usize];
            if slot.is_none() && cause.is_some_and(|cause| cause.above.need == need) {
                *slot = *cause;
                queue.push(index);
            }
        }
        let mut at = 0;
        while let Some(&function) = queue.get(at) {
            at += 1;
            let Some(cause) = given[function as usize] else { continue };
            for &(caller, is_guarded) in callers.of_function(function) {
                let slot = &mut given[caller as usize];
                if slot.is_none() && may_pass(is_guarded) {
                    *slot = Some(Cause {
                        next: Next::Open(function),
                        distance: cause.distance + 1,
                        ..cause
                    });
                    queue.push(caller);
                }
            }
        }
    }
    given
}
