//! What happens to a process that loads the library.

use std::collections::BTreeSet;

use hoist_elf::{ElfFacts, SegmentKind};
use hoist_schema::Severity;

use crate::report::{About, Judge};
use crate::rule::{DYN_INTERPOSE, DYN_SONAME, DYN_TLS_STATIC, LOAD_CONSTRUCTOR};
use crate::system::{SystemDefinition, SystemSymbols};

/// Bytes of static thread-local storage that glibc keeps for all libraries that are loaded later,
/// unless the tunable `glibc.rtld.optional_static_tls` says otherwise.
pub(crate) const STATIC_TLS_RESERVE_BYTES: u64 = 512;

/// Libraries whose functions every other library calls by their plain names.
const C_LIBRARIES: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Starts of the names of libstdc++ and libgcc that one library of a process defines for all:
/// `operator new` and `delete`, exceptions, unwinding. Its other names are templates and inline
/// functions, of which every library has its own copies.
const ONE_FOR_ALL: [&str; 13] = [
    "_Znw",
    "_Zna",
    "_Zdl",
    "_Zda",
    "_Unwind_",
    "__cxa_allocate_exception",
    "__cxa_begin_catch",
    "__cxa_end_catch",
    "__cxa_get_globals",
    "__cxa_rethrow",
    "__cxa_throw",
    "__gxx_personality",
    "__register_frame",
];

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts) {
    check_soname(judge, facts);
    check_static_tls(judge, facts);
    check_interposed(judge, facts);
    // One is the compiler's own and does nothing.
    if facts.dynamic.constructors > 1 {
        let message = format!("{} functions run when it is loaded", facts.dynamic.constructors);
        judge.report(&LOAD_CONSTRUCTOR, message, "");
    }
}

/// Finds exports that have the name of a function of the C or C++ library.
fn check_interposed(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let Some(system) = SystemSymbols::of(&judge.contract.target) else { return };
    // The system's own libraries define what they define.
    if facts.dynamic.soname.as_ref().is_some_and(|soname| system.knows(soname)) {
        return;
    }
    let names: BTreeSet<&str> = facts.exports().map(|symbol| &*symbol.name).collect();
    let is_plain = |name: &str, found: &SystemDefinition| {
        !found.is_hidden
            && (C_LIBRARIES.contains(&found.library)
                || ONE_FOR_ALL.iter().any(|start| name.starts_with(start)))
    };
    let interposed: Vec<About> = system
        .find(&names)
        .into_iter()
        .filter_map(|(name, found)| {
            let library = found.iter().find(|found| is_plain(name, found))?.library;
            let message = format!("`{name}` is exported and may take the place of {library}'s");
            Some(About::symbol(name, message).object(library))
        })
        .collect();
    let fix = "hide it (`static`, `-fvisibility=hidden` or a version script) or call it otherwise";
    judge.report_each(&DYN_INTERPOSE, &interposed, fix);
}

fn check_soname(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let Some(wanted) = &judge.contract.soname else { return };
    let fix = format!("link with `-Wl,-soname,{wanted}`");
    match &facts.dynamic.soname {
        Some(soname) if soname == wanted => {}
        Some(soname) => {
            let message = format!("`{soname}` is its SONAME, asked is `{wanted}`");
            judge.report(&DYN_SONAME, message, fix);
        }
        None => {
            judge.report(&DYN_SONAME, format_args!("it has no SONAME, asked is `{wanted}`"), fix);
        }
    }
}

fn check_static_tls(judge: &mut Judge<'_>, facts: &ElfFacts) {
    if !facts.dynamic.uses_static_tls() {
        return;
    }
    let size = facts.segment(SegmentKind::Tls).map_or(0, |block| block.memory_size_bytes);
    if size == 0 {
        judge.report(
            &DYN_TLS_STATIC,
            "it reaches thread-local variables of other libraries through the static block \
             (DF_STATIC_TLS), and loads only where these have a place in it",
            "compile without `-ftls-model=initial-exec`; the default for `-fPIC` has no such limit",
        );
        return;
    }
    let severity =
        if size > STATIC_TLS_RESERVE_BYTES { Severity::Error } else { Severity::Warning };
    judge.report_as(
        severity,
        &DYN_TLS_STATIC,
        format_args!(
            "{size} bytes of thread-local variables must fit the static block, in which glibc keeps \
             about {STATIC_TLS_RESERVE_BYTES} bytes for all libraries loaded later"
        ),
        "compile without `-ftls-model=initial-exec`; the default for `-fPIC` has no such limit",
    );
}
