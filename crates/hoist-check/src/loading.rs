//! What happens to a process that loads the library.

use hoist_elf::{ElfFacts, SegmentKind};
use hoist_schema::Severity;

use crate::report::{About, Judge};
use crate::rule::{DYN_INTERPOSE, DYN_SONAME, DYN_TLS_STATIC, LOAD_CONSTRUCTOR};

/// Bytes of static thread-local storage that glibc keeps for all libraries that are loaded later,
/// unless the tunable `glibc.rtld.optional_static_tls` says otherwise.
const STATIC_TLS_RESERVE_BYTES: u64 = 512;

/// Functions of the C and C++ libraries that every other library calls.
const INTERPOSED: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "free",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "memcpy",
    "memmove",
    "memset",
    "strlen",
    "printf",
    "fprintf",
    "open",
    "close",
    "read",
    "write",
    "mmap",
    "exit",
    "abort",
    "getenv",
    "setenv",
    "signal",
    "sigaction",
    "pthread_create",
    "dlopen",
    "dlsym",
    "__cxa_throw",
    "_Znwm",
    "_Znam",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
];

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts) {
    check_soname(judge, facts);
    check_static_tls(judge, facts);
    let interposed: Vec<About> = facts
        .exports()
        .filter(|symbol| INTERPOSED.contains(&&*symbol.name))
        .map(|symbol| {
            let name = &symbol.name;
            let message =
                format!("`{name}` is exported and may take the system's place for the process");
            About::symbol(name, message)
        })
        .collect();
    let fix = "hide it (`static`, `-fvisibility=hidden` or a version script) or call it otherwise";
    judge.report_each(&DYN_INTERPOSE, &interposed, fix);
    // One is the compiler's own and does nothing.
    if facts.dynamic.constructors > 1 {
        let message = format!("{} functions run when it is loaded", facts.dynamic.constructors);
        judge.report(&LOAD_CONSTRUCTOR, message, "");
    }
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
    let Some(block) = facts.segment(SegmentKind::Tls) else { return };
    let size = block.memory_size_bytes;
    if !facts.dynamic.uses_static_tls() || size == 0 {
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
