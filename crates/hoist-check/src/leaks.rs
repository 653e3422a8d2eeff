//! Paths of the build machine inside the file.

use hoist_elf::ElfFacts;

use crate::report::Judge;
use crate::rule::LEAK_BUILD_PATH;

/// How much of a path a message shows, in bytes.
const MOST_SHOWN: usize = 120;

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, bytes: &[u8]) {
    let contract = judge.contract;
    let searched = [&facts.dynamic.runpath, &facts.dynamic.rpath];
    for prefix in &contract.leaked_paths {
        let prefix = prefix.trim_end_matches('/');
        if prefix.is_empty() {
            continue;
        }
        let mut found = paths_under(bytes, prefix).filter(|(_, path)| {
            // RUNPATH has a rule of its own.
            !searched.iter().any(|text| text.as_ref().is_some_and(|text| text.contains(path)))
        });
        let Some((offset, path)) = found.next() else { continue };
        let more = match found.count() {
            0 => String::new(),
            more => format!(", and {more} more under `{prefix}`"),
        };
        judge.report(
            &LEAK_BUILD_PATH,
            format_args!("`{path}` is in the file at offset {offset:#x}{more}"),
            format_args!(
                "compile with `-ffile-prefix-map={prefix}=.` (C, C++) or \
                 `--remap-path-prefix={prefix}=.` (Rust), and strip debug information"
            ),
        );
    }
}

/// The paths under `prefix` in the file's texts, with their offsets.
fn paths_under<'a>(bytes: &'a [u8], prefix: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    starts.filter_map(move |at| {
        let rest = bytes[at..].strip_prefix(prefix.as_bytes())?;
        let before = at.checked_sub(1).map_or(0, |before| bytes[before]);
        let is_start = !is_path_byte(before);
        if !is_start || rest.first() != Some(&b'/') {
            return None;
        }
        let length = bytes[at..].iter().take(MOST_SHOWN).take_while(|byte| is_path_byte(**byte));
        let path = std::str::from_utf8(&bytes[at..at + length.count()]).ok()?;
        // A template for a temporary file says nothing about the build.
        (!path.contains("XXXXXX")).then_some((at, path))
    })
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte)
}
