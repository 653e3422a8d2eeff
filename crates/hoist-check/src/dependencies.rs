//! Needed libraries, where they are looked for, and the symbols they must provide.

use std::collections::BTreeSet;

use hoist_elf::{Binding, ElfFacts};

use crate::closure::{Closure, Missing, follow};
use crate::report::{About, Judge};
use crate::rule::{
    DYN_NEEDED_MISSING, DYN_NEEDED_PATH, DYN_RPATH_DEPRECATED, DYN_RUNPATH_LEAK,
    DYN_RUNPATH_RELATIVE, DYN_UNDEFINED,
};
use crate::siblings::{Siblings, normalize};

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, path: &str, siblings: &dyn Siblings) {
    for name in facts.dynamic.needed.iter().filter(|name| name.contains('/')) {
        judge
            .report(
                &DYN_NEEDED_PATH,
                format_args!("`{name}` is needed by its path, so RUNPATH is not searched for it"),
                "give that library a SONAME (`-Wl,-soname,NAME`) and link against it again",
            )
            .object(name);
    }
    for (tag, text) in [("RUNPATH", &facts.dynamic.runpath), ("RPATH", &facts.dynamic.rpath)] {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            check_search_path(judge, tag, text, facts.dynamic.needed.is_empty());
        }
    }
    if let Some(rpath) = &facts.dynamic.rpath {
        judge.report(
            &DYN_RPATH_DEPRECATED,
            format_args!("DT_RPATH `{rpath}` is searched before LD_LIBRARY_PATH and is inherited"),
            "link with `-Wl,--enable-new-dtags`, which writes DT_RUNPATH",
        );
    }
    let closure = follow(facts, path, judge.contract, siblings);
    for missing in &closure.missing {
        report_missing(judge, missing);
    }
    if closure.is_whole {
        check_undefined(judge, facts, &closure);
    }
}

fn check_search_path(judge: &mut Judge<'_>, tag: &str, text: &str, needs_nothing: bool) {
    for (index, entry) in text.split(':').enumerate() {
        if entry.is_empty() {
            judge.report(
                &DYN_RUNPATH_RELATIVE,
                format_args!(
                    "entry {index} of {tag} `{text}` is empty, which means the working directory"
                ),
                "remove the doubled, leading or trailing `:`",
            );
        } else if entry.starts_with('/') {
            let Some(prefix) = forbidden_prefix(&judge.contract.forbidden_paths, entry) else {
                continue;
            };
            let fix = if needs_nothing {
                "link without `-rpath`: it needs no library".to_owned()
            } else {
                "link with `-Wl,-rpath,'$ORIGIN'` and put what it needs beside it".to_owned()
            };
            judge.report(
                &DYN_RUNPATH_LEAK,
                format_args!(
                    "{tag} has `{entry}`, under `{prefix}`, which is a folder of the build machine"
                ),
                fix,
            );
        } else if !entry.starts_with('$') {
            judge.report(
                &DYN_RUNPATH_RELATIVE,
                format_args!(
                    "entry {index} of {tag}, `{entry}`, is relative to where the process was started"
                ),
                format_args!("write `$ORIGIN/{entry}`"),
            );
        }
    }
}

/// The forbidden folder that `entry` is or lies under.
pub(crate) fn forbidden_prefix<'a>(forbidden: &'a [String], entry: &str) -> Option<&'a String> {
    let entry = normalize(entry)?;
    forbidden.iter().find(|prefix| {
        normalize(prefix).is_some_and(|prefix| {
            let below = entry.strip_prefix(&prefix);
            !prefix.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    })
}

fn report_missing(judge: &mut Judge<'_>, missing: &Missing) {
    let Missing { name, needed_by, lies_beside } = missing;
    let through =
        if needed_by.is_empty() { String::new() } else { format!(" through `{needed_by}`") };
    let message = if *lies_beside {
        format!("`{name}` is needed{through} and lies beside it, but RUNPATH does not lead there")
    } else {
        format!(
            "`{name}` is needed{through}, but is neither in the artifact where the loader looks \
             nor on every target"
        )
    };
    let fix = if *lies_beside {
        "link with `-Wl,-rpath,'$ORIGIN'`"
    } else {
        "put it into the artifact and link with `-Wl,-rpath,'$ORIGIN'`, or link it statically"
    };
    judge.report(&DYN_NEEDED_MISSING, message, fix).object(name);
}

/// Reports strong symbols that nothing provides.
///
/// The system libraries give every symbol a version, and linking against them records it. So a
/// symbol without a version comes from the artifact's own libraries, whose exports are known, or
/// from nowhere.
fn check_undefined(judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
    let own: BTreeSet<&str> = facts.exports().map(|symbol| &*symbol.name).collect();
    let contract = judge.contract;
    let undefined: Vec<About> = facts
        .symbols
        .iter()
        .filter(|symbol| {
            let name = &*symbol.name;
            let is_of_host =
                contract.host_symbols.iter().any(|start| name.starts_with(start.as_str()));
            // A promised one has a finding of its own.
            let is_promised = contract.exports.iter().any(|promised| promised.name == name);
            !symbol.is_defined()
                && symbol.binding == Binding::Global
                && symbol.version.is_none()
                && !own.contains(name)
                && !closure.provided.contains(&symbol.name)
                && !is_of_host
                && !is_promised
        })
        .map(|symbol| {
            let name = &symbol.name;
            let message = format!("`{name}` is wanted, but nothing that it needs provides it");
            About::symbol(name, message)
        })
        .collect();
    let fix = "link the library that defines it; `-Wl,-z,defs` makes the linker say so";
    judge.report_each(&DYN_UNDEFINED, &undefined, fix);
}
