//! Which library provides each symbol that a library wants.
//!
//! Source: glibc's `check_match`. A definition without a version serves every wanted version;
//! a wanted symbol without a version takes any definition.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::iter;

use hoist_elf::{DottedVersion, ElfFacts, Symbol, VersionNeed};
use hoist_schema::Severity;

use crate::closure::{Closure, Member};
use crate::contract::Contract;
use crate::floors::{PACKED_RELOCATIONS, hides_packed_relocations, is_above};
use crate::report::{About, Judge, name_some};
use crate::rule::{DYN_UNDEFINED, DYN_UNDERLINKED, DYN_VERSION_MISSING, Rule};
use crate::siblings::{Neighbour, is_strong_wish};
use crate::system::{SystemDefinition, SystemSymbols};
use crate::version_trouble::{self, MOST_NAMED};

/// The release in which glibc's libpthread, libdl, librt and libutil became part of its libc.
const MERGED: &str = "2.34";

const LINK_IT: &str = "link the library that defines it, so that it is in DT_NEEDED";
const LINK_WITH_DEFS: &str =
    "link the library that defines it; `-Wl,-z,defs` makes the linker say so";
const ANNOUNCE: &str =
    "link with `-Wl,-z,pack-relative-relocs`, which announces them, or do not pack them";
const LINK_AGAIN: &str =
    "link again against the library that is there, or bring the one it was linked to";

/// An answer about one symbol or version that is wanted.
pub(crate) struct Answer {
    pub(crate) severity: Severity,
    pub(crate) rule: &'static Rule,
    pub(crate) fix: &'static str,
    pub(crate) about: About,
}

/// Holds what the library wants, and what those want that come with it, against its closure.
pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
    let contract = judge.contract;
    let root = Wants::of_root(facts, contract);
    let others: Vec<Wants<'_>> =
        closure.own().filter_map(|(path, own)| Wants::of_other(path, own, contract)).collect();
    let all = || iter::once(&root).chain(&others);
    let system = SystemSymbols::of(&contract.target);
    let names: BTreeSet<&str> = all().flat_map(|wants| &wants.names).copied().collect();
    let is_known = |name: &str| system.is_some_and(|system| system.knows(name));
    let resolver = Resolver {
        closure,
        contract,
        root: exports_by_name(facts),
        system,
        by_system: match system {
            Some(system) if !names.is_empty() => system.find(&names),
            _ => BTreeMap::new(),
        },
        // A system library whose symbols are not known may define anything.
        is_open: closure.scope.iter().any(|member| match member {
            Member::System(name) => !is_known(name),
            Member::Own(..) => false,
        }),
    };
    for wants in all() {
        let answers = resolver.answers(wants);
        match wants.path {
            None => report(judge, &answers),
            Some(path) => report_through(judge, &answers, path),
        }
    }
}

/// Reports each answer about the checked library.
fn report(judge: &mut Judge<'_>, answers: &[Answer]) {
    for alike in answers.chunk_by(Answer::is_alike) {
        let [Answer { severity, rule, fix, .. }, ..] = alike else { continue };
        judge.report_each_as(*severity, rule, alike.iter().map(|answer| &answer.about), fix);
    }
}

/// Reports the answers about a library that comes with it, one for all that are alike: where it is
/// checked itself, each has a finding.
fn report_through(judge: &mut Judge<'_>, answers: &[Answer], path: &str) {
    for alike in answers.chunk_by(Answer::is_alike) {
        let [Answer { severity, rule, fix, about }, more @ ..] = alike else { continue };
        let more = match more.len() {
            0 => String::new(),
            more => format!(", and {more} more like this"),
        };
        let about = About {
            message: format!("{} (in `{path}`{more})", about.message),
            symbol: about.symbol.clone(),
            object: about.object.clone(),
        };
        judge.report_each_as(*severity, rule, iter::once(&about), fix);
    }
}

impl Answer {
    fn is_alike(&self, other: &Self) -> bool {
        self.rule == other.rule && self.severity == other.severity && self.fix == other.fix
    }

    fn of(rule: &'static Rule, fix: &'static str, about: About) -> Self {
        Self { severity: rule.severity, rule, fix, about }
    }
}

/// What one library wants.
struct Wants<'a> {
    /// Where it lies; absent for the checked library itself.
    path: Option<&'a str>,
    facts: &'a ElfFacts,
    /// The symbols that somebody must provide.
    names: BTreeSet<&'a str>,
}

impl<'a> Wants<'a> {
    fn of_root(facts: &'a ElfFacts, contract: &Contract) -> Self {
        let own: HashSet<&str> = facts.exports().map(|symbol| &*symbol.name).collect();
        let wanted = facts.symbols.iter().filter(|symbol| is_strong_wish(symbol));
        let names = wanted.map(|symbol| &*symbol.name).filter(|name| !own.contains(name));
        Self { path: None, facts, names: of_others(names, contract) }
    }

    fn of_other(path: &'a str, library: &'a Neighbour, contract: &Contract) -> Option<Self> {
        let facts = library.facts.as_ref().ok()?;
        Some(Self { path: Some(path), facts, names: of_others(library.wanted(), contract) })
    }
}

