//! Symbol versions against the oldest target.

use hoist_elf::{DottedVersion, ElfFacts, VersionNeed};

use crate::report::{About, Judge};
use crate::rule::{DYN_GLIBC_FLOOR, DYN_LIBSTDCXX_FLOOR, DYN_PRIVATE_SYMBOL, Rule};

/// A version that is no number, and the release of glibc that first had it: the linker's
/// `-z pack-relative-relocs` asks for it.
const PACKED_RELOCATIONS: (&str, &str) = ("GLIBC_ABI_DT_RELR", "2.36");

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let contract = judge.contract;
    // The loader only warns about a version whose every use is weak.
    let needs: Vec<&VersionNeed> =
        facts.version_needs.iter().filter(|need| !need.is_weak).collect();
    let private = needs.iter().filter(|need| &*need.version == "GLIBC_PRIVATE");
    let private: Vec<About> = private
        .flat_map(|need| described(need))
        .map(|(symbol, name, need)| {
            let library = &need.library;
            let message =
                format!("{name} is private to {library}: any release may change or drop it");
            About { symbol, message }
        })
        .collect();
    judge.report_each(
        &DYN_PRIVATE_SYMBOL,
        &private,
        "use the public function instead; static parts of glibc must not be linked in",
    );
    if let Some(floor) = &contract.glibc {
        let fix = format!(
            "build against glibc {floor} or older, in a container of that age or with `zig cc \
             -target ARCH-linux-gnu.{floor}`; or raise `glibc` in hoist.toml"
        );
        check_floor(judge, &DYN_GLIBC_FLOOR, &needs, glibc_release, floor, &fix);
    }
    if let Some(floor) = &contract.libstdcxx {
        let release = |version: &str| DottedVersion::after("GLIBCXX_", version);
        let fix = "build with an older g++, or link with `-static-libstdc++`";
        check_floor(judge, &DYN_LIBSTDCXX_FLOOR, &needs, release, floor, fix);
    }
}

fn glibc_release(version: &str) -> Option<DottedVersion> {
    let (name, release) = PACKED_RELOCATIONS;
    if version == name { release.parse().ok() } else { DottedVersion::after("GLIBC_", version) }
}

fn check_floor(
    judge: &mut Judge<'_>,
    rule: &Rule,
    needs: &[&VersionNeed],
    release: impl Fn(&str) -> Option<DottedVersion>,
    floor: &DottedVersion,
    fix: &str,
) {
    let is_newer =
        |need: &&&VersionNeed| release(&need.version).is_some_and(|release| release > *floor);
    let mut newer: Vec<&VersionNeed> = needs.iter().filter(is_newer).copied().collect();
    newer.sort_by_key(|need| std::cmp::Reverse(release(&need.version)));
    let found: Vec<About> = newer
        .into_iter()
        .flat_map(described)
        .map(|(symbol, name, need)| {
            let message = format!(
                "{name} needs {} of {}, newer than the oldest target's {floor}",
                need.version, need.library
            );
            About { symbol, message }
        })
        .collect();
    judge.report_each(rule, &found, fix);
}

/// Each symbol that wants a version, and its name in backquotes; where none does, the version's.
fn described(need: &VersionNeed) -> Vec<(Option<String>, String, &VersionNeed)> {
    if need.symbols.is_empty() {
        return vec![(None, format!("`{}`", need.version), need)];
    }
    let named = |symbol: &std::sync::Arc<str>| {
        (Some(symbol.as_ref().to_owned()), format!("`{symbol}`"), need)
    };
    need.symbols.iter().map(named).collect()
}
