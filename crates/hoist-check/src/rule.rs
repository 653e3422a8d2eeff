//! Every rule with its id, its usual severity and its page.

use hoist_schema::Severity;

/// One rule. Its id is part of the stable surface.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// `group.name`.
    pub id: &'static str,
    /// How bad a finding usually is; a rule may lower or raise it by what it found.
    pub severity: Severity,
    /// What it finds, as one line.
    pub title: &'static str,
    /// What, why, how to fix, and an example, in Markdown.
    pub page: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $title:literal;)*) => {
        $(pub(crate) static $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            title: $title,
            page: include_str!(concat!("../../../docs/checks/", $id, ".md")),
        };)*

        /// Every rule, grouped by what it looks at.
        #[must_use]
        pub fn rules() -> &'static [&'static Rule] {
            static RULES: &[&Rule] = &[$(&$name),*];
            RULES
        }
    };
}

rules! {
    FILE_MISSING "file.missing" Error "the file is not there, or a link to it leads nowhere";
    FILE_NOT_REGULAR "file.not_regular" Error "a pipe, device, socket or folder in a file's place";
    FILE_LINK_ESCAPES "file.link_escapes" Error "a symlink leads out of the artifact";
    FILE_EMPTY "file.empty" Error "the file has no bytes";
    FILE_NOT_ELF "file.not_elf" Error "the file is not in the ELF format";
    FILE_NOT_DSO "file.not_dso" Error "an ELF file, but not a shared library";
    FILE_TRUNCATED "file.truncated" Error "the file ends before its contents do";
    FILE_MALFORMED "file.malformed" Error "counts, links or offsets in the file that cannot be";
    FILE_NO_SECTIONS "file.no_sections" Info "no section headers; legal, but debuggers miss them";
    FILE_TRAILING_DATA "file.trailing_data" Info "bytes behind the end that no header speaks of";
    FILE_SIZE "file.size" Error "the file is smaller or larger than promised";
    TARGET_MACHINE "target.machine" Error "compiled for another processor";
    TARGET_CLASS "target.class" Error "32-bit where 64-bit is wanted, or the reverse";
    TARGET_ENDIAN "target.endian" Error "the other order of bytes";
    TARGET_OSABI "target.osabi" Error "made for another operating system";
    TARGET_LIBC "target.libc" Error "made for another C library";
    TARGET_PAGE_ALIGN "target.page_align" Error "cannot be mapped with the target's pages";
    TARGET_ISA "target.isa" Error "instructions that some target does not have run without a test";
    TARGET_ISA_DISPATCHED "target.isa_dispatched" Info "instructions that some target does not have, behind a test";
    EXPORT_MISSING "export.missing" Error "a promised function or variable is not exported";
    EXPORT_UNDEFINED "export.undefined" Error "a promised symbol is only referred to";
    EXPORT_HIDDEN "export.hidden" Error "a promised symbol is defined, but hidden";
    EXPORT_KIND "export.kind" Error "a promised function or variable is something else";
    EXPORT_SIGNATURE "export.signature" Error "the library was compiled with another declaration than the header's";
    EXPORT_SIGNATURE_UNVERIFIED "export.signature_unverified" Warning "the header's declarations could not be held against the library";
    EXPORT_EXTRA "export.extra" Error "an export that was not promised, where exactness is asked";
    EXPORT_IFUNC "export.ifunc" Info "a promised function is chosen by a resolver while loading";
    DYN_SONAME "dyn.soname" Error "the library calls itself otherwise than asked";
    DYN_NEEDED_MISSING "dyn.needed_missing" Error "a needed library is nowhere to be found";
    DYN_NEEDED_PATH "dyn.needed_path" Error "a needed library is named by a path";
    DYN_VERSION_MISSING "dyn.version_missing" Error "a library does not define a symbol version that is wanted of it";
    DYN_UNDEFINED "dyn.undefined" Error "nothing provides a symbol that it must have";
    DYN_UNDERLINKED "dyn.underlinked" Error "a symbol of a system library that it does not need";
    DYN_GLIBC_FLOOR "dyn.glibc_floor" Error "needs a newer C library than the oldest target has";
    DYN_LIBSTDCXX_FLOOR "dyn.libstdcxx_floor" Error "needs a newer libstdc++ than the oldest target has";
    DYN_LIBGCC_FLOOR "dyn.libgcc_floor" Error "needs a newer libgcc than the oldest target has";
    DYN_PRIVATE_SYMBOL "dyn.private_symbol" Error "uses what the C library keeps for itself";
    DYN_RUNPATH_LEAK "dyn.runpath_leak" Error "looks for libraries where it was built";
    DYN_RUNPATH_RELATIVE "dyn.runpath_relative" Error "looks for libraries in the working directory";
    DYN_RPATH_DEPRECATED "dyn.rpath_deprecated" Warning "uses DT_RPATH, which overrides the user's choice";
    DYN_TLS_STATIC "dyn.tls_static" Warning "takes room in the static thread-local block";
    DYN_INTERPOSE "dyn.interpose" Warning "takes the place of a function of the C or C++ library";
    SWAP_UNIQUE_SYMBOL "swap.unique_symbol" Warning "a variable that all generations in a process share";
    SWAP_HELPER_SONAME "swap.helper_soname" Info "the next generation gets this one's helper library";
    SWAP_STATIC_TLS "swap.static_tls" Info "every generation takes room that none gives back";
    SWAP_LAZY_BINDING "swap.lazy_binding" Info "functions are looked up when other generations are there";
    HARDEN_EXECSTACK "harden.execstack" Error "asks for an executable stack";
    HARDEN_GNU_STACK_MISSING "harden.gnu_stack_missing" Error "gets an executable stack, for want of saying otherwise";
    HARDEN_TEXTREL "harden.textrel" Error "its code is changed while it is loaded";
    HARDEN_WX_SEGMENT "harden.wx_segment" Error "memory that is writable and executable";
    HARDEN_RELRO "harden.relro" Warning "its relocated data stays writable";
    HARDEN_BIND_NOW "harden.bind_now" Warning "looks up functions at their first call";
    LEAK_BUILD_PATH "leak.build_path" Warning "a path of the build machine is in the file";
    LEAK_SECRET "leak.secret" Error "a key, token or password is in the file";
    STORE_REFERENCE_LOST "store.reference_lost" Warning "names a store path that nothing keeps for it";
    LOAD_CONSTRUCTOR "load.constructor" Info "runs code while it is loaded";
    LOAD_CRASH "load.crash" Error "the process that loads it dies, or is ended early";
    LOAD_HANG "load.hang" Error "loading it does not come to an end";
    LOAD_FAIL "load.fail" Error "the loader refuses it, or does not find what it promises";
    LOAD_FPENV "load.fpenv" Warning "changes floating-point arithmetic of the whole process";
    LOAD_SIDE_EFFECT "load.side_effect" Warning "changes the process that merely loads it";
    LOAD_UNVERIFIED "load.unverified" Warning "it could not be loaded here, so nothing is known of that";
    DEBUG_PRESENT "debug.present" Info "it carries debug information";
    DEBUG_ABSENT "debug.absent" Info "it has no debug information, so types cannot be compared";
    DEBUG_UNREADABLE "debug.unreadable" Warning "its debug information is damaged";
    ABI_REMOVED "abi.removed" Error "an export of the old build is gone";
    ABI_VERSION_REMOVED "abi.version_removed" Error "an export is no longer there in a version that callers ask for";
    ABI_KIND_CHANGED "abi.kind_changed" Error "a function became a variable, or the reverse";
    ABI_SIGNATURE_CHANGED "abi.signature_changed" Error "callers of the old build hand over or expect other types";
    ABI_LAYOUT_CHANGED "abi.layout_changed" Error "a struct that callers share has another layout";
    ABI_SIZE_CHANGED "abi.size_changed" Error "an exported variable has another size";
    ABI_ENUM_CHANGED "abi.enum_changed" Error "a named value that callers share is another or gone";
    ABI_SONAME_CHANGED "abi.soname_changed" Warning "programs linked with the old build will not load the new one";
    ABI_ADDED "abi.added" Info "an export that the old build did not have";
    ABI_UNVERIFIED "abi.unverified" Warning "names were compared with the old build, types were not";
    STALE_SOURCE "stale.source" Warning "made from other inputs than the project has now";
    STALE_LOCK "stale.lock" Warning "the lock names another artifact than the one that runs";
    WAIVER_EXPIRED "waiver.expired" Warning "a waiver of hoist.toml that counts no more";
    WAIVER_UNUSED "waiver.unused" Info "a waiver of hoist.toml that is about nothing";
}

