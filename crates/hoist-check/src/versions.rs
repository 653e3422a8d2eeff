//! Symbol versions against the oldest target.

use std::iter;

use hoist_elf::{DottedVersion, ElfFacts, VersionNeed};
use hoist_schema::Severity;

use crate::closure::{Closure, Member};
use crate::floors::{
    Family, PACKED_RELOCATIONS, cxxabi_beside, first_with_packed_relocations, gcc_release,
    hides_packed_relocations, is_unknown_marker,
};
use crate::report::{About, Judge};
use crate::rule::{
    DYN_GLIBC_FLOOR, DYN_LIBGCC_FLOOR, DYN_LIBSTDCXX_FLOOR, DYN_PRIVATE_SYMBOL, Rule,
};
use crate::version_trouble::about_each;

/// The version of what glibc keeps for itself.
const PRIVATE: &str = "GLIBC_PRIVATE";

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
    check_private(judge, facts);
    let contract = judge.contract;
    if let Some(floor) = &contract.glibc {
        let fix = format!(
            "build against glibc {floor} or older, in a container of that age or with `zig cc \
             -target ARCH-linux-gnu.{floor}`; or raise `glibc` in hoist.toml"
        );
        let limit = Limit { rule: &DYN_GLIBC_FLOOR, family: Family::Glibc, floor, fix: &fix };
        limit.check(judge, facts, closure);
        check_markers(judge, facts, &fix);
    }
    if let Some(floor) = &contract.libstdcxx {
        let fix = "build with an older g++, or link with `-static-libstdc++`";
        let limit = Limit { rule: &DYN_LIBSTDCXX_FLOOR, family: Family::Libstdcxx, floor, fix };
        limit.check(judge, facts, closure);
        if let Some(floor) = &cxxabi_beside(floor) {
            Limit { family: Family::CxxAbi, floor, ..limit }.check(judge, facts, closure);
        }
    }
    if let Some(floor) = &contract.libgcc {
        let fix = "build with an older compiler, or link with `-static-libgcc`";
        let limit = Limit { rule: &DYN_LIBGCC_FLOOR, family: Family::Libgcc, floor, fix };
        limit.check(judge, facts, closure);
    }
}

fn check_private(judge: &mut Judge<'_>, facts: &ElfFacts) {
    // A part of glibc may use the others'.
    if facts.version_definitions.iter().any(|version| &**version == PRIVATE) {
        return;
    }
    let private = facts.version_needs.iter().filter(|need| &*need.version == PRIVATE);
    let private: Vec<About> = private
        .flat_map(|need| {
            let library = &need.library;
            about_each(need, |name| {
                format!("{name} is private to {library}: any release may change or drop it")
            })
        })
        .collect();
    judge.report_each(
        &DYN_PRIVATE_SYMBOL,
        &private,
        "use the public function instead; static parts of glibc must not be linked in",
    );
}

/// Versions that ask for an ability of the loader which is younger than hoist.
fn check_markers(judge: &mut Judge<'_>, facts: &ElfFacts, fix: &str) {
    let unknown: Vec<About> = facts
        .version_needs
        .iter()
        .filter(|need| !need.is_weak && is_unknown_marker(&need.version))
        .map(|need| {
            let version = &*need.version;
            let message = format!(
                "`{version}` is wanted of {}, an ability of the loader that came after all that \
                 hoist knows",
                need.library
            );
            About { symbol: None, object: Some(version.to_owned()), message }
        })
        .collect();
    judge.report_each(&DYN_GLIBC_FLOOR, &unknown, fix);
}

/// The newest version of a family that the oldest target has.
#[derive(Clone, Copy)]
struct Limit<'a> {
    rule: &'static Rule,
    family: Family,
    floor: &'a DottedVersion,
    fix: &'a str,
}

impl Limit<'_> {
    fn check(&self, judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
        for (severity, found) in self.found(facts, closure) {
            judge.report_each_as(severity, self.rule, found.iter(), self.fix);
        }
        // What comes with it must load as well.
        for (path, neighbour) in closure.own().filter(|(path, _)| !closure.checked.contains(*path))
        {
            let Ok(facts) = &neighbour.facts else { continue };
            for (severity, found) in self.found(facts, closure) {
                let Some((newest, more)) = found.split_first() else { continue };
                let more = match more.len() {
                    0 => String::new(),
                    more => format!(", and {more} more like this"),
                };
                let about = About {
                    symbol: newest.symbol.clone(),
                    object: Some(path.to_owned()),
                    message: format!("{} (in `{path}`{more})", newest.message),
                };
                judge.report_each_as(severity, self.rule, iter::once(&about), self.fix);
            }
        }
    }

    /// What a library wants that is too new, newest first, by severity.
    fn found(&self, facts: &ElfFacts, closure: &Closure) -> [(Severity, Vec<About>); 2] {
        let newer = |need: &'_ VersionNeed| {
            self.family.release(need).filter(|release| release > self.floor)
        };
        let mut needs: Vec<(DottedVersion, &VersionNeed)> =
            facts.version_needs.iter().filter_map(|need| Some((newer(need)?, need))).collect();
        needs.sort_by(|a, b| b.0.cmp(&a.0));
        let mut by_severity = [self.rule.severity, Severity::Warning].map(|severity| {
            let alike = needs.iter().filter(|(_, need)| self.severity(need, closure) == severity);
            let found = alike.flat_map(|(release, need)| self.about(release, need, closure));
            (severity, found.collect::<Vec<About>>())
        });
        by_severity[0].1.extend(self.packed_relocations(facts));
        by_severity
    }

    /// Relocations that the oldest target's loader leaves out, though it takes the library.
    fn packed_relocations(&self, facts: &ElfFacts) -> Option<About> {
        let first = first_with_packed_relocations().filter(|first| first > self.floor)?;
        (self.family == Family::Glibc && hides_packed_relocations(facts)).then(|| About {
            symbol: None,
            object: Some(PACKED_RELOCATIONS.to_owned()),
            message: format!(
                "its relocations are packed (DT_RELR), and no glibc before {first} applies them: the \
                 oldest target's {} loads it, and its pointers lead nowhere",
                self.floor
            ),
        })
    }

    /// The loader only warns about a version whose every use is weak, and takes a library that the
    /// artifact brings, unless the process has the system's already.
    fn severity(&self, need: &VersionNeed, closure: &Closure) -> Severity {
        if need.is_weak || is_own(need, closure) { Severity::Warning } else { self.rule.severity }
    }

    fn about(&self, release: &DottedVersion, need: &VersionNeed, closure: &Closure) -> Vec<About> {
        let VersionNeed { version, library, .. } = need;
        let gcc = match self.family {
            Family::Libstdcxx | Family::CxxAbi => gcc_release(self.family, release),
            Family::Glibc | Family::Libgcc => None,
        };
        let gcc = gcc.map(|gcc| format!(" (gcc {gcc})")).unwrap_or_default();
        let unless = if need.is_weak {
            "; all its uses are weak, so it loads all the same"
        } else if is_own(need, closure) {
            "; the artifact brings its own, which a process that has the system's does not take"
        } else {
            ""
        };
        about_each(need, |name| {
            format!(
                "{name} needs {version}{gcc} of {library}, newer than the oldest target's \
                 {}{unless}",
                self.floor
            )
        })
    }
}

/// Whether the library that a version is wanted of lies in the artifact.
fn is_own(need: &VersionNeed, closure: &Closure) -> bool {
    matches!(closure.member(&need.library), Some(Member::Own(..)))
}
