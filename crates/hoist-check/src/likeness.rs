//! How alike names are, for guesses at what was meant.

/// Longest name that is compared, in bytes.
const MOST_BYTES: usize = 256;

/// How many pairs of characters are looked at for one file. Comparing two names takes the product
/// of their lengths: this is a hundred names of 25 bytes against a thousand others, in about a
/// second.
const MOST_WORK: usize = 1 << 26;

/// Compares names until it has done all the work it may.
pub(crate) struct Likeness {
    left: usize,
}

impl Likeness {
    pub(crate) fn new() -> Self {
        Self { left: MOST_WORK }
    }

    /// How alike two names are, from 0 to 1; 0 where it is less than `least`, where one is too
    /// long, and when the work is used up.
    pub(crate) fn of(&mut self, one: &str, other: &str, least: f64) -> f64 {
        let Some(most) = upper_bound(one.len(), other.len()) else { return 0.0 };
        if most < least {
            return 0.0;
        }
        let Some(left) = self.left.checked_sub(one.len() * other.len()) else { return 0.0 };
        self.left = left;
        let likeness = strsim::normalized_damerau_levenshtein(one, other);
        if likeness < least { 0.0 } else { likeness }
    }
}

/// What the likeness of names of these lengths in bytes cannot exceed, as every character more has
/// to be taken away; `None` where one is too long.
fn upper_bound(one: usize, other: usize) -> Option<f64> {
    let number = |length: usize| (length <= MOST_BYTES).then(|| u16::try_from(length).ok())?;
    let (one, other) = (number(one)?, number(other)?);
    let (least, most) = (one.min(other), one.max(other).max(1));
    Some(if one == other { 1.0 } else { f64::from(least) / f64::from(most) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &str, other: &str, least: f64) -> f64 {
        Likeness::new().of(one, other, least)
    }

    #[test]
    fn names_are_as_alike_as_they_have_the_same_characters() {
        assert_eq!(of("scan", "scan", 0.7).to_bits(), 1.0_f64.to_bits());
        assert_eq!(of("scan_rows", "scan_row", 0.7).to_bits(), (8.0_f64 / 9.0).to_bits());
        assert_eq!(of("scan", "draw", 0.7).to_bits(), 0);
        assert_eq!(of("scan", "scan_all_rows", 0.7).to_bits(), 0);
        assert_eq!(of("", "", 0.7).to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn long_names_are_not_compared() {
        let long = "a".repeat(MOST_BYTES);
        assert!(of(&long, &long, 0.7) > 0.9);
        let longer = "a".repeat(MOST_BYTES + 1);
        assert_eq!(of(&longer, &longer, 0.7).to_bits(), 0);
    }

    #[test]
    fn the_work_ends() {
        let (one, other) = ("ab".repeat(100), "ca".repeat(100));
        let mut likeness = Likeness { left: 100_000 };
        assert!(likeness.of(&one, &other, 0.0) > 0.0);
        assert!(likeness.of(&one, &other, 0.0) > 0.0);
        assert_eq!(likeness.of(&one, &other, 0.0).to_bits(), 0);
    }
}
