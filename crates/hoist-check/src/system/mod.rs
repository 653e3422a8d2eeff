//! What the libraries define that every target has: glibc's, libgcc's and libstdc++'s.
//!
//! The table is `data/system-symbols.txt`, written by `cargo xtask system-symbols` from the newest
//! releases there are: these libraries keep every version they ever had. Its lines are
//!
//! ```text
//! library SONAME NEEDED…    a library, and what it needs
//! version NAME              a version that this library defines; `-` is none
//! symbols                   after it, every symbol by name:
//! 4open 0B+0z*-1a           `4` bytes are those of the name before
//! ```
//!
//! A symbol's versions have two digits each, counted over all libraries; `-` before one says that
//! only who asks for this version finds the symbol. Versions after `+` are of x86-64 only, those
//! after `*` of aarch64 only. Digits are `0-9`, `A-Z`, `a-z`.
//!
//! Names are found in one walk through the text, beside the wanted names in the same order, so
//! nothing is built before the first question and little is kept after it.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use hoist_elf::Machine;

use self::table::{Table, dotted, table};
use crate::contract::{Libc, Target};

/// What the system libraries of one kind of machine define.
#[derive(Debug, Clone, Copy)]
pub struct SystemSymbols {
    table: &'static Table,
    machine: table::Marks,
}

/// A symbol that a system library defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemDefinition {
    /// SONAME of the library.
    pub library: &'static str,
    /// The version it is defined with; absent when it has none.
    pub version: Option<&'static str>,
    /// Whether only who asks for this version finds it.
    pub is_hidden: bool,
}

impl SystemSymbols {
    /// The table for `target`; `None` for machines that it does not cover.
    #[must_use]
    pub fn of(target: &Target) -> Option<Self> {
        let machine = match (target.libc, target.machine) {
            (Libc::Glibc, Machine::X86_64) => table::Marks::X86_64,
            (Libc::Glibc, Machine::AARCH64) => table::Marks::AARCH64,
            _ => return None,
        };
        Some(Self { table: table(), machine })
    }

    /// Everything that is defined under each of `names`; names that nothing defines are left out.
    #[must_use]
    pub fn find<'n>(&self, names: &BTreeSet<&'n str>) -> BTreeMap<&'n str, Vec<SystemDefinition>> {
        let mut found = BTreeMap::new();
        let mut wanted = names.iter().copied().peekable();
        self.table.walk(|name, codes| {
            while wanted.next_if(|&wanted| wanted < name).is_some() {}
            if let Some(wanted) = wanted.next_if(|&wanted| wanted == name) {
                let definitions = self.definitions(codes);
                if !definitions.is_empty() {
                    found.insert(wanted, definitions);
                }
            }
            wanted.peek().is_some()
        });
        found
    }

    /// Every symbol with its definitions, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Vec<SystemDefinition>> {
        let mut all = BTreeMap::new();
        self.table.walk(|name, codes| {
            let definitions = self.definitions(codes);
            if !definitions.is_empty() {
                all.insert(name.to_owned(), definitions);
            }
            true
        });
        all
    }

    /// Whether the table says what this library defines.
    #[must_use]
    pub fn knows(&self, soname: &str) -> bool {
        self.table.libraries.contains_key(soname)
    }

    /// What a library of the table needs, by SONAME; nothing for others.
    #[must_use]
    pub fn needed_by(&self, soname: &str) -> &'static [&'static str] {
        self.table.libraries.get(soname).map_or(&[], Vec::as_slice)
    }

    /// Whether the table would know a version such as `GLIBC_2.34`: it is no newer than the
    /// libraries that the table was made from, or of a family that they do not have at all.
    #[must_use]
    pub fn is_as_new_as(&self, version: &str) -> bool {
        let Some((family, release)) = dotted(version) else {
            return self.table.versions.iter().any(|(_, known)| *known == version);
        };
        let newest = self.table.newest.get(family);
        newest.is_none_or(|newest| *newest >= release)
    }

    /// Whether a library of the table defines any symbol in a version.
    #[must_use]
    pub fn defines_version(&self, soname: &str, version: &str) -> bool {
        let mut is_there = false;
        self.table.walk(|_, codes| {
            is_there = self
                .definitions(codes)
                .iter()
                .any(|found| found.library == soname && found.version == Some(version));
            !is_there
        });
        is_there
    }

    fn definitions(&self, codes: &'static str) -> Vec<SystemDefinition> {
        self.table
            .codes(codes, self.machine)
            .map(|(code, is_hidden)| {
                let (library, version) = self.table.versions[code];
                SystemDefinition {
                    library,
                    version: (version != "-").then_some(version),
                    is_hidden,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(target: &Target, name: &str) -> Vec<(&'static str, Option<&'static str>, bool)> {
        let symbols = SystemSymbols::of(target).unwrap();
        let found = symbols.find(&BTreeSet::from([name]));
        let definitions = found.get(name).cloned().unwrap_or_default();
        definitions
            .into_iter()
            .map(|found| (found.library, found.version, found.is_hidden))
            .collect()
    }

    #[test]
    fn a_symbol_has_the_versions_of_its_processor() {
        assert_eq!(
            found(&Target::X86_64_LINUX, "memcpy"),
            [("libc.so.6", Some("GLIBC_2.2.5"), true), ("libc.so.6", Some("GLIBC_2.14"), false)]
        );
        assert_eq!(
            found(&Target::AARCH64_LINUX, "memcpy"),
            [("libc.so.6", Some("GLIBC_2.17"), false)]
        );
        assert_eq!(
            found(&Target::X86_64_LINUX, "cos"),
            [("libm.so.6", Some("GLIBC_2.2.5"), false)]
        );
        assert_eq!(found(&Target::X86_64_LINUX, "add_i32"), []);
    }

    #[test]
    fn many_names_are_found_in_one_walk() {
        let symbols = SystemSymbols::of(&Target::X86_64_LINUX).unwrap();
        let names = BTreeSet::from(["", "_Znwm", "nothing", "zzz", "__cxa_throw", "malloc", "~"]);
        let found: Vec<_> = symbols.find(&names).into_keys().collect();
        assert_eq!(found, ["_Znwm", "__cxa_throw", "malloc"]);
        let all = symbols.all();
        assert!(all.len() > 10_000, "{}", all.len());
        let every: BTreeSet<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(symbols.find(&every).len(), all.len());
    }

    #[test]
    fn a_version_newer_than_the_table_is_not_judged() {
        let symbols = SystemSymbols::of(&Target::X86_64_LINUX).unwrap();
        assert!(symbols.is_as_new_as("GLIBC_2.17"));
        assert!(symbols.is_as_new_as("GLIBC_2.34.5"), "no such, but older than what there is");
        assert!(symbols.is_as_new_as("CXXABI_FLOAT128"));
        assert!(!symbols.is_as_new_as("GLIBC_9.1"));
        assert!(!symbols.is_as_new_as("GLIBC_ABI_SOMETHING"));
        assert!(symbols.is_as_new_as("OPENSSL_3.0.0"), "the table knows that there is none");
    }

    #[test]
    fn a_library_is_known_with_what_it_needs() {
        let symbols = SystemSymbols::of(&Target::X86_64_LINUX).unwrap();
        assert!(symbols.needed_by("libstdc++.so.6").contains(&"libm.so.6"));
        assert!(!symbols.knows("libX11.so.6"));
        assert!(symbols.needed_by("libX11.so.6").is_empty());
    }
}
