//! Whether programs that were compiled for one build of a library can use another.
//!
//! Exports are compared by name, version, kind and size; with debug information on both sides,
//! also the signatures of functions and every type that they lead to, by value or behind a
//! pointer. Where the contract has a header, a struct whose fields it does not tell may change:
//! callers cannot look into it.

mod builds;
mod exports;
mod findings;
mod layout;
mod names;
mod reach;
mod relate;
mod renames;
mod visible;

pub(crate) use reach::Reach;
pub(crate) use relate::{Mismatch, Sides};

use hoist_elf::debug::HeaderTypes;
use hoist_elf::header::Header;
use hoist_elf::{ElfError, ElfFacts};
use hoist_schema::{Finding, Severity};

use crate::check::Candidate;
use crate::contract::Contract;
use crate::tree::TreeError;
use builds::{Build, Known};
use exports::Changes;
use findings::Against;

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
    check_against_promised(new, old, contract, None)
}

/// [`check_against`] where `promised`, the header of the old build, is known as well: when one of
/// the builds has no debug information, it is compared with the header of `contract` instead.
///
/// # Errors
///
/// As [`check_against`].
pub fn check_against_promised(
    new: &Candidate<'_>,
    old: &Candidate<'_>,
    contract: &Contract,
    promised: Option<&Header>,
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
    let mut against = Against::new(new.file, contract, &old_facts, &new_facts);
    against.removed(&changes, &old, &new_build);
    against.versions_removed(&changes, &new_facts);
    against.kinds_and_sizes(&changes, &old);
    let mut comparison =
        Comparison { findings: Vec::new(), exports: changes.kept.len(), described: 0, types: 0 };
    let headers = promised.zip(contract.header.as_ref());
    let headers = headers.map(|(old, new)| (HeaderTypes::new(old), HeaderTypes::new(new)));
    if let (Ok(old), Ok(new)) = (&old.info, &new_build.info) {
        let sides = (Known::Debug(old), Known::Debug(new));
        against.types(&changes, sides, contract, &mut comparison);
    } else {
        if let Some((old, new)) = &headers {
            let sides = (Known::Header(old), Known::Header(new));
            against.types(&changes, sides, contract, &mut comparison);
        }
        let sides = [("old", &old), ("new", &new_build)];
        against.unverified(&sides, &changes, headers.is_some());
    }
    against.soname(&old_facts, &new_facts);
    against.added(&changes);
    comparison.findings = against.finish();
    Ok(comparison)
}
