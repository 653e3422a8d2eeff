//! Where the loader looks for what a library needs.
//!
//! Source: `ld.so(8)`, "DESCRIPTION" and "Dynamic string tokens".

use std::path::{Path, PathBuf};

use hoist_elf::{Dynamic, Machine};

use crate::contract::Contract;
use crate::siblings::{folder_of, is_in_store, normalize};

/// Most folders that are searched for one library; real ones name a few.
pub(crate) const MOST_FOLDERS: usize = 128;

/// What `$LIB` may stand for: the loader was built with one of them, which depends on the system.
const LIB_FOLDERS: [&str; 4] = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];

/// The folders of `DT_RPATH` that a library hands down to what it needs: its own, unless
/// `DT_RUNPATH` switches them off, and those handed down to it.
pub(crate) fn handed_down(
    dynamic: &Dynamic,
    library: &str,
    inherited: &[String],
    machine: Machine,
) -> Vec<String> {
    let own = match (&dynamic.runpath, &dynamic.rpath) {
        (None, Some(rpath)) => folders(rpath, library, machine),
        _ => Vec::new(),
    };
    merged(own.into_iter().chain(inherited.iter().cloned()))
}

/// The folders in which the loader looks for what a library needs, in order. With `DT_RUNPATH`, no
/// `DT_RPATH` counts, not even one that is handed down.
pub(crate) fn searched(
    dynamic: &Dynamic,
    library: &str,
    handed_down: &[String],
    contract: &Contract,
) -> Vec<String> {
    let machine = contract.target.machine;
    let (rpath, runpath) = match &dynamic.runpath {
        Some(runpath) => (&[][..], folders(runpath, library, machine)),
        None => (handed_down, Vec::new()),
    };
    let host = contract.search.iter().filter_map(|folder| normalize(folder));
    merged(rpath.iter().cloned().chain(host).chain(runpath))
}

/// The file that `name`, which has a `/`, means; `None` when that depends on the machine.
pub(crate) fn path_of_needed(name: &str, library: &str, machine: Machine) -> Option<String> {
    expand(name, machine).into_iter().find_map(|path| place(&path, library))
}

/// The first entry of a library's own search path that leads out of its artifact through `$ORIGIN`.
pub(crate) fn leads_out(dynamic: &Dynamic, library: &str) -> Option<String> {
    let path = dynamic.runpath.as_ref().or(dynamic.rpath.as_ref())?;
    let leads_out = |entry: &&str| {
        after_token(entry, "ORIGIN")
            .is_some_and(|below| normalize(&format!("{}/{below}", folder_of(library))).is_none())
    };
    path.split(':').take(MOST_FOLDERS).find(leads_out).map(str::to_owned)
}

/// Whether an entry of a RUNPATH begins with `$ORIGIN`. No other token stands for an absolute path.
pub(crate) fn starts_at_origin(entry: &str) -> bool {
    after_token(entry, "ORIGIN").is_some()
}

/// The folders of the artifact and of the store that one entry of a RUNPATH leads to.
pub(crate) fn folders_of_entry(
    entry: &str,
    library: &str,
    machine: Machine,
) -> impl Iterator<Item = String> {
    expand(entry, machine).into_iter().filter_map(move |entry| place(&entry, library))
}

/// The folders of this machine that an entry leads to, for a library that lies in `origin`; none
/// where that depends on where the process was started.
pub(crate) fn on_this_machine(entry: &str, origin: &Path, machine: Machine) -> Vec<PathBuf> {
    let place = |entry: String| match after_token(&entry, "ORIGIN") {
        Some(below) => Some(origin.join(below.trim_start_matches('/'))),
        None => entry.starts_with('/').then(|| PathBuf::from(entry)),
    };
    expand(entry, machine).into_iter().filter_map(place).collect()
}

fn merged(folders: impl Iterator<Item = String>) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    for folder in folders {
        if merged.len() < MOST_FOLDERS && !merged.contains(&folder) {
            merged.push(folder);
        }
    }
    merged
}

/// The folders that a RUNPATH names in the artifact and in the store. What else is absolute is
/// another on every machine, and what is relative depends on where the process was started.
fn folders(runpath: &str, library: &str, machine: Machine) -> Vec<String> {
    runpath
        .split(':')
        .take(MOST_FOLDERS)
        .flat_map(|entry| folders_of_entry(entry, library, machine))
        .collect()
}

