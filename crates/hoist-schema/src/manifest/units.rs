//! Values of `hoist.toml` that carry a unit: sizes, durations, versions of system libraries; and how
//! all values that are texts are read and written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Day;

/// Smallest and largest size of a file, in bytes, both allowed; written `1KiB..1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    /// Smallest size, in bytes.
    pub min_bytes: u64,
    /// Largest size, in bytes.
    pub max_bytes: u64,
}

/// Longest wall time of a command, written `90s`, `10m` or `2h`; 30 minutes when unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_mins(30))
    }
}

/// A glibc version, compared by number: 2.4 is older than 2.31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    /// The 2 of 2.31.
    pub major: u32,
    /// The 31 of 2.31.
    pub minor: u32,
}

/// A libstdc++ version as its symbols have it, the 3.4.30 of `GLIBCXX_3.4.30`: 3.4.9 is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibstdcxxVersion {
    /// The 30 of 3.4.30; 0 for plain 3.4.
    pub patch: u32,
}

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            format!(
                "`{text}` is not a size range; write the smallest and the largest, as `1KiB..1MiB`"
            )
        };
        let (min, max) = text.split_once("..").ok_or_else(wanted)?;
        let range = Self {
            min_bytes: parse_size(min).ok_or_else(wanted)?,
            max_bytes: parse_size(max).ok_or_else(wanted)?,
        };
        if range.min_bytes > range.max_bytes {
            return Err(format!("the size range `{text}` is empty: its start is above its end"));
        }
        Ok(range)
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", SizeText(self.min_bytes), SizeText(self.max_bytes))
    }
}

/// A size in the largest unit that needs no fraction.
struct SizeText(u64);

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fitting =
            units.into_iter().find(|(factor, _)| self.0 != 0 && self.0.is_multiple_of(*factor));
        match fitting {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("`{text}` is not a duration; write seconds, minutes or hours, as `90s`");
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &text[digits.len()..] {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(wanted()),
        };
        let count: u64 = digits.parse().map_err(|_| wanted())?;
        match count.checked_mul(factor) {
            Some(0) => Err("a timeout of 0 would end everything at once".to_owned()),
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err(wanted()),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('.')
            .and_then(|(major, minor)| {
                Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
            })
            .ok_or_else(|| format!("`{text}` is not a glibc version; write it as `2.31`"))
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for LibstdcxxVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            format!(
                "`{text}` is not a libstdc++ version; write the newest GLIBCXX_ version that it \
                 has, as `3.4.30` (gcc 12)"
            )
        };
        let rest = text.strip_prefix("3.4").ok_or_else(wanted)?;
        if rest.is_empty() {
            return Ok(Self { patch: 0 });
        }
        let digits = rest.strip_prefix('.').filter(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        let patch = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wanted)?;
        Ok(Self { patch })
    }
}

impl fmt::Display for LibstdcxxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patch {
            0 => f.write_str("3.4"),
            patch => write!(f, "3.4.{patch}"),
        }
    }
}

/// Gives a type that is a text in TOML and JSON its serde and schema implementations.
macro_rules! text_value {
    ($type:ty, $name:literal, $pattern:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

text_value!(
    SizeRange,
    "SizeRange",
    "^[0-9]+ *([KMG]iB|B)?\\.\\.[0-9]+ *([KMG]iB|B)?$",
    "1KiB..1MiB"
);
text_value!(Timeout, "Timeout", "^[0-9]+[smh]$", "90s");
text_value!(GlibcVersion, "GlibcVersion", "^[0-9]+\\.[0-9]+$", "2.31");
text_value!(Day, "Day", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2027-01-31");
text_value!(LibstdcxxVersion, "LibstdcxxVersion", "^3\\.4(\\.[0-9]+)?$", "3.4.30");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_range_is_read_in_bytes_and_printed_in_units() {
        let range: SizeRange = "1KiB..3MiB".parse().unwrap();
        assert_eq!(range, SizeRange { min_bytes: 1024, max_bytes: 3 << 20 });
        assert_eq!(range.to_string(), "1KiB..3MiB");
        assert_eq!("0..1500B".parse::<SizeRange>().unwrap().to_string(), "0B..1500B");
    }

    #[test]
    fn a_size_range_that_is_empty_or_overflows_is_refused() {
        assert!("2KiB..1KiB".parse::<SizeRange>().unwrap_err().contains("is empty"));
        assert!("0..99999999999999GiB".parse::<SizeRange>().is_err());
        assert!("1KB..2KB".parse::<SizeRange>().is_err());
    }

    #[test]
    fn glibc_versions_compare_by_number() {
        let version = |text: &str| text.parse::<GlibcVersion>().unwrap();
        assert!(version("2.4") < version("2.31"));
        assert!("2".parse::<GlibcVersion>().is_err());
    }

    #[test]
    fn libstdcxx_versions_are_those_of_its_symbols() {
        let version = |text: &str| text.parse::<LibstdcxxVersion>().unwrap();
        assert!(version("3.4.9") < version("3.4.30"));
        assert_eq!(version("3.4").to_string(), "3.4");
        assert_eq!(version("3.4.30").to_string(), "3.4.30");
        for not in ["12", "3.4.", "3.4.+1", "3.40", "GLIBCXX_3.4.30", ""] {
            let refusal = not.parse::<LibstdcxxVersion>().unwrap_err();
            assert!(refusal.contains("write the newest GLIBCXX_ version"), "{refusal}");
        }
    }

    #[test]
    fn a_timeout_has_a_unit_and_is_not_zero() {
        assert_eq!("2h".parse::<Timeout>().unwrap().0.as_secs(), 7200);
        assert!("90".parse::<Timeout>().is_err());
        assert!("0s".parse::<Timeout>().is_err());
    }
}
