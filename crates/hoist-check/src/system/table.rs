//! How the table is read.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use hoist_elf::DottedVersion;

const TEXT: &str = include_str!("../../data/system-symbols.txt");

/// What is said of the symbols, before the first one.
#[derive(Debug)]
pub(super) struct Table {
    /// By SONAME, what each library needs.
    pub(super) libraries: BTreeMap<&'static str, Vec<&'static str>>,
    /// Library and version, in the order in which symbols count them.
    pub(super) versions: Vec<(&'static str, &'static str)>,
    /// By what versions start with, as `GLIBC`, the newest one.
    pub(super) newest: BTreeMap<&'static str, DottedVersion>,
    /// The lines of the symbols.
    symbols: &'static str,
}

/// The processors whose versions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    X86_64,
    AARCH64,
}

pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| read(TEXT))
}

/// Reads the lines up to the symbols. The text is our own, so a line that is none is left out, and
/// a test holds the rest against the libraries themselves.
fn read(text: &'static str) -> Table {
    let (head, symbols) = text.split_once("\nsymbols\n").unwrap_or((text, ""));
    let mut table = Table {
        libraries: BTreeMap::new(),
        versions: Vec::new(),
        newest: BTreeMap::new(),
        symbols,
    };
    let mut library = "";
    for line in head.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("library"), Some(soname)) => {
                library = soname;
                table.libraries.insert(soname, words.collect());
            }
            (Some("version"), Some(version)) => {
                table.versions.push((library, version));
                if let Some((family, release)) = dotted(version) {
                    let newest = table.newest.entry(family).or_insert_with(|| release.clone());
                    *newest = release.max(newest.clone());
                }
            }
            _ => {}
        }
    }
    table
}

impl Table {
    /// Calls `visit` with every name and the codes of its versions, until it says `false`.
    pub(super) fn walk(&self, mut visit: impl FnMut(&str, &'static str) -> bool) {
        let mut name = String::new();
        for line in self.symbols.lines() {
            let Some((shared, rest)) = line.split_at_checked(1) else { continue };
            let Some((rest, codes)) = rest.split_once(' ') else { continue };
            name.truncate(digit(shared.as_bytes()[0]).unwrap_or(0));
            name.push_str(rest);
            if !visit(&name, codes) {
                return;
            }
        }
    }

    /// The versions that `codes` name for one processor, and whether each is hidden.
    pub(super) fn codes(
        &self,
        codes: &'static str,
        machine: Marks,
    ) -> impl Iterator<Item = (usize, bool)> {
        let mut bytes = codes.bytes();
        let (mut is_meant, mut is_hidden) = (true, false);
        let known = self.versions.len();
        std::iter::from_fn(move || {
            loop {
                match bytes.next()? {
                    b'+' => is_meant = machine == Marks::X86_64,
                    b'*' => is_meant = machine == Marks::AARCH64,
                    b'-' => is_hidden = true,
                    tens => {
                        let code = digit(tens)? * 62 + digit(bytes.next()?)?;
                        let found = (code, std::mem::take(&mut is_hidden));
                        if is_meant && code < known {
                            return Some(found);
                        }
                    }
                }
            }
        })
    }
}

/// `GLIBC_2.34` as `GLIBC` and `2.34`.
pub(super) fn dotted(version: &str) -> Option<(&str, DottedVersion)> {
    let (family, release) = version.rsplit_once('_')?;
    Some((family, release.parse().ok()?))
}

fn digit(byte: u8) -> Option<usize> {
    let value = match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'a'..=b'z' => byte - b'a' + 36,
        _ => return None,
    };
    Some(value.into())
}