/// `entry` with every `$LIB` and `$PLATFORM` filled in; `$ORIGIN` stays.
fn expand(entry: &str, machine: Machine) -> Vec<String> {
    let platform = if machine == Machine::AARCH64 { "aarch64" } else { "x86_64" };
    let entry = fill_in(entry, "PLATFORM", platform);
    let variants = if has_token(&entry, "LIB") { &LIB_FOLDERS[..] } else { &[""] };
    variants.iter().map(|folder| fill_in(&entry, "LIB", folder)).collect()
}

/// Where an entry leads: into the artifact, or into the store.
fn place(entry: &str, library: &str) -> Option<String> {
    if let Some(below) = after_token(entry, "ORIGIN") {
        let path = format!("{}/{below}", folder_of(library));
        let is_stored = library.starts_with('/');
        return normalize(&path).map(|path| if is_stored { format!("/{path}") } else { path });
    }
    let path = format!("/{}", normalize(entry.strip_prefix('/')?)?);
    is_in_store(&path).then_some(path)
}

/// What follows a token at the start of `text`: `/x` after `$NAME` in `$NAME/x`. A longer word is
/// no token.
pub(crate) fn after_token<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.strip_prefix('$')?;
    let braced = rest.strip_prefix('{').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('}'));
    let ends_word = |rest: &&str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    braced.or_else(|| rest.strip_prefix(name).filter(ends_word))
}

fn has_token(text: &str, name: &str) -> bool {
    text.match_indices('$').any(|(at, _)| after_token(&text[at..], name).is_some())
}

fn fill_in(text: &str, name: &str, value: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        if let Some(after) = after_token(&rest[at..], name) {
            filled.push_str(value);
            rest = after;
        } else {
            filled.push('$');
            rest = &rest[at + 1..];
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(runpath: &str) -> Vec<String> {
        folders(runpath, "lib/python/libx.so", Machine::X86_64)
    }

    #[test]
    fn origin_is_the_folder_of_the_library() {
        assert_eq!(
            found("$ORIGIN:${ORIGIN}/../deps:$ORIGINAL:$ORIGIN"),
            ["lib/python", "lib/deps", "lib/python"]
        );
        assert_eq!(found("$ORIGIN/../../.."), [""; 0], "it leads out of the artifact");
    }

    #[test]
    fn a_library_of_the_store_stays_in_it() {
        let library = "/nix/store/abc-x/lib/libx.so";
        assert_eq!(folders("$ORIGIN/../deps", library, Machine::X86_64), ["/nix/store/abc-x/deps"]);
    }

    #[test]
    fn lib_and_platform_are_filled_in() {
        assert_eq!(found("$ORIGIN/${PLATFORM}"), ["lib/python/x86_64"]);
        assert_eq!(found("$ORIGIN/../$LIB")[..2], ["lib/lib", "lib/lib64"]);
        assert_eq!(found("$ORIGIN/$LIBRARY"), ["lib/python/$LIBRARY"]);
    }

    #[test]
    fn other_absolute_folders_are_those_of_each_machine() {
        let runpath = "/usr/lib:/nix/store/abc-x/lib:/nix/store/../../etc:/nix/store:lib:";
        assert_eq!(found(runpath), ["/nix/store/abc-x/lib"]);
    }

    #[test]
    fn an_entry_leads_to_folders_of_this_machine() {
        let led = |entry| on_this_machine(entry, Path::new("/opt/x/bin"), Machine::X86_64);
        assert_eq!(led("$ORIGIN/deps"), [Path::new("/opt/x/bin/deps")]);
        assert_eq!(led("${ORIGIN}"), [Path::new("/opt/x/bin")]);
        assert_eq!(led("/usr/$LIB")[..2], [Path::new("/usr/lib"), Path::new("/usr/lib64")]);
        assert_eq!(led("/opt/$PLATFORM"), [Path::new("/opt/x86_64")]);
        assert_eq!(led("$ORIGINAL/x"), [""; 0].map(Path::new));
        assert_eq!(led("lib"), [""; 0].map(Path::new));
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(found(&"$ORIGIN/x:".repeat(100_000)).len(), MOST_FOLDERS);
    }
}
