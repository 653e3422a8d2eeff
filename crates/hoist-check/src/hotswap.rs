//! What goes wrong when a process has two generations of the library: the old one, which is never
//! unloaded, and the new one beside it.
//!
//! `tests/real_hotswap.rs` shows each of these in a real process. Two things are no findings: that a
//! library asks to stay loaded (`DF_1_NODELETE`), because no generation is ever unloaded, and that
//! it asks to serve the whole process (`DF_1_GLOBAL`), because glibc does not listen.

use hoist_elf::{Binding, ElfFacts, SegmentKind};

use crate::closure::{Closure, Member};
use crate::loading::STATIC_TLS_RESERVE_BYTES;
use crate::report::{About, Judge, name_some};
use crate::rule::{SWAP_HELPER_SONAME, SWAP_LAZY_BINDING, SWAP_STATIC_TLS, SWAP_UNIQUE_SYMBOL};

/// Most symbols that a message names.
const MOST_NAMED: usize = 3;

/// Least digits of a digest in a file name; `auditwheel` takes eight.
const LEAST_DIGEST_DIGITS: usize = 8;

/// Starts of the mangled names of what belongs to the C++ library: one for all generations is what
/// it wants. `_ZGV` guards and `_ZT` types are followed by the name of what they are about.
const OF_CXX_LIBRARY: [&str; 12] = [
    "NSt",
    "St",
    "NKSt",
    "NSa",
    "NSb",
    "NSd",
    "NSi",
    "NSo",
    "NSs",
    "N9__gnu_cxx",
    "NK9__gnu_cxx",
    "N10__cxxabiv",
];

pub(crate) fn check(judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
    check_unique(judge, facts);
    check_static_tls(judge, facts);
    check_helpers(judge, facts, closure);
    if facts.dynamic.has_plt && !facts.dynamic.binds_now() {
        judge.report(
            &SWAP_LAZY_BINDING,
            "it looks up functions at their first call, when another generation may be there",
            "link with `-Wl,-z,now`",
        );
    }
}

/// Variables of which a process has one, the first that is loaded.
fn check_unique(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let unique: Vec<&str> = facts
        .exports()
        .filter(|symbol| symbol.binding == Binding::GnuUnique)
        .map(|symbol| &*symbol.name)
        // A guard says whether the variable of its name is initialized, and goes with it.
        .filter(|name| !is_of_cxx_library(name) && !name.starts_with("_ZGV"))
        .collect();
    let Some(first) = unique.first() else { return };
    let named = name_some(unique.iter().copied(), MOST_NAMED);
    let (is, each) = if unique.len() == 1 { ("is", "its") } else { ("are", "their") };
    judge
        .report(
            &SWAP_UNIQUE_SYMBOL,
            format_args!(
                "{named} {is} unique in a process (STB_GNU_UNIQUE): the next generation works with \
                 this one's, {each} values included"
            ),
            "compile with `-fno-gnu-unique`, or hide it (`-fvisibility=hidden`)",
        )
        .symbol(first);
}

fn is_of_cxx_library(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("_Z") else { return false };
    let rest = ["GV", "TI", "TS", "TV", "Z"].iter().find_map(|kind| rest.strip_prefix(kind));
    let rest = rest.unwrap_or(&name[2..]);
    OF_CXX_LIBRARY.iter().any(|start| rest.starts_with(start))
}

fn check_static_tls(judge: &mut Judge<'_>, facts: &ElfFacts) {
    let size = facts.segment(SegmentKind::Tls).map_or(0, |block| block.memory_size_bytes);
    if !facts.dynamic.uses_static_tls() || size == 0 || size > STATIC_TLS_RESERVE_BYTES {
        return; // one that does not even fit once is `dyn.tls_static`
    }
    judge.report(
        &SWAP_STATIC_TLS,
        format_args!(
            "every generation takes {size} bytes of the static thread-local block for good, so \
             about {} fit",
            STATIC_TLS_RESERVE_BYTES / size
        ),
        "compile without `-ftls-model=initial-exec`",
    );
}

/// Needed libraries of the artifact that the next generation's stand no chance against.
fn check_helpers(judge: &mut Judge<'_>, facts: &ElfFacts, closure: &Closure) {
    let helpers: Vec<About> = facts
        .dynamic
        .needed
        .iter()
        .filter(|name| matches!(closure.member(name), Some(Member::Own(..))))
        .filter(|name| !name.contains('/') && !has_digest(name))
        .map(|name| {
            let message = format!(
                "`{name}` is needed by a name that says nothing of its content: the next \
                 generation gets this one's, because the loader has that name already"
            );
            About { symbol: None, object: Some(name.clone()), message }
        })
        .collect();
    judge.report_each(
        &SWAP_HELPER_SONAME,
        &helpers,
        "give it a SONAME with a digest of its content, as `auditwheel repair` does, or link it \
         statically",
    );
}

/// Whether a file name has a digest as one of its words: `libgomp-e985bcbb.so.1.0.0`.
fn has_digest(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        word.len() >= LEAST_DIGEST_DIGITS
            && word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
            && (word.bytes().all(|byte| byte.is_ascii_hexdigit()) || word.len() >= 32)
            // Digits alone are a date, unless there are too many.
            && (word.bytes().any(|byte| byte.is_ascii_lowercase()) || word.len() >= 16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_told_from_a_version() {
        for name in ["libgomp-e985bcbb.so.1.0.0", "libz.1a2b3c4d5e6f.so", "lib0123456789ab.so"] {
            assert_eq!(has_digest(name), !name.starts_with("lib0"), "{name}");
        }
        assert!(has_digest("libx-h5iv7sg0y2drphrvwrqw50i4xgm2kdhg.so"));
        for name in
            ["libfoo.so.1", "libstdc++.so.6", "libabcdefabcdef.so", "libx-20260131.so.1.2.3"]
        {
            assert!(!has_digest(name), "{name}");
        }
    }

    #[test]
    fn what_the_cxx_library_shares_is_no_trap() {
        for name in
            ["_ZNSs4_Rep20_S_empty_rep_storageE", "_ZGVNSt5ctypeIcE2idE", "_ZTISt9exception"]
        {
            assert!(is_of_cxx_library(name), "{name}");
        }
        for name in ["_ZN5cache5valueE", "_ZZ3getvE1x", "plain"] {
            assert!(!is_of_cxx_library(name), "{name}");
        }
    }
}
