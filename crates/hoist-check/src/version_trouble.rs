//! Versions that a library wants and that no other defines, as the loader finds out before it looks
//! up any symbol.
//!
//! Source: glibc's `_dl_check_map_versions`, and the assertion in `check_match` for libraries that
//! have no place for versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use hoist_elf::VersionNeed;
use hoist_schema::Severity;

use crate::closure::{Closure, Member};
use crate::contract::Contract;
use crate::report::{About, name_some};
use crate::resolve::Answer;
use crate::rule::{DYN_UNDERLINKED, DYN_VERSION_MISSING, Rule};

/// Most versions that a message names.
pub(crate) const MOST_NAMED: usize = 4;

/// Checks that each library defines the versions that are wanted of it. Adds the answers, and returns
/// the versions, with their libraries, that they are about.
pub(crate) fn check<'a>(
    needs: &'a [VersionNeed],
    closure: &Closure,
    contract: &Contract,
    answers: &mut Vec<Answer>,
) -> BTreeSet<(&'a str, &'a str)> {
    let mut said = BTreeSet::new();
    for need in needs {
        let (library, version) = (&*need.library, &*need.version);
        let Some(trouble) = Trouble::of(need, closure, contract) else { continue };
        said.insert((library, version));
        answers.extend(trouble.about(need).into_iter().map(|about| Answer {
            severity: trouble.severity(need),
            rule: trouble.rule(),
            fix: trouble.fix(),
            about,
        }));
    }
    said
}

/// One answer for each symbol that is wanted in a version, or one for the version itself.
pub(crate) fn about_each(need: &VersionNeed, message: impl Fn(&str) -> String) -> Vec<About> {
    let version = &*need.version;
    if need.symbols.is_empty() {
        let message = message(&format!("`{version}`"));
        return vec![About { symbol: None, object: Some(version.to_owned()), message }];
    }
    let about =
        |name: &Arc<str>| About::symbol(name, message(&format!("`{name}`"))).object(version);
    need.symbols.iter().map(about).collect()
}

/// Why the loader objects to a version that is wanted.
enum Trouble<'a> {
    /// The library that it is wanted of is not needed, so it may not be there.
    NotNeeded,
    /// The same of a library that every target has.
    Underlinked,
    /// The library has no place for versions at all.
    NoIndices,
    /// The library defines no version.
    NoVersions,
    /// The library defines other versions.
    Undefined(&'a [Arc<str>]),
}

impl<'a> Trouble<'a> {
    fn of(need: &VersionNeed, closure: &'a Closure, contract: &Contract) -> Option<Self> {
        let library = &*need.library;
        match closure.member(library) {
            Some(Member::Own(_, neighbour)) => {
                let facts = neighbour.facts.as_ref().ok()?;
                let defined = &facts.version_definitions;
                if !facts.has_version_indices {
                    Some(Self::NoIndices)
                } else if defined.is_empty() {
                    Some(Self::NoVersions)
                } else if defined.contains(&need.version) {
                    None
                } else {
                    Some(Self::Undefined(defined))
                }
            }
            Some(Member::System(_)) => None,
            // Every process has these two, whoever needs them.
            None if library == "libc.so.6" || library == contract.target.loader => None,
            None if closure.lacks(library) || !closure.is_whole => None,
            None if contract.system_libraries.iter().any(|system| system == library) => {
                Some(Self::Underlinked)
            }
            None => Some(Self::NotNeeded),
        }
    }

    fn about(&self, need: &VersionNeed) -> Vec<About> {
        let message = self.message(need);
        match self {
            Self::Undefined(_) | Self::Underlinked => {
                let about = about_each(need, |name| format!("{name} {message}"));
                about.into_iter().map(|about| about.object(&need.library)).collect()
            }
            Self::NotNeeded | Self::NoIndices | Self::NoVersions => {
                let version = &*need.version;
                let symbol = match &need.symbols[..] {
                    [only] => Some(only.as_ref().to_owned()),
                    _ => None,
                };
                let message = format!("`{version}` {message}");
                vec![About { symbol, object: Some(need.library.to_string()), message }]
            }
        }
    }

    fn rule(&self) -> &'static Rule {
        match self {
            Self::Underlinked => &DYN_UNDERLINKED,
            _ => &DYN_VERSION_MISSING,
        }
    }

    fn severity(&self, need: &VersionNeed) -> Severity {
        match self {
            Self::NoVersions => Severity::Warning,
            Self::Undefined(_) if need.is_weak => Severity::Warning,
            Self::NotNeeded | Self::Underlinked | Self::NoIndices | Self::Undefined(_) => {
                Severity::Error
            }
        }
    }

    fn message(&self, need: &VersionNeed) -> String {
        let VersionNeed { library, version, .. } = need;
        match self {
            Self::NotNeeded => format!(
                "is wanted of {library}, which is not needed: the loader ends the process where \
                 nothing else brought it"
            ),
            Self::Underlinked => format!(
                "is wanted in {version} of {library}, which is not needed: the loader ends the \
                 process where nothing else brought it"
            ),
            Self::NoIndices => format!(
                "is wanted of {library}, which has no symbol versions at all: the loader ends the \
                 process"
            ),
            Self::NoVersions => format!(
                "is wanted of {library}, which defines no versions: the loader warns and takes \
                 what has the right name"
            ),
            Self::Undefined(defined) => {
                let defined = name_some(defined.iter().map(|name| &**name), MOST_NAMED);
                format!("is wanted in {version} of {library}, which defines only {defined}")
            }
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::NotNeeded | Self::Underlinked => {
                "link against that library, so that it is in DT_NEEDED"
            }
            _ => "link again against the library that is there, or bring the one it was linked to",
        }
    }
}
