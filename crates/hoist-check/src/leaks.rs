//! Paths and names of the build machine inside the file.

use std::collections::{BTreeMap, HashSet};

use hoist_elf::ElfFacts;
use hoist_elf::debug::compressed_sections;
use memchr::memchr_iter;

use crate::report::Judge;
use crate::rule::LEAK_BUILD_PATH;
use crate::siblings::folder_of;

/// How much of a path a message shows, in bytes.
const MOST_SHOWN: usize = 120;

/// Ends of file names that compilers and linkers write into a library.
const SOURCE_ENDS: [&str; 16] = [
    "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "inc", "s", "S", "o", "rs", "f90", "mojo",
    "zig",
];

/// Folders in which programs keep files as well.
const TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/var/folders", "/private"];

/// Names of machines that say nothing about whose it is.
const COMMON_NAMES: [&str; 8] =
    ["localhost", "linux", "debian", "ubuntu", "fedora", "alpine", "docker", "builder"];

/// Options of compilers that name a folder or file.
const PATH_OPTIONS: [&str; 7] = ["-I", "-L", "-B", "-o", "-isystem", "-iquote", "-idirafter"];

/// Shorter names are ordinary words.
const LEAST_NAME_BYTES: usize = 5;

/// The first path under a prefix, and how many there are.
struct Found {
    /// Where it is, in words.
    place: String,
    path: String,
    count: usize,
}

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, bytes: &[u8]) {
    let contract = judge.contract;
    let folders = contract.leaked_paths.iter().chain(&contract.forbidden_paths);
    let mut prefixes: Vec<&str> = folders.map(|prefix| prefix.trim_end_matches('/')).collect();
    prefixes.retain(|prefix| !prefix.is_empty());
    // A path counts for the longest prefix it is under, which says most about it.
    prefixes.sort_by_key(|prefix| (std::cmp::Reverse(prefix.len()), *prefix));
    prefixes.dedup();
    // RUNPATH has a rule of its own.
    let searched = [&facts.dynamic.runpath, &facts.dynamic.rpath].into_iter().flatten();
    let searched: HashSet<&str> = searched
        .flat_map(|text| paths_under(text.as_bytes(), &prefixes).map(|(_, _, path)| path))
        .collect();
    let mut found: BTreeMap<&str, Found> = BTreeMap::new();
    for (offset, prefix, path) in paths_under(bytes, &prefixes) {
        if !searched.contains(path) {
            let first =
                || Found { place: format!("at offset {offset:#x}"), path: path.into(), count: 0 };
            found.entry(prefix).or_insert_with(first).count += 1;
        }
    }
    for (section, unpacked) in compressed_sections(bytes) {
        for (offset, prefix, path) in paths_under(&unpacked, &prefixes) {
            let place = || format!("at offset {offset:#x} of {section}, which is compressed");
            let first = || Found { place: place(), path: path.into(), count: 0 };
            found.entry(prefix).or_insert_with(first).count += 1;
        }
    }
    for (prefix, Found { place, path, count }) in found {
        let path = path.as_str();
        let more = match count {
            1 => String::new(),
            _ => format!(", and {} more under `{prefix}`", count - 1),
        };
        // What lies under a folder of this very build is relative to it, anything else to its own.
        let is_own = contract.leaked_paths.iter().any(|own| own.trim_end_matches('/') == prefix);
        let from = if is_own { prefix } else { folder_of(path) };
        judge
            .report(
                &LEAK_BUILD_PATH,
                format_args!("`{path}` is in the file {place}{more}"),
                format_args!(
                    "compile with `-ffile-prefix-map={from}=.` (C, C++) or \
                     `--remap-path-prefix={from}=.` (Rust), and strip debug information"
                ),
            )
            .object(path);
    }
    for name in &contract.leaked_names {
        if let Some(offset) = find_name(bytes, name) {
            judge
                .report(
                    &LEAK_BUILD_PATH,
                    format_args!(
                        "`{name}`, the name of this machine, is in the file at offset {offset:#x}"
                    ),
                    "see which part of the build asks for the host's name, and leave it out",
                )
                .object(name);
        }
    }
}

