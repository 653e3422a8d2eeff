//! Needed libraries, and where they are looked for.

use hoist_elf::ElfFacts;
use hoist_schema::Severity;

use crate::closure::{Closure, Missing, Useless, follow};
use crate::contract::Contract;
use crate::report::{Judge, name_some};
use crate::resolve;
use crate::rule::{
    DYN_NEEDED_MISSING, DYN_NEEDED_PATH, DYN_RPATH_DEPRECATED, DYN_RUNPATH_LEAK,
    DYN_RUNPATH_RELATIVE,
};
use crate::search::{path_of_needed, starts_at_origin};
use crate::siblings::{Siblings, is_in_store, normalize, store_path_of};

/// Most folders that a message names.
const MOST_NAMED: usize = 4;

/// Most entries of a RUNPATH, and libraries needed by their paths, that are looked at.
const MOST_ENTRIES: usize = 128;

/// How much of a RUNPATH a message shows, in characters.
const MOST_SHOWN: usize = 200;

/// Folders of Python environments. A compiler that was installed by pip is in one.
const PYTHON_FOLDERS: [&str; 3] = ["site-packages", ".venv", "venv"];

/// Folders that some machines fill and others leave empty.
const LOCAL_FOLDERS: [&str; 2] = ["/opt", "/usr/local"];

/// Checks what the library needs and where that is looked for; returns what comes with it.
pub(crate) fn check(
    judge: &mut Judge<'_>,
    facts: &ElfFacts,
    path: &str,
    siblings: &dyn Siblings,
) -> Closure {
    let by_path = facts.dynamic.needed.iter().filter(|name| name.contains('/'));
    for name in by_path.take(MOST_ENTRIES) {
        check_needed_path(judge, name, path, siblings);
    }
    for (tag, text) in [("RUNPATH", &facts.dynamic.runpath), ("RPATH", &facts.dynamic.rpath)] {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            check_search_path(judge, tag, text, facts.dynamic.needed.is_empty(), siblings);
        }
    }
    if let Some(rpath) = &facts.dynamic.rpath {
        let effect = if facts.dynamic.runpath.is_some() {
            "is ignored beside DT_RUNPATH"
        } else {
            "is searched before LD_LIBRARY_PATH and is inherited"
        };
        judge.report(
            &DYN_RPATH_DEPRECATED,
            format_args!("DT_RPATH `{rpath}` {effect}"),
            "link with `-Wl,--enable-new-dtags`, which writes DT_RUNPATH",
        );
    }
    let closure = follow(facts, path, judge.contract, siblings);
    for missing in &closure.missing {
        report_missing(judge, missing);
    }
    resolve::check(judge, facts, &closure);
    closure
}

fn check_needed_path(judge: &mut Judge<'_>, name: &str, path: &str, siblings: &dyn Siblings) {
    const BY_NAME: &str =
        "give that library a SONAME (`-Wl,-soname,NAME`) and link against it again";
    let found = path_of_needed(name, path, judge.contract.target.machine)
        .filter(|path| siblings.read(path).is_some());
    let (severity, message, fix) = match found {
        Some(found) if is_in_store(&found) => (
            Severity::Warning,
            format!("`{name}` is needed by its path in the store, so nothing can take its place"),
            BY_NAME,
        ),
        Some(found) => (
            Severity::Warning,
            format!("`{name}` is needed by its path, which leads to `{found}`"),
            BY_NAME,
        ),
        None => {
            let means = if name.starts_with('/') {
                "which is another file on every machine, or none"
            } else {
                "which starts where the process was started"
            };
            let message = format!("`{name}` is needed by its path, {means}");
            (DYN_NEEDED_PATH.severity, message, BY_NAME)
        }
    };
    judge.report_as(severity, &DYN_NEEDED_PATH, message, fix).object(name);
}

fn check_search_path(
    judge: &mut Judge<'_>,
    tag: &str,
    text: &str,
    needs_nothing: bool,
    siblings: &dyn Siblings,
) {
    let shown: String = text.chars().take(MOST_SHOWN).collect();
    for (index, entry) in text.split(':').enumerate().take(MOST_ENTRIES) {
        if entry.is_empty() {
            judge.report(
                &DYN_RUNPATH_RELATIVE,
                format_args!(
                    "entry {index} of {tag} `{shown}` is empty, which means the working directory"
                ),
                "remove the doubled, leading or trailing `:`",
            );
        } else if entry.starts_with('/') {
            let Some((severity, why)) = leak(judge.contract, entry, siblings) else { continue };
            let fix = if needs_nothing {
                "link without `-rpath`: it needs no library".to_owned()
            } else {
                "link with `-Wl,-rpath,'$ORIGIN'` and put what it needs beside it".to_owned()
            };
            let message = format!("{tag} has `{entry}`, {why}");
            judge.report_as(severity, &DYN_RUNPATH_LEAK, message, fix).object(entry);
        } else if !starts_at_origin(entry) {
            judge
                .report(
                    &DYN_RUNPATH_RELATIVE,
                    format_args!(
                        "entry {index} of {tag}, `{entry}`, is relative to where the process was started"
                    ),
                    if entry.starts_with('$') {
                        "begin it with `$ORIGIN`; no other token stands for an absolute path".to_owned()
                    } else {
                        format!("write `$ORIGIN/{entry}`")
                    },
                )
                .object(entry);
        }
    }
}

