//! What makes an attack on the process easier, or the loader refuse the library.

use hoist_elf::{ElfFacts, Machine, SegmentKind};

use crate::report::Judge;
use crate::rule::{
    HARDEN_BIND_NOW, HARDEN_EXECSTACK, HARDEN_GNU_STACK_MISSING, HARDEN_RELRO, HARDEN_TEXTREL,
    HARDEN_WX_SEGMENT,
};

/// Machines on which a library that says nothing gets an executable stack.
///
/// Source: `DEFAULT_STACK_PERMS` in glibc's `sysdeps/*/stackinfo.h`.
const EXECUTABLE_BY_DEFAULT: [Machine; 4] =
    [Machine::X86_64, Machine::I386, Machine::ARM, Machine::S390];

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let note = "add `.section .note.GNU-stack,\"\",@progbits` to every assembly file, or link with \
                `-Wl,-z,noexecstack`";
    match facts.segment(SegmentKind::GnuStack) {
        Some(stack) if stack.is_executable() => {
            judge.report(
                &HARDEN_EXECSTACK,
                "it asks for an executable stack; glibc 2.41 and later refuse to load it",
                note,
            );
        }
        None if EXECUTABLE_BY_DEFAULT.contains(&facts.identity.machine) => {
            judge.report(
            &HARDEN_GNU_STACK_MISSING,
            "it has no PT_GNU_STACK, which means an executable stack; glibc 2.41 and later refuse \
             to load it",
            note,
        );
        }
        _ => {}
    }
    if facts.dynamic.has_text_relocations() {
        judge.report(
            &HARDEN_TEXTREL,
            "the loader must write into its code (DT_TEXTREL)",
            "compile everything in it with `-fPIC`; `-Wl,-z,text` makes the linker name the place",
        );
    }
    let writable_code =
        facts.loads().enumerate().find(|(_, load)| load.is_writable() && load.is_executable());
    if let Some((index, _)) = writable_code {
        judge.report(
            &HARDEN_WX_SEGMENT,
            format_args!("loadable segment {index} is writable and executable"),
            "keep code and data in sections of their own; do not link with `-Wl,-N`",
        );
    }
    if facts.segment(SegmentKind::GnuRelro).is_none() {
        judge.report(
            &HARDEN_RELRO,
            "it has no PT_GNU_RELRO: function pointers stay writable after loading",
            "link with `-Wl,-z,relro`",
        );
    }
    if facts.dynamic.has_plt && !facts.dynamic.binds_now() {
        judge.report(
            &HARDEN_BIND_NOW,
            "functions are looked up at their first call, so a missing one fails only then",
            "link with `-Wl,-z,now`",
        );
    }
}