/// The rule with this id.
#[must_use]
pub fn explain(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id).copied()
}

/// The rule whose id is most like `id`, for a word that is none; `None` when nothing is close.
#[must_use]
pub fn nearest_rule(id: &str) -> Option<&'static Rule> {
    /// Below it, ids share little more than the dot.
    const LEAST_LIKENESS: f64 = 0.6;
    let likeness = |rule: &Rule| {
        let name = rule.id.split_once('.').map_or(rule.id, |(_, name)| name);
        strsim::normalized_damerau_levenshtein(id, rule.id)
            .max(strsim::normalized_damerau_levenshtein(id, name))
    };
    rules()
        .iter()
        .map(|rule| (likeness(rule), *rule))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn every_page_is_about_its_rule() {
        for rule in rules() {
            let id = rule.id;
            assert!(rule.page.starts_with(&format!("# {id}\n")), "{id}: title");
            let severity = format!("**{:?}.** ", rule.severity);
            assert!(rule.page.contains(&severity), "{id}: severity {severity}");
            for heading in ["## Why", "## Fix", "## Example"] {
                assert!(rule.page.contains(heading), "{id}: {heading}");
            }
            assert!(rule.page.contains(&format!("[{id}]")), "{id}: its example shows it");
        }
    }

    #[test]
    fn every_page_has_its_rule() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checks");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let id = name.strip_suffix(".md").unwrap();
            assert!(id == "README" || explain(id).is_some(), "{id} has a page but no rule");
        }
    }

    /// `docs/checks/README.md` as it should be.
    fn index() -> String {
        let mut text = "# Rules\n\nWhat `hoist check` looks for. [The guide](../check.md) tells how \
                        severities come about, by policies and waivers;\n`hoist explain RULE` prints a \
                        page.\n"
            .to_owned();
        let mut group = "";
        for Rule { id, severity, title, .. } in rules() {
            let (of, _) = id.split_once('.').unwrap();
            if group != of {
                group = of;
                let head = "| rule | usually | what it finds |\n|---|---|---|";
                writeln!(text, "\n## {group}\n\n{head}").unwrap();
            }
            let severity = format!("{severity:?}").to_lowercase();
            writeln!(text, "| [{id}]({id}.md) | {severity} | {title} |").unwrap();
        }
        text
    }

    #[test]
    fn the_index_lists_every_rule() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checks/README.md");
        if std::env::var_os("HOIST_WRITE_INDEX").is_some() {
            std::fs::write(file, index()).unwrap();
        }
        let there = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            there == index(),
            "HOIST_WRITE_INDEX=1 cargo test -p hoist-check index writes it anew"
        );
    }

    #[test]
    fn a_typo_finds_its_rule() {
        let nearest = |id| nearest_rule(id).map(|rule| rule.id);
        assert_eq!(nearest("export.mising"), Some("export.missing"));
        assert_eq!(nearest("runpath_leak"), Some("dyn.runpath_leak"));
        assert_eq!(nearest("soname"), Some("dyn.soname"));
        assert_eq!(nearest("weather"), None);
    }
}
