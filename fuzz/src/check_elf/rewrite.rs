//! Edits of libraries.

use hoist_elf::ElfFacts;
use hoist_elf::edit::{Edit, Layout, rewrite as edit, split_debug, verify_edit};

/// Any library is edited or refused. What comes out says what was asked for and otherwise what the
/// library said; the edit made twice is the edit made once.
///
/// The first byte chooses the edit, the second is the length of a name, which follows; the library
/// is the rest.
pub fn rewrite(bytes: &[u8]) {
    let [kind, length, rest @ ..] = bytes else { return };
    let Some((name, library)) = rest.split_at_checked(usize::from(*length)) else { return };
    let name = String::from_utf8_lossy(name).into_owned();
    let needed = || {
        let facts = ElfFacts::read(library).ok()?;
        facts.dynamic.needed.first().cloned()
    };
    let change = match kind % 8 {
        0 => Edit::Runpath(None),
        1 => Edit::Runpath(Some(name)),
        2 => Edit::Soname(name),
        3 => Edit::ReplaceNeeded { from: needed().unwrap_or_default(), to: name },
        4 => Edit::AddNeeded(name),
        5 => Edit::RemoveNeeded(needed().unwrap_or_default()),
        6 => Edit::BindNow,
        _ => Edit::NonExecutableStack,
    };
    let edits = [change];
    if let Ok(edited) = edit(library, &edits) {
        verify_edit(library, &edited, &edits).expect("an edit verifies itself");
        // What grows may end as long as it was: padding before the section headers goes.
        assert!(edited.layout != Layout::InPlace || edited.bytes.len() == library.len());
        let renames = matches!(edits[0], Edit::ReplaceNeeded { .. } | Edit::RemoveNeeded(_));
        if !renames {
            let again = edit(&edited.bytes, &edits).expect("what was edited can be edited");
            assert!(again.bytes == edited.bytes, "the same edit again changes something");
        }
    }
    if let Ok(split) = split_debug(library, "library.debug") {
        let facts = ElfFacts::read(&split.library).expect("a split verifies itself");
        assert!(!facts.sections.has_debug_info);
    }
}
