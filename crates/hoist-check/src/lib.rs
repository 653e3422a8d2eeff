//! Rules over ELF facts: what the linker, the loader and the hosts will object to, said before
//! they meet the library.
//!
//! - [`check_library`] judges one library by a [`Contract`]; it reads nothing but the bytes it is
//!   given and, through [`Siblings`], the files beside them.
//! - [`check_against`] compares a library with the build that its callers were compiled for.
//! - [`check_file`] and [`check_tree`] do the same for a file and for an unpacked artifact on disk,
//!   [`check_links`] asks that it leads nowhere else.
//! - [`Policy`] says what is asked beside promises and how bad a finding is, [`apply_waivers`] what
//!   a project judges otherwise.
//! - [`probe`](probe()) loads a library in a sandbox of its own and says what that did.
//! - [`explain`] gives the page of a rule.
//!
//! A finding is an answer; an error means that the check could not look. A message about a symbol
//! or a needed library starts with its name in backquotes.

mod abi;
mod check;
mod closure;
mod contract;
mod dependencies;
mod exports;
pub mod fix;
mod floors;
mod hardening;
mod hotswap;
mod isa;
mod leaks;
mod likeness;
mod links;
mod loading;
mod manylinux;
mod policy;
mod probe;
mod references;
mod report;
mod resolve;
mod rule;
mod search;
mod secrets;
mod siblings;
mod signatures;
mod system;
mod target;
mod tree;
mod version_trouble;
mod versions;

pub use abi::{CompareError, Comparison, check_against, check_against_promised};
pub use check::{Candidate, check_library};
pub use contract::{Contract, Libc, Promise, PromisedKind, Target};
pub use floors::{Family, Floor, Floors, floors, gcc_release};
pub use manylinux::{Platform, best_manylinux, manylinux, platforms};
pub use policy::{POLICY_NAMES, Policy, apply_waivers};
pub use probe::{Loaded, ProbeError, ProbeOptions, ProbeReport, not_probed, probe};
pub use report::Report;
pub use rule::{Rule, explain, nearest_rule, rules};
pub use siblings::{Neighbour, NoSiblings, Siblings};
pub use system::{SystemDefinition, SystemSymbols};
pub use tree::{
    Checked, TreeError, check_file, check_file_against, check_links, check_tree, check_tree_on,
    library_paths,
};
