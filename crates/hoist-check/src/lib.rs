//! Rules over ELF facts: what the linker, the loader and the hosts will object to, said before
//! they meet the library.
//!
//! - [`check_library`] judges one library by a [`Contract`]; it reads nothing but the bytes it is
//!   given and, through [`Siblings`], the files beside them.
//! - [`check_file`] and [`check_tree`] do the same for a file and for an unpacked artifact on disk,
//!   [`check_links`] asks that it leads nowhere else.
//! - [`explain`] gives the page of a rule.
//!
//! A finding is an answer; an error means that the check could not look. A message about a symbol
//! or a needed library starts with its name in backquotes.

mod check;
mod closure;
mod contract;
mod dependencies;
mod exports;
mod floors;
mod hardening;
mod hotswap;
mod leaks;
mod links;
mod loading;
mod manylinux;
mod report;
mod resolve;
mod rule;
mod search;
mod siblings;
mod system;
mod target;
mod tree;
mod version_trouble;
mod versions;

pub use check::{Candidate, check_library};
pub use contract::{Contract, Libc, Promise, PromisedKind, Target};
pub use floors::{Family, Floor, Floors, floors, gcc_release};
pub use manylinux::{Platform, best_manylinux, manylinux, platforms};
pub use report::Report;
pub use rule::{Rule, explain, nearest_rule, rules};
pub use siblings::{Neighbour, NoSiblings, Siblings};
pub use system::{SystemDefinition, SystemSymbols};
pub use tree::{Checked, TreeError, check_file, check_links, check_tree};