/// Why a folder, an absolute path, is one of the build machine alone; `None` when it is none.
pub(crate) fn of_build_machine(contract: &Contract, folder: &str) -> Option<String> {
    if let Some(prefix) = forbidden_prefix(&contract.forbidden_paths, folder) {
        return Some(format!("under `{prefix}`, which is a folder of the build machine"));
    }
    let part = folder.split('/').find(|part| PYTHON_FOLDERS.contains(part))?;
    Some(format!("in `{part}` of a Python environment of the build machine"))
}

/// Why an absolute entry of a RUNPATH should not be there, and how bad that is.
fn leak(contract: &Contract, entry: &str, siblings: &dyn Siblings) -> Option<(Severity, String)> {
    let below = format!("/{}", normalize(entry).unwrap_or_default());
    if let Some(why) = of_build_machine(contract, &below) {
        return Some((DYN_RUNPATH_LEAK.severity, why));
    }
    if is_in_store(&below) {
        let path = store_path_of(&below)?;
        let why = "a store path that is not there: nothing keeps it or brings it along".to_owned();
        // What is needed and only there is missing, which is an error of its own.
        return (!siblings.holds(path)).then_some((Severity::Info, why));
    }
    let local = LOCAL_FOLDERS.iter().find(|folder| is_under(&below, folder))?;
    let why = format!("under `{local}`, where every machine has something else");
    Some((Severity::Info, why))
}

/// The forbidden folder that `entry` is or lies under.
pub(crate) fn forbidden_prefix<'a>(forbidden: &'a [String], entry: &str) -> Option<&'a String> {
    forbidden.iter().find(|prefix| {
        normalize(prefix)
            .is_some_and(|prefix| !prefix.is_empty() && is_under(entry, &format!("/{prefix}")))
    })
}

fn is_under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn report_missing(judge: &mut Judge<'_>, missing: &Missing) {
    let Missing { name, needed_by, lies_beside, searched, leads_out, found } = missing;
    let through =
        if needed_by.is_empty() { String::new() } else { format!(" through `{needed_by}`") };
    let (message, fix) = if name.is_empty() {
        (
            format!("an empty name is in DT_NEEDED{through}, which is the name of no library"),
            "link it again; the SONAME of a library that it was linked to was empty",
        )
    } else if let Some(Useless::Broken(path, why)) = found {
        (
            format!(
                "`{name}` is needed{through} and found at `{path}`, but cannot be loaded: {why}"
            ),
            "put the library itself there, whole; a linker script or a stub is for the linker only",
        )
    } else if let Some(Useless::ForAnother(path, identity)) = found {
        (
            format!(
                "`{name}` is needed{through}, but `{path}` is {} {}, so the loader passes it over",
                identity.class, identity.machine
            ),
            "put the library for the target's machine there",
        )
    } else if *lies_beside {
        (
            format!(
                "`{name}` is needed{through} and lies beside it, but RUNPATH does not lead there"
            ),
            "link with `-Wl,-rpath,'$ORIGIN'`",
        )
    } else if let Some(entry) = leads_out {
        (
            format!(
                "`{name}` is needed{through}, and the search path has `{entry}`, which leads out of \
                 what is checked"
            ),
            "check the folder above, which holds both; an artifact must hold all that it needs",
        )
    } else {
        let looked = if searched.is_empty() {
            "no RUNPATH leads into the artifact".to_owned()
        } else {
            let shown = searched.iter().map(|folder| if folder.is_empty() { "." } else { folder });
            format!("the loader looks in {}", name_some(shown, MOST_NAMED))
        };
        (
            format!(
                "`{name}` is needed{through}, but lies neither where the loader looks nor on every \
                 target: {looked}"
            ),
            "put it into the artifact and link with `-Wl,-rpath,'$ORIGIN'`, or link it statically",
        )
    };
    judge.report(&DYN_NEEDED_MISSING, message, fix).object(name);
}
