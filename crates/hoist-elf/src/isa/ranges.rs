//! Sets of addresses, as ranges.

use std::collections::BTreeMap;

/// Addresses; ranges that meet or touch are one.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Where each ends, by its start.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds the addresses from `start` to before `end`; returns whether one of them is new.
    pub(super) fn insert(&mut self, mut start: u64, mut end: u64) -> bool {
        if start >= end {
            return false;
        }
        if let Some((&before, &before_end)) = self.ends.range(..=start).next_back()
            && before_end >= start
        {
            if before_end >= end {
                return false;
            }
            start = before;
        }
        while let Some((&next, &next_end)) = self.ends.range(start..=end).next() {
            self.ends.remove(&next);
            end = end.max(next_end);
        }
        self.ends.insert(start, end);
        true
    }

    /// Whether one of the addresses from `start` to before `end` is among them.
    pub(super) fn meet(&self, start: u64, end: u64) -> bool {
        let last = self.ends.range(..end).next_back();
        start < end && last.is_some_and(|(_, &last_end)| last_end > start)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    #[test]
    fn a_variable_is_one_range_however_often_it_is_added() {
        let mut ranges = Ranges::default();
        for start in (0..1_000_000).step_by(8) {
            assert!(ranges.insert(start, start + 64));
        }
        assert_eq!(ranges.ends.len(), 1);
        assert!(!ranges.insert(77, 99));
    }

    proptest! {
        /// A set of single addresses says the same.
        #[test]
        fn ranges_hold_what_was_added(
            added in prop::collection::vec((0..60_u64, 0..9_u64), 0..12),
            (asked, length) in (0..70_u64, 0..9_u64),
        ) {
            let (mut ranges, mut single) = (Ranges::default(), BTreeSet::new());
            for (start, length) in added {
                let before = single.len();
                single.extend(start..start + length);
                prop_assert_eq!(ranges.insert(start, start + length), single.len() > before);
            }
            let is_met = single.range(asked..asked + length).next().is_some();
            prop_assert_eq!(ranges.meet(asked, asked + length), is_met);
        }
    }
}
