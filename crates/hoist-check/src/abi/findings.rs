//! The findings about two builds.

use std::collections::{BTreeMap, BTreeSet};

use hoist_elf::debug::HeaderTypes;
use hoist_elf::{ElfFacts, Place, Symbol};
use hoist_schema::{Finding, Severity};

use super::Comparison;
use super::builds::{Build, Known, is_text};
use super::exports::{Changes, kind_of};
use super::layout::Subject;
use super::names::{demangle, is_copied, is_of_runtime, quoted, without_parameters};
use super::reach::Reach;
use super::relate::{Mismatch, Sides};
use super::renames::NewNames;
use super::visible::visible_structs;
use crate::contract::Contract;
use crate::report::{About, Judge, name_some};
use crate::rule::{
    ABI_ADDED, ABI_ENUM_CHANGED, ABI_KIND_CHANGED, ABI_LAYOUT_CHANGED, ABI_REMOVED,
    ABI_SIGNATURE_CHANGED, ABI_SIZE_CHANGED, ABI_SONAME_CHANGED, ABI_UNVERIFIED,
    ABI_VERSION_REMOVED, Rule,
};

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

/// Collects what is found about the new build.
pub(super) struct Against<'a> {
    judge: Judge<'a>,
    /// What to do about a break.
    fix: String,
    /// Whether old callers would break.
    is_broken: bool,
}

impl<'a> Against<'a> {
    pub(super) fn new(
        file: &'a str,
        contract: &'a Contract,
        old: &ElfFacts,
        new: &ElfFacts,
    ) -> Self {
        Self { judge: Judge::new(file, contract), fix: fix(old, new), is_broken: false }
    }

    /// All findings, worst first.
    pub(super) fn finish(self) -> Vec<Finding> {
        self.judge.finish(None).findings
    }

    pub(super) fn added(&mut self, changes: &Changes<'_>) {
        let about = |symbol: &&Symbol| {
            About::symbol(&symbol.name, format!("{} is new", quoted(&symbol.name)))
        };
        let added: Vec<About> = changes.added.iter().map(about).collect();
        self.judge.report_each(&ABI_ADDED, &added, "");
    }

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

    pub(super) fn removed(&mut self, changes: &Changes<'_>, old: &Build, new: &Build) {
        let mut new_names = NewNames::new(changes, new);
        for symbol in &changes.removed {
            let severity = match (is_copied(symbol), is_of_runtime(&symbol.name)) {
                (true, true) => continue,
                (true, false) => Severity::Warning,
                (false, _) => Severity::Error,
            };
            let what = match new_names.of(symbol, old) {
                Some(other) => {
                    format!("is no longer exported; renamed to {}?", quoted(&other.name))
                }
                None => "is no longer exported".to_owned(),
            };
            self.report(severity, &ABI_REMOVED, &symbol.name, "", &what);
        }
    }

    pub(super) fn versions_removed(&mut self, changes: &Changes<'_>, new: &ElfFacts) {
        let has_versions = new.exports().any(|symbol| symbol.version.is_some());
        let removed: BTreeSet<&str> =
            changes.version_removed.iter().map(|symbol| &*symbol.name).collect();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for symbol in new.exports().filter(|symbol| removed.contains(&*symbol.name)) {
            versions.entry(&symbol.name).or_default().extend(symbol.version.as_deref());
        }
        let now: BTreeMap<&str, String> = versions
            .into_iter()
            .map(|(name, versions)| {
                let has_none = versions.is_empty();
                let named = || format!("in {}", name_some(versions.into_iter(), 3));
                (name, if has_none { "without one".to_owned() } else { named() })
            })
            .collect();
        for symbol in &changes.version_removed {
            let version = symbol.version.as_deref().unwrap_or_default();
            let now = now.get(&*symbol.name).map_or("without one", String::as_str);
            let what = format!("is no longer exported in version `{version}`, but {now}");
            // The loader takes a library without versions for one that has them all.
            let severity = if has_versions { Severity::Error } else { Severity::Warning };
            self.report(severity, &ABI_VERSION_REMOVED, &symbol.name, version, &what);
        }
    }

