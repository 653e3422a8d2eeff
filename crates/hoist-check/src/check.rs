//! All rules on one library.

use hoist_elf::{ElfError, ElfFacts, FileKind, Identity, SectionTable};
use hoist_schema::Severity;

use crate::contract::Contract;
use crate::report::{Judge, Report};
use crate::rule::{
    FILE_EMPTY, FILE_MALFORMED, FILE_NO_SECTIONS, FILE_NOT_DSO, FILE_NOT_ELF, FILE_SIZE,
    FILE_TRAILING_DATA, FILE_TRUNCATED,
};
use crate::siblings::Siblings;
use crate::{
    dependencies, exports, hardening, hotswap, isa, leaks, loading, references, secrets,
    signatures, target, versions,
};

/// A library to check.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// How findings call it.
    pub file: &'a str,
    /// Where it lies in its artifact, relative to the root; `$ORIGIN` is this path's folder.
    pub path: &'a str,
    /// Its bytes, at least as far as its headers speak of them
    /// (see [`hoist_elf::extent_bytes`]).
    pub bytes: &'a [u8],
    /// Size of the whole file in bytes.
    pub size_bytes: u64,
}

impl<'a> Candidate<'a> {
    /// A whole file, called by its path in the artifact.
    #[must_use]
    pub fn new(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { file: path, path, bytes, size_bytes: bytes.len() as u64 }
    }
}

/// Judges one library by `contract`. `siblings` are the other files of its artifact.
#[must_use]
pub fn check_library(
    candidate: &Candidate<'_>,
    contract: &Contract,
    siblings: &dyn Siblings,
) -> Report {
    let mut judge = Judge::new(candidate.file, contract);
    check_size(&mut judge, candidate.size_bytes);
    if let Ok(identity) = Identity::read(candidate.bytes)
        && !target::is_for(&mut judge, identity)
    {
        // What else differs on another machine follows from that.
        let facts = ElfFacts::read(candidate.bytes).ok();
        return judge.finish(facts);
    }
    let facts = match ElfFacts::read(candidate.bytes) {
        Ok(facts) => facts,
        Err(refusal) => {
            report_refusal(&mut judge, &refusal);
            return judge.finish(None);
        }
    };
    if facts.kind != FileKind::SharedLibrary {
        report_kind(&mut judge, facts.kind);
        return judge.finish(Some(facts));
    }
    check_container(&mut judge, &facts, candidate.size_bytes);
    target::check_pages(&mut judge, &facts);
    isa::check(&mut judge, &facts, candidate.bytes);
    exports::check(&mut judge, &facts, candidate.bytes);
    signatures::check(&mut judge, &facts, candidate.bytes);
    // What it wants of another C library is not there either.
    if target::is_for_libc(&mut judge, &facts) {
        let closure = dependencies::check(&mut judge, &facts, candidate.path, siblings);
        versions::check(&mut judge, &facts, &closure);
        hotswap::check(&mut judge, &facts, &closure);
    }
    loading::check(&mut judge, &facts);
    hardening::check(&mut judge, &facts);
    leaks::check(&mut judge, &facts, candidate.bytes);
    secrets::check(&mut judge, candidate.bytes);
    references::check(&mut judge, candidate.bytes);
    judge.finish(Some(facts))
}

fn report_refusal(judge: &mut Judge<'_>, refusal: &ElfError) {
    let rule = match refusal {
        ElfError::Empty => &FILE_EMPTY,
        ElfError::NotElf { .. } => &FILE_NOT_ELF,
        _ if refusal.is_truncation() => &FILE_TRUNCATED,
        _ => &FILE_MALFORMED,
    };
    judge.report(rule, refusal, refusal.hint());
}

fn report_kind(judge: &mut Judge<'_>, kind: FileKind) {
    let (what, fix) = match kind {
        FileKind::Executable | FileKind::PositionIndependentExecutable => (
            "an executable, which the loader refuses as a library".to_owned(),
            "link with `-shared` and without `-pie`",
        ),
        FileKind::Object => (
            "an object file that was not linked yet".to_owned(),
            "link it: `cc -shared object.o -o lib.so`",
        ),
        FileKind::Core => ("a memory dump".to_owned(), "name the library that the build made"),
        FileKind::DebugOnly => (
            "debug information without the code".to_owned(),
            "name the library that it was taken from",
        ),
        FileKind::SharedLibrary => return,
        FileKind::Other(number) => {
            (format!("an ELF file of unknown type {number}"), "link with `-shared`")
        }
    };
    judge.report(&FILE_NOT_DSO, format_args!("not a shared library: it is {what}"), fix);
}

fn check_size(judge: &mut Judge<'_>, size_bytes: u64) {
    let Some(wanted) = &judge.contract.size_bytes else { return };
    if wanted.contains(&size_bytes) {
        return;
    }
    let (least, most) = (wanted.start(), wanted.end());
    let fix = if size_bytes > *most {
        "leave debug information out (`strip --strip-debug`), or raise `size` in hoist.toml"
    } else {
        "see that the build linked what it should, or lower `size` in hoist.toml"
    };
    let message = format!("it has {size_bytes} bytes, promised are {least} to {most}");
    judge.report(&FILE_SIZE, message, fix);
}

fn check_container(judge: &mut Judge<'_>, facts: &ElfFacts, size_bytes: u64) {
    match &facts.sections.table {
        SectionTable::Whole => {}
        SectionTable::Absent => {
            judge.report(&FILE_NO_SECTIONS, "there are no section headers", "");
        }
        SectionTable::Damaged(damage) => {
            judge.report_as(
                Severity::Warning,
                &FILE_MALFORMED,
                format_args!("the section headers are damaged: {damage}"),
                "link it again; the loader ignores them, but debuggers and strip do not",
            );
        }
    }
    let trailing = size_bytes.saturating_sub(facts.used_bytes);
    if trailing > 0 {
        let message = format!("{trailing} bytes follow the end of the library");
        judge.report(&FILE_TRAILING_DATA, message, "");
    }
}
