//! A day of the calendar, as waivers end on.

use std::fmt;
use std::str::FromStr;

/// A day of the Gregorian calendar, written `2027-01-31` (RFC 3339, full-date).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

impl Day {
    /// The day with these numbers, month and day from 1; `None` when the calendar has none.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(is_leap),
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month, of_month: day })
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let is_shaped =
            text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let numbers = (part(0..4), part(5..7), part(8..10));
        let (Some(year), Some(month), Some(day)) = numbers else {
            return Err(format!("`{text}` is not a day; write it as `2027-01-31`"));
        };
        let narrow = |number: u16| u8::try_from(number).ok();
        let found = narrow(month).zip(narrow(day));
        found
            .and_then(|(month, day)| Self::new(year, month, day))
            .filter(|_| is_shaped)
            .ok_or_else(|| format!("`{text}` is not in the calendar; write a day as `2027-01-31`"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_and_written_alike_and_days_are_ordered() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert_eq!(day("2027-01-31").to_string(), "2027-01-31");
        assert!(day("2026-12-31") < day("2027-01-01"));
        assert!(day("2024-02-29") < day("2024-03-01"));
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for text in ["2027-02-29", "1900-02-29", "2027-13-01", "2027-00-10", "2027-04-31"] {
            assert!(text.parse::<Day>().unwrap_err().contains("not in the calendar"), "{text}");
        }
        for text in ["", "31.01.2027", "2027-1-31", "2027-01-3x", "tomorrow", "2027-01-31T00"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