    pub(super) fn kinds_and_sizes(&mut self, changes: &Changes<'_>, old: &Build) {
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
            // Texts are read up to their end, and tables of virtual functions from their start.
            let is_text = old.info.as_ref().is_ok_and(|info| is_text(info, before));
            let has_grown = name.starts_with("_ZTV") && sizes.1 > sizes.0;
            let severity = if is_text || has_grown || is_copied(before) {
                Severity::Warning
            } else {
                Severity::Error
            };
            let what = format!("had {} bytes and has {}", sizes.0, sizes.1);
            self.report(severity, &ABI_SIZE_CHANGED, name, "", &what);
        }
    }

    pub(super) fn types(
        &mut self,
        changes: &Changes<'_>,
        (old, new): (Known<'_>, Known<'_>),
        contract: &Contract,
        comparison: &mut Comparison,
    ) {
        let sides = Sides { left: old.types(), right: new.types(), is_header: false };
        let visible = contract.header.as_ref().map(|header| {
            let exports = changes.kept.iter().map(|(_, after)| *after);
            visible_structs(&HeaderTypes::new(header), new, exports)
        });
        let is_visible = |name: &str| visible.as_ref().is_none_or(|visible| visible.contains(name));
        let mut reach = Reach::new(sides, &is_visible);
        let mut only_old: Vec<&str> = Vec::new();
        for (number, &(before, after)) in changes.kept.iter().enumerate() {
            let mut pairs = Vec::new();
            if let (Some(left), Some(right)) = (old.function(before), new.function(after)) {
                let found = sides.relate_signatures(left, right, &mut pairs);
                let name = demangle(&before.name);
                let name = name.as_deref().map_or(&*before.name, without_parameters);
                let both = format!(
                    "was `{}` and is `{}`",
                    sides.left.spell_function(left, name),
                    sides.right.spell_function(right, name)
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
            let message = "there are too many types or differences: some were left out";
            self.judge.report(&ABI_UNVERIFIED, message, "");
        }
        for (side, known) in [("old", old), ("new", new)] {
            if let Some(damage) = known.damage() {
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

    /// - `has_headers`: whether types were compared all the same, as the headers declare them.
    pub(super) fn unverified(
        &mut self,
        sides: &[(&str, &Build); 2],
        changes: &Changes<'_>,
        has_headers: bool,
    ) {
        if changes.kept.is_empty() {
            return;
        }
        let why: Vec<String> = sides
            .iter()
            .filter_map(|(side, build)| {
                let why = build.info.as_ref().err()?;
                Some(format!("{side} build: {why}"))
            })
            .collect();
        let why = why.join("; ");
        let fix = "compile both with `-g` and compare them before `strip`";
        if has_headers {
            let message = format!("types were compared as the two headers declare them; {why}");
            self.judge.report_as(Severity::Info, &ABI_UNVERIFIED, message, fix);
        } else {
            let message = format!("names were compared, types were not; {why}");
            self.judge.report(&ABI_UNVERIFIED, message, fix);
        }
    }

    pub(super) fn soname(&mut self, old: &ElfFacts, new: &ElfFacts) {
        let Some(before) = &old.dynamic.soname else { return };
        let now = match &new.dynamic.soname {
            Some(after) if after == before => return,
            Some(after) => format!("`{after}` is its SONAME, was `{before}`"),
            None => format!("it has no SONAME, had `{before}`"),
        };
        let (why, fix) = if self.is_broken {
            (
                "which keeps them from breaking",
                "ship the old library as well, or link callers again",
            )
        } else {
            ("although they would work with it", "keep the old SONAME: nothing is broken")
        };
        let message = format!("{now}; programs linked with the old one will not load it, {why}");
        self.judge.report(&ABI_SONAME_CHANGED, message, fix).object(before);
    }
}
