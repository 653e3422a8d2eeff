//! How many tests passed, read from the last lines of those who ran them.

use std::fmt;
use std::ops::AddAssign;

/// What became of some tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Left out, or unable to look.
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads nextest's summary.
    pub(crate) fn of_nextest(output: &str) -> Self {
        let mut counts = Self::default();
        let lines = output.lines().filter(|line| line.trim_start().starts_with("Summary ["));
        for line in lines {
            let (_, results) = line.split_once("run: ").unwrap_or_default();
            for result in without_parentheses(results).split(", ") {
                let Some((number, what)) = numbered(result) else { continue };
                match what {
                    "passed" => counts.passed += number,
                    "skipped" => counts.skipped += number,
                    _ => counts.failed += number, // failed, timed out, could not be started
                }
            }
        }
        counts.without_unchecked(output)
    }

    /// Adds up the results of `cargo test`, one for each test program.
    pub(crate) fn of_cargo_test(output: &str) -> Self {
        let mut counts = Self::default();
        for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
            let results = line.split_once(". ").map_or(line, |(_, results)| results);
            for (number, what) in results.split("; ").filter_map(numbered) {
                match what {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.skipped += number,
                    _ => {}
                }
            }
        }
        counts.without_unchecked(output)
    }

    /// A test that says `NOT CHECKED` has passed for its runner only.
    fn without_unchecked(mut self, output: &str) -> Self {
        let is_unchecked = |line: &&str| line.trim_start().starts_with("NOT CHECKED");
        let unchecked = output.lines().filter(is_unchecked).count() as u64;
        self.passed = self.passed.saturating_sub(unchecked);
        self.skipped += unchecked;
        self
    }

    /// Reads the last lines of Python's `unittest`, which counts a skipped test as run.
    pub(crate) fn of_unittest(output: &str) -> Self {
        let mut counts = Self::default();
        let mut ran = 0;
        for line in output.lines() {
            if let Some(rest) = line.strip_prefix("Ran ") {
                ran += numbered(rest).map_or(0, |(number, _)| number);
            } else if line.starts_with("OK (") || line.starts_with("FAILED (") {
                let results = line.split_once('(').map_or("", |(_, rest)| rest);
                for result in results.trim_end_matches(')').split(", ") {
                    let Some((what, number)) = result.split_once('=') else { continue };
                    let number = number.parse().unwrap_or(0);
                    match what {
                        "failures" | "errors" | "unexpected successes" => counts.failed += number,
                        "skipped" => counts.skipped += number,
                        _ => {}
                    }
                }
            }
        }
        counts.passed = u64::saturating_sub(ran, counts.failed + counts.skipped);
        counts
    }
}

/// Reads `12 passed`.
fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, what) = text.trim().split_once(' ')?;
    Some((number.parse().ok()?, what.trim()))
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
    }
    kept
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn nextest_says_all_in_its_summary() {
        let output = "\
     Summary [   2.101s] 9 tests run: 6 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 4 skipped
        FAIL [   0.003s] hoist-nix nar::tests::x";
        assert_eq!(Counts::of_nextest(output), counts(6, 3, 4));
    }

    #[test]
    fn a_test_that_could_not_look_has_not_passed() {
        let output = "\
  stderr ───
    NOT CHECKED: no nix-store on PATH (Debian package nix-bin)
     Summary [   0.012s] 3 tests run: 3 passed, 0 skipped";
        assert_eq!(Counts::of_nextest(output), counts(2, 0, 1));
    }

    #[test]
    fn results_of_several_test_programs_add_up() {
        let output = "\
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Counts::of_cargo_test(output), counts(4, 2, 1));
    }

    #[test]
    fn unittest_counts_skipped_and_failed_tests_as_run() {
        let output = "Ran 45 tests in 1.234s\n\nFAILED (failures=1, errors=2, skipped=3)\n";
        assert_eq!(Counts::of_unittest(output), counts(39, 3, 3));
        assert_eq!(Counts::of_unittest("Ran 2 tests in 0.001s\n\nOK\n"), counts(2, 0, 0));
    }

    #[test]
    fn output_without_a_summary_counts_nothing() {
        let nothing = "error: could not compile `hoist`";
        assert_eq!(Counts::of_nextest(nothing), Counts::default());
        assert_eq!(Counts::of_cargo_test(nothing), Counts::default());
        assert_eq!(Counts::of_unittest(nothing), Counts::default());
    }
}