/// The names that neither the host process provides nor the contract promises: a promised one has a
/// finding of its own.
fn of_others<'a>(names: impl Iterator<Item = &'a str>, contract: &Contract) -> BTreeSet<&'a str> {
    let promised: HashSet<&str> =
        contract.exports.iter().map(|promised| promised.name.as_str()).collect();
    let is_of_host =
        |name: &str| contract.host_symbols.iter().any(|start| name.starts_with(&**start));
    names.filter(|name| !promised.contains(name) && !is_of_host(name)).collect()
}

fn exports_by_name(facts: &ElfFacts) -> HashMap<&str, Vec<&Symbol>> {
    let mut by_name: HashMap<&str, Vec<&Symbol>> = HashMap::new();
    for symbol in facts.exports() {
        by_name.entry(&symbol.name).or_default().push(symbol);
    }
    by_name
}

/// Packed relocations that a library does not announce, as the loader asks of all that want versions
/// of the C library.
fn unannounced_relocations(facts: &ElfFacts) -> Option<Answer> {
    let wants_libc = facts.version_needs.iter().any(|need| &*need.library == "libc.so.6");
    (wants_libc && hides_packed_relocations(facts)).then(|| {
        let message = format!(
            "its relocations are packed (DT_RELR), but `{PACKED_RELOCATIONS}` is not wanted of \
             libc.so.6: glibc 2.36 and newer refuse it, older ones leave its pointers as they are"
        );
        let object = Some(PACKED_RELOCATIONS.to_owned());
        Answer::of(&DYN_VERSION_MISSING, ANNOUNCE, About { symbol: None, object, message })
    })
}

/// Finds who provides a symbol.
struct Resolver<'a> {
    closure: &'a Closure,
    contract: &'a Contract,
    /// What the checked library itself exports, by name, in its versions.
    root: HashMap<&'a str, Vec<&'a Symbol>>,
    system: Option<SystemSymbols>,
    /// What the system libraries define under each wanted name, in the closure or not.
    by_system: BTreeMap<&'a str, Vec<SystemDefinition>>,
    /// Whether the closure has a library that may define anything.
    is_open: bool,
}

impl<'a> Resolver<'a> {
    /// What there is to say about one library, answers that are alike beside each other.
    fn answers(&self, wants: &Wants<'a>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let needs = &wants.facts.version_needs;
        let said = version_trouble::check(needs, self.closure, self.contract, &mut answers);
        answers.extend(unannounced_relocations(wants.facts));
        let others = needs.iter().filter(|need| !said.contains(&(&*need.library, &*need.version)));
        self.check_versioned(wants, others, &mut answers);
        if self.closure.is_whole && !self.is_open {
            self.check_plain(wants, &mut answers);
        }
        answers.sort_by_key(|answer| (answer.rule.id, Reverse(answer.severity), answer.fix));
        answers
    }

    /// Checks the symbols that are wanted in a version.
    fn check_versioned(
        &self,
        wants: &Wants<'a>,
        needs: impl Iterator<Item = &'a VersionNeed>,
        answers: &mut Vec<Answer>,
    ) {
        for need in needs {
            let Some(member) = self.closure.member(&need.library) else { continue };
            // That the oldest target lacks it is said already.
            if is_above(need, self.contract) || !self.is_known(member, &need.version) {
                continue;
            }
            for name in need.symbols.iter().filter(|name| wants.names.contains(&***name)) {
                if !self.provides(name, &need.version) {
                    answers.push(self.without_version(name, need, member));
                }
            }
        }
    }

    /// Why nothing provides a symbol in a version.
    fn without_version(&self, name: &str, need: &VersionNeed, member: &Member) -> Answer {
        let VersionNeed { library, version, .. } = need;
        let is_elsewhere = |found: &&SystemDefinition| {
            found.version == Some(&**version) && found.library != &**library
        };
        if let Some(found) = self.by_system(name).iter().find(is_elsewhere) {
            return self.offer(name, found);
        }
        let others = self.versions_of(name, member);
        let others = if others.is_empty() {
            "which does not define it".to_owned()
        } else {
            let others = name_some(others.iter().map(String::as_str), MOST_NAMED);
            format!("which defines it only in {others}")
        };
        let message = format!("`{name}` is wanted in {version} of {library}, {others}");
        let about = About::symbol(name, message).object(library);
        // The loader looks for the version first, then for the symbol.
        let has_version = match member {
            Member::Own(..) => true, // or it was said already
            Member::System(_) => {
                self.system.is_some_and(|system| system.defines_version(library, version))
            }
        };
        let rule = if has_version { &DYN_UNDEFINED } else { &DYN_VERSION_MISSING };
        Answer::of(rule, LINK_AGAIN, about)
    }

