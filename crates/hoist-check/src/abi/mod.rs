//! Whether programs that were compiled for one build of a library can use another.
//!
//! Exports are compared by name, version, kind and size; with debug information on both sides,
//! also the signatures of functions and every type that they lead to, by value or behind a
//! pointer. A struct that the contract's header only declares may change: callers cannot look
//! into it.

mod exports;
mod layout;
mod names;
mod reach;
mod relate;

pub(crate) use layout::Subject;
pub(crate) use reach::Reach;
pub(crate) use relate::{Mismatch, Sides};

use hoist_elf::debug::{DebugError, DebugInfo, DebugSummary, Type, debug_summary, read_debug_info};
use hoist_elf::{ElfError, ElfFacts, Place, Symbol};
use hoist_schema::{Finding, Severity};

use crate::check::Candidate;
use crate::contract::Contract;
use crate::report::{About, Judge, name_some};
use crate::rule::{
    ABI_ADDED, ABI_ENUM_CHANGED, ABI_KIND_CHANGED, ABI_LAYOUT_CHANGED, ABI_REMOVED,
    ABI_SIGNATURE_CHANGED, ABI_SIZE_CHANGED, ABI_SONAME_CHANGED, ABI_UNVERIFIED,
    ABI_VERSION_REMOVED, Rule,
};
use crate::tree::TreeError;
use exports::{Changes, kind_of};
use names::{demangle, is_copied, is_of_runtime, quoted, without_parameters};

/// How two builds of a library compare.
#[derive(Debug)]
pub struct Comparison {
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Exports that both builds have.
    pub exports: usize,
    /// Functions and variables of which both builds say the type.
    pub described: usize,
    /// Pairs of structs, enums and callbacks that were compared.
    pub types: usize,
}