/// The paths under `prefixes` in the file's texts, with their offsets.
fn paths_under<'a, 'p>(
    bytes: &'a [u8],
    prefixes: &'a [&'p str],
) -> impl Iterator<Item = (usize, &'p str, &'a str)> {
    // In code, every 256th byte is a slash by chance; the next one tells most of them apart.
    let mut may_follow = [false; 256];
    for prefix in prefixes {
        may_follow[usize::from(prefix.as_bytes().get(1).copied().unwrap_or_default())] = true;
    }
    memchr_iter(b'/', bytes).filter_map(move |at| {
        let tail = &bytes[at..];
        tail.get(1).filter(|next| may_follow[usize::from(**next)])?;
        let prefix = prefixes.iter().find(|prefix| {
            tail.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
        })?;
        let before = at.checked_sub(1).map_or(0, |before| bytes[before]);
        if is_path_byte(before) && !ends_in_option(&bytes[..at]) {
            return None;
        }
        let length = tail.iter().take(MOST_SHOWN).take_while(|byte| is_path_byte(**byte)).count();
        let path = std::str::from_utf8(&tail[..length]).ok()?;
        let is_filled_in = tail.get(length).is_some_and(|next| b"%{<$*".contains(next));
        let is_of_build = !is_filled_in && is_of_build(path.strip_prefix(prefix)?, prefix);
        is_of_build.then_some((at, *prefix, path))
    })
}

/// Whether what follows a prefix names a file of a build: anything but a template for a temporary
/// file. Directly in a folder for temporary files, which programs use as well (`/tmp/x.sock`), it
/// must be a source.
fn is_of_build(below: &str, prefix: &str) -> bool {
    let below = below.trim_matches('/');
    let has_folder = below.contains('/') || !TEMPORARY.contains(&prefix);
    let is_source = below.rsplit_once('.').is_some_and(|(_, end)| SOURCE_ENDS.contains(&end));
    !below.is_empty() && (has_folder || is_source) && !below.contains("XXXXXX")
}

/// Whether `before` ends in an option of a compiler that its path follows without a space, as in
/// `-I/usr/include`.
fn ends_in_option(before: &[u8]) -> bool {
    PATH_OPTIONS.iter().any(|option| {
        let rest = before.strip_suffix(option.as_bytes());
        rest.is_some_and(|rest| rest.last().is_none_or(|byte| !is_path_byte(*byte)))
    })
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte)
}

/// Where `name` stands as a word of its own.
fn find_name(bytes: &[u8], name: &str) -> Option<usize> {
    if name.len() < LEAST_NAME_BYTES || COMMON_NAMES.contains(&name) {
        return None;
    }
    let is_part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
    };
    let first = name.as_bytes().first()?;
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first).map(|(at, _)| at);
    starts.into_iter().find(|&at| {
        let rest = bytes[at..].strip_prefix(name.as_bytes());
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        rest.is_some_and(|rest| !is_part(rest.first()) && !is_part(before))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hoist_elf::testing::Library;

    use super::*;
    use crate::contract::{Contract, Target};

    #[test]
    fn a_long_runpath_is_not_searched_for_every_path() {
        let mut facts = ElfFacts::read(&Library::new().build()).unwrap();
        let each = |path: fn(usize) -> String| (0..50_000).map(path).collect::<Vec<_>>().concat();
        facts.dynamic.runpath = Some(each(|index| format!("/build/aaaa/{index:05}:")));
        let bytes = each(|index| format!("\0/build/aaaa/b{index:05}\0"));
        let mut contract = Contract::new(Target::HOST);
        contract.leaked_paths = vec!["/build".to_owned()];
        let mut judge = Judge::new("libx.so", &contract);
        let start = Instant::now();
        check(&mut judge, &facts, bytes.as_bytes());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let findings = judge.finish(None).findings;
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(finding.message.contains("and 49999 more under `/build`"), "{}", finding.message);
    }
}