    /// Checks the symbols that are wanted in no version: anybody may define them.
    ///
    /// The system libraries give every symbol a version, and linking against them records it. So
    /// one without a version comes from the artifact's own libraries, or was linked against nothing.
    fn check_plain(&self, wants: &Wants<'a>, answers: &mut Vec<Answer>) {
        let plain = wants.facts.symbols.iter().filter(|symbol| symbol.version.is_none());
        let plain = plain.filter(|symbol| is_strong_wish(symbol));
        for name in plain.map(|symbol| &*symbol.name).filter(|name| wants.names.contains(name)) {
            let by_system = self.by_system(name);
            let merged = self.before_merge(name, by_system);
            let is_own = self.own_definitions(name).next().is_some();
            if is_own || (merged.is_none() && by_system.iter().any(|found| self.has(found))) {
                continue;
            }
            // GLIBC_PRIVATE is no offer.
            let offer = by_system.iter().find(|found| found.version != Some("GLIBC_PRIVATE"));
            answers.push(match (merged, offer) {
                (Some(reason), _) => {
                    let about = About::symbol(name, format!("`{name}` {reason}"));
                    Answer::of(&DYN_UNDERLINKED, LINK_IT, about)
                }
                (None, Some(offer)) => self.offer(name, offer),
                (None, None) => {
                    let message =
                        format!("`{name}` is wanted, but nothing that it needs provides it");
                    Answer::of(&DYN_UNDEFINED, LINK_WITH_DEFS, About::symbol(name, message))
                }
            });
        }
    }

    /// A library that is not needed has the symbol.
    fn offer(&self, name: &str, offer: &SystemDefinition) -> Answer {
        let library = offer.library;
        let is_everywhere = library == "libc.so.6" || library == self.contract.target.loader;
        let (severity, luck) = if is_everywhere {
            let luck = "every process has that, but which version it gets is left open";
            (Severity::Warning, luck)
        } else {
            (DYN_UNDERLINKED.severity, "it works only where something else brought that")
        };
        let message = format!("`{name}` is in {library}, which is not needed: {luck}");
        let about = About::symbol(name, message).object(library);
        Answer { severity, rule: &DYN_UNDERLINKED, fix: LINK_IT, about }
    }

    /// What the system libraries define under a name, in the closure or not.
    fn by_system(&self, name: &str) -> &[SystemDefinition] {
        self.by_system.get(name).map_or(&[], Vec::as_slice)
    }

    /// What the checked library and the artifact's own libraries define under a name.
    fn own_definitions(&self, name: &str) -> impl Iterator<Item = &'a Symbol> {
        let root = self.root.get(name).into_iter().flatten().copied();
        let others: Vec<&Symbol> =
            self.closure.own().flat_map(|(_, own)| own.exports(name)).collect();
        root.chain(others)
    }

    /// Whether the closure has the library of a definition.
    fn has(&self, found: &SystemDefinition) -> bool {
        matches!(self.closure.member(found.library), Some(Member::System(_)))
    }

    /// Whether anything in the closure defines `name` in `version`, or without any.
    fn provides(&self, name: &str, version: &str) -> bool {
        let serves = |definition: &Symbol| match definition.version.as_deref() {
            Some(defined) => defined == version,
            None => !definition.is_version_hidden,
        };
        let is_it = |found: &SystemDefinition| self.has(found) && found.version == Some(version);
        self.own_definitions(name).any(serves) || self.by_system(name).iter().any(is_it)
    }

    /// Whether it is known what a library defines in a version.
    fn is_known(&self, member: &Member, version: &str) -> bool {
        match member {
            Member::Own(..) => self.closure.is_whole && !self.is_open,
            Member::System(library) => self.system.is_some_and(|system| {
                system.knows(library) && system.is_as_new_as(version) && version != "GLIBC_PRIVATE"
            }),
        }
    }

    /// The versions in which a library defines `name`.
    fn versions_of(&self, name: &str, member: &Member) -> Vec<String> {
        match member {
            Member::Own(_, neighbour) => {
                let versions = neighbour.exports(name).filter_map(|found| found.version.as_deref());
                versions.map(str::to_owned).collect()
            }
            Member::System(library) => {
                let found = self.by_system(name).iter().filter(|found| found.library == library);
                found.filter_map(|found| found.version).map(str::to_owned).collect()
            }
        }
    }

    /// Why a symbol is not in libc on the oldest target though it is in today's: it came there
    /// with [`MERGED`], from a library that is not needed.
    fn before_merge(&self, name: &str, by_system: &[SystemDefinition]) -> Option<String> {
        let merged: DottedVersion = MERGED.parse().ok()?;
        let oldest = self.contract.glibc.as_ref().filter(|oldest| **oldest < merged)?;
        // The one that was there before, and only changed.
        if name == "__libc_start_main" {
            return None;
        }
        let in_libc = || by_system.iter().filter(|found| found.library == "libc.so.6");
        let moved = in_libc().any(|found| found.version == Some("GLIBC_2.34") && !found.is_hidden)
            && in_libc().any(|found| found.is_hidden);
        let before = ["libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1"];
        let is_needed = before.iter().any(|name| self.closure.member(name).is_some());
        (moved && !is_needed).then(|| {
            format!(
                "is in libc only since glibc {MERGED}; the oldest target's {oldest} has it in \
                 libpthread, libdl, librt or libutil, of which none is needed"
            )
        })
    }
}