impl Comparison {
    /// Whether programs that use the old build can use the new one, as far as could be seen: no
    /// finding is an error.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

/// Why two builds cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A file that cannot be read.
    #[error(transparent)]
    Read(#[from] TreeError),

    /// The new build gives no facts; checking it alone says more.
    #[error("the new build cannot be read")]
    New(#[source] ElfError),

    /// The old build gives no facts.
    #[error("the old build cannot be read")]
    Old(#[source] ElfError),

    /// Every size would differ.
    #[error("the two builds are for different machines")]
    OtherMachine,
}

/// Compares `new` with `old`, the build that programs were compiled for. Findings are about `new`.
///
/// # Errors
///
/// When one of them is no ELF file that could be loaded, or they are for different machines.
pub fn check_against(
    new: &Candidate<'_>,
    old: &Candidate<'_>,
    contract: &Contract,
) -> Result<Comparison, CompareError> {
    let new_facts = ElfFacts::read(new.bytes).map_err(CompareError::New)?;
    let old_facts = ElfFacts::read(old.bytes).map_err(CompareError::Old)?;
    let machine = |facts: &ElfFacts| {
        let identity = facts.identity;
        (identity.machine, identity.class, identity.endian)
    };
    if machine(&new_facts) != machine(&old_facts) {
        return Err(CompareError::OtherMachine);
    }
    let changes = Changes::between(&old_facts, &new_facts);
    let old = Build::read(old.bytes, &old_facts);
    let new_build = Build::read(new.bytes, &new_facts);
    let mut against = Against {
        judge: Judge::new(new.file, contract),
        fix: fix(&old_facts, &new_facts),
        is_broken: false,
    };
    against.removed(&changes, &old, &new_build);
    against.versions_removed(&changes, &new_facts);
    against.kinds_and_sizes(&changes, &old);
    let mut comparison =
        Comparison { findings: Vec::new(), exports: changes.kept.len(), described: 0, types: 0 };
    match (&old.info, &new_build.info) {
        (Ok(old_info), Ok(new_info)) => {
            against.types(&changes, old_info, new_info, contract, &mut comparison);
        }
        (old_info, new_info) => {
            let sides = [("old", old_info, &old.summary), ("new", new_info, &new_build.summary)];
            against.unverified(&sides, &changes);
        }
    }
    against.soname(&old_facts, &new_facts);
    let added: Vec<About> = changes
        .added
        .iter()
        .map(|symbol| About::symbol(&symbol.name, format!("{} is new", quoted(&symbol.name))))
        .collect();
    against.judge.report_each(&ABI_ADDED, &added, "");
    comparison.findings = against.judge.finish(None).findings;
    Ok(comparison)
}

/// One build and what it says about its types.
struct Build {
    info: Result<DebugInfo, DebugError>,
    summary: DebugSummary,
}

impl Build {
    fn read(bytes: &[u8], facts: &ElfFacts) -> Self {
        let info = read_debug_info(bytes, facts, |symbol| !is_copied(symbol));
        // Headers without contents, as after splitting, say nothing.
        let says_nothing = |info: &DebugInfo| {
            !facts
                .exports()
                .any(|symbol| info.function(symbol).is_some() || info.variable(symbol).is_some())
        };
        let info = match info {
            Ok(info) if says_nothing(&info) => Err(info.damage.unwrap_or(DebugError::Absent)),
            info => info,
        };
        Self { info, summary: debug_summary(bytes) }
    }
}

/// What to do about a break: undo it, or let old callers keep the old library.
fn fix(old: &ElfFacts, new: &ElfFacts) -> String {
    let undo = "keep the old form beside the new one";
    match (&old.dynamic.soname, &new.dynamic.soname) {
        (Some(before), Some(after)) if before == after => {
            format!(
                "{undo}; or bump the SONAME, now `{after}`, so that old callers keep the old library"
            )
        }
        (Some(_), _) => format!("{undo}; the SONAME differs already: ship the old library as well"),
        (None, _) => format!("{undo}; or give the library another name, which its callers choose"),
    }
}

struct Against<'a> {
    judge: Judge<'a>,
    fix: String,
    is_broken: bool,
}

impl Against<'_> {
    fn report(&mut self, severity: Severity, rule: &Rule, symbol: &str, object: &str, what: &str) {
        self.is_broken |= severity == Severity::Error;
        let fix = if severity == Severity::Info { "" } else { &*self.fix };
        let mut reported =
            self.judge.report_as(severity, rule, format_args!("{} {what}", quoted(symbol)), fix);
        reported = reported.symbol(symbol);
        if !object.is_empty() {
            reported.object(object);
        }
    }

    fn removed(&mut self, changes: &Changes<'_>, old: &Build, new: &Build) {
        for symbol in &changes.removed {
            let severity = match (is_copied(symbol), is_of_runtime(&symbol.name)) {
                (true, true) => continue,
                (true, false) => Severity::Warning,
                (false, _) => Severity::Error,
            };
            let what = match renamed_to(symbol, changes, old, new) {
                Some(other) => {
                    format!("is no longer exported; renamed to {}?", quoted(&other.name))
                }
                None => "is no longer exported".to_owned(),
            };
            self.report(severity, &ABI_REMOVED, &symbol.name, "", &what);
        }
    }

    fn versions_removed(&mut self, changes: &Changes<'_>, new: &ElfFacts) {
        let has_versions = new.exports().any(|symbol| symbol.version.is_some());
        for symbol in &changes.version_removed {
            let version = symbol.version.as_deref().unwrap_or_default();
            let now = new.exports().filter(|other| other.name == symbol.name);
            let now: Vec<&str> = now.filter_map(|other| other.version.as_deref()).collect();
            let what = if now.is_empty() {
                format!("is no longer exported in version `{version}`, but without one")
            } else {
                let now = name_some(now.into_iter(), 3);
                format!("is no longer exported in version `{version}`, but in {now}")
            };
            // The loader takes a library without versions for one that has them all.
            let severity = if has_versions { Severity::Error } else { Severity::Warning };
            self.report(severity, &ABI_VERSION_REMOVED, &symbol.name, version, &what);
        }
    }

    fn kinds_and_sizes(&mut self, changes: &Changes<'_>, old: &Build) {
        for &(before, after) in &changes.kept {
            let (Some(was), Some(is)) = (kind_of(before), kind_of(after)) else { continue };
            if was != is {
                let what = format!("was {was} and is {is}");
                self.report(Severity::Error, &ABI_KIND_CHANGED, &before.name, "", &what);
                continue;
            }
            let sizes = (before.size_bytes, after.size_bytes);
            let is_sized = before.place == Place::Data && sizes.0 > 0 && sizes.1 > 0;
            if !is_sized || sizes.0 == sizes.1 {
                continue;
            }
            let name = &*before.name;
            if name.starts_with("_ZTI") || name.starts_with("_ZTS") {
                continue;
            }
            // A longer text or table of virtual functions is as good to those who read the start.
            let is_text = old.info.as_ref().is_ok_and(|info| is_text(info, before));
            let may_grow = is_text || name.starts_with("_ZTV");
            let severity = if may_grow && sizes.1 > sizes.0 || is_copied(before) {
                Severity::Warning
            } else {
                Severity::Error
            };
            let what = format!("had {} bytes and has {}", sizes.0, sizes.1);
            self.report(severity, &ABI_SIZE_CHANGED, name, "", &what);
        }
    }

    fn types(
        &mut self,
        changes: &Changes<'_>,
        old: &DebugInfo,
        new: &DebugInfo,
        contract: &Contract,
        comparison: &mut Comparison,
    ) {
        let sides = Sides { left: &old.types, right: &new.types, checks_const: true };
        let is_opaque = |name: &str| is_opaque(contract, name);
        let mut reach = Reach::new(sides, &is_opaque);
        let mut only_old: Vec<&str> = Vec::new();
        for (number, &(before, after)) in changes.kept.iter().enumerate() {
            let mut pairs = Vec::new();
            if let (Some(left), Some(right)) = (old.function(before), new.function(after)) {
                let found = sides.relate_signatures(left, right, &mut pairs);
                let name = demangle(&before.name);
                let name = name.as_deref().map_or(&*before.name, without_parameters);
                let both = format!(
                    "was `{}` and is `{}`",
                    old.types.spell_function(left, name),
                    new.types.spell_function(right, name)
                );
                self.signature(before, &both, &found);
            } else if let (Some(left), Some(right)) = (old.variable(before), new.variable(after)) {
                let found = sides.relate(left, right, &mut pairs);
                let both = format!("as a variable, {}", sides.spell(left, right));
                // A size that differs was said already.
                if before.size_bytes == after.size_bytes {
                    self.signature(before, &both, found.as_slice());
                }
            } else {
                if old.function(before).is_some() {
                    only_old.push(&before.name);
                }
                continue;
            }
            comparison.described += 1;
            reach.add(number, pairs);
        }
        for reached in reach.differences() {
            let difference = &reached.difference;
            let (rule, verb) = match difference.subject {
                Subject::Layout => (&ABI_LAYOUT_CHANGED, "which is laid out otherwise"),
                Subject::Values => (&ABI_ENUM_CHANGED, "whose values are not the same"),
                Subject::Signature => (&ABI_SIGNATURE_CHANGED, "which is called otherwise"),
            };
            for (index, &export) in reached.exports.iter().enumerate() {
                let Some((symbol, _)) = changes.kept.get(export) else { continue };
                let what = format!(
                    "uses `{}`, {verb}: {}{}",
                    difference.spelled,
                    difference.what,
                    reached.and_others(index)
                );
                let name = &difference.name;
                self.report(difference.severity, rule, &symbol.name, name, &what);
            }
        }
        comparison.types = reach.compared();
        if reach.is_cut() {
            let message = "there are too many types: the first were compared, the others were not";
            self.judge.report(&ABI_UNVERIFIED, message, "");
        }
        for (side, info) in [("old", old), ("new", new)] {
            if let Some(damage) = &info.damage {
                let message = format!(
                    "some types were not compared: the {side} build's debug information is \
                     damaged: {damage}"
                );
                self.judge.report(&ABI_UNVERIFIED, message, "link it again");
            }
        }
        if !only_old.is_empty() {
            let names = name_some(only_old.into_iter(), 3);
            let message = format!("the new build does not say the types of {names}");
            let fix = "compile all of it with `-g`";
            self.judge.report_as(Severity::Info, &ABI_UNVERIFIED, message, fix);
        }
    }

    fn signature(&mut self, symbol: &Symbol, both: &str, found: &[Mismatch]) {
        let Some(severity) = found.iter().map(|mismatch| mismatch.severity).max() else { return };
        let what: Vec<&str> = found.iter().map(|mismatch| &*mismatch.what).collect();
        let what = format!("{both}: {}", what.join("; "));
        self.report(severity, &ABI_SIGNATURE_CHANGED, &symbol.name, "", &what);
    }

    fn unverified(
        &mut self,
        sides: &[(&str, &Result<DebugInfo, DebugError>, &DebugSummary); 2],
        changes: &Changes<'_>,
    ) {
        if changes.kept.is_empty() {
            return;
        }
        let why: Vec<String> = sides
            .iter()
            .filter_map(|(side, info, summary)| {
                let error = info.as_ref().err()?;
                Some(match &summary.link {
                    Some(link) => {
                        format!("the {side} build's debug information was moved to `{link}`")
                    }
                    None => format!("of the {side} build, {error}"),
                })
            })
            .collect();
        let message = format!("names were compared, types were not: {}", why.join(", and "));
        let fix = "compile both with `-g` and compare them before `strip`";
        self.judge.report(&ABI_UNVERIFIED, message, fix);
    }

    fn soname(&mut self, old: &ElfFacts, new: &ElfFacts) {
        let Some(before) = &old.dynamic.soname else { return };
        let now = match &new.dynamic.soname {
            Some(after) if after == before => return,
            Some(after) => format!("`{after}` is its SONAME, was `{before}`"),
            None => format!("it has no SONAME, had `{before}`"),
        };
        let (why, fix) = if self.is_broken {
            (
                "it must: old callers would not work",
                "ship the old library as well, or link callers again",
            )
        } else {
            ("although old callers would work", "keep the old SONAME: nothing is broken")
        };
        let message = format!("{now}; programs linked with the old one will not load it, {why}");
        self.judge.report(&ABI_SONAME_CHANGED, message, fix).object(before);
    }
}

/// Whether callers know no more of a struct than its name.
pub(crate) fn is_opaque(contract: &Contract, name: &str) -> bool {
    let structs = contract.header.iter().flat_map(|header| &header.structs);
    structs.filter(|layout| layout.name == name).any(|layout| layout.size == 0)
}

/// Whether a variable is an array of characters.
fn is_text(info: &DebugInfo, symbol: &Symbol) -> bool {
    let kind = info.variable(symbol).map(|kind| info.types.resolve(kind).1);
    match kind {
        Some(Type::Array { of, .. }) => info.types.size_bytes(*of) == Some(1),
        _ => false,
    }
}

/// Least likeness of names, from 0 to 1, at which one is offered as the other's new name.
const LEAST_LIKENESS: f64 = 0.7;

/// The same, for exports with the same signature and size.
const LEAST_LIKENESS_OF_TWINS: f64 = 0.3;

/// Most new exports among which a new name is looked for.
const MOST_LOOKED_AT: usize = 5000;

/// The new export that `symbol` may have become.
fn renamed_to<'f>(
    symbol: &Symbol,
    changes: &Changes<'f>,
    old: &Build,
    new: &Build,
) -> Option<&'f Symbol> {
    let plain = demangle(&symbol.name);
    let plain = plain.as_deref().map_or(&*symbol.name, without_parameters);
    let signature_of = |build: &Build, symbol: &Symbol| {
        let info = build.info.as_ref().ok()?;
        info.function(symbol).map(|signature| info.types.spell_function(signature, ""))
    };
    let signature = signature_of(old, symbol);
    let likeness = |other: &Symbol| {
        let other_plain = demangle(&other.name);
        let other_plain = other_plain.as_deref().map_or(&*other.name, without_parameters);
        let is_twin = symbol.size_bytes == other.size_bytes
            && signature.is_some()
            && signature == signature_of(new, other);
        let likeness = strsim::normalized_damerau_levenshtein(plain, other_plain);
        let least = if is_twin { LEAST_LIKENESS_OF_TWINS } else { LEAST_LIKENESS };
        (likeness >= least).then_some(likeness + f64::from(u8::from(is_twin)))
    };
    let likely = changes.added.iter().take(MOST_LOOKED_AT).filter_map(|&other| {
        (kind_of(other) == kind_of(symbol)).then(|| Some((likeness(other)?, other)))?
    });
    likely.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, other)| other)
}
