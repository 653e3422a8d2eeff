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
pub mod fix;
mod hardening;
mod leaks;
mod links;
mod loading;
mod report;
mod rule;
mod siblings;
mod target;
mod tree;
mod versions;

pub use check::{Candidate, check_library};
pub use contract::{Contract, Promise, PromisedKind, Target};
pub use report::Report;
pub use rule::{Rule, explain, nearest_rule, rules};
pub use siblings::{NoSiblings, Siblings};
pub use tree::{Checked, TreeError, check_file, check_links, check_tree};
