//! The last look at an edited library: is it what was asked for, and nothing else?

use std::ops::Range;
use std::sync::Arc;

use crate::edit::rewrite::file_ranges;
use crate::edit::{Edit, EditError, Rewritten};
use crate::facts::ElfFacts;
use crate::segments::{Segment, SegmentKind};
use crate::spec::{DF_1_NOW, DF_BIND_NOW};
use crate::symbols::Place;

/// Holds an edited library against the original: its facts are those of the original but for what
/// the edits say, and so is every loaded byte outside [`Rewritten::changed`].
///
/// # Errors
///
/// [`EditError::Doubtful`], which says what differs, and [`EditError::Unreadable`].
pub fn verify_edit(
    original: &[u8],
    rewritten: &Rewritten,
    edits: &[Edit],
) -> Result<(), EditError> {
    let before = ElfFacts::read(original)?;
    let after = ElfFacts::read(&rewritten.bytes)?;
    check_segments(&before.segments, &after.segments, edits)?;
    for load in file_ranges(&before.segments) {
        check_bytes(original, rewritten, &load)?;
    }
    let mut expected = before;
    for edit in edits {
        expect_edit(&mut expected, edit);
    }
    let mut found = after;
    if edits.contains(&Edit::BindNow) {
        if !found.dynamic.binds_now() {
            return Err(doubtful("it does not bind symbols when it is loaded"));
        }
        for dynamic in [&mut expected.dynamic, &mut found.dynamic] {
            dynamic.flags |= DF_BIND_NOW;
            dynamic.flags_1 |= DF_1_NOW;
        }
    }
    // What names the end of the last segment, as `_end` does, lies in it when it grew.
    for (old, new) in expected.symbols.iter_mut().zip(&found.symbols) {
        if old.place == Place::Nowhere {
            old.place = new.place;
        }
    }
    // Where things lie was compared above.
    expected.segments.clone_from(&found.segments);
    expected.sections.clone_from(&found.sections);
    expected.used_bytes = found.used_bytes;
    if expected.dynamic != found.dynamic {
        return Err(doubtful("the dynamic section"));
    }
    if expected != found {
        return Err(doubtful("symbols or versions"));
    }
    Ok(())
}

fn doubtful(what: &str) -> EditError {
    EditError::Doubtful { what: what.to_owned() }
}

/// Makes the edit in the facts alone.
fn expect_edit(facts: &mut ElfFacts, edit: &Edit) {
    let dynamic = &mut facts.dynamic;
    match edit {
        Edit::Runpath(runpath) => {
            dynamic.runpath.clone_from(runpath);
            dynamic.rpath = None;
        }
        Edit::Soname(soname) => dynamic.soname = Some(soname.clone()),
        Edit::ReplaceNeeded { from, to } if from != to => {
            let is_there = dynamic.needed.contains(to);
            let mut seen = is_there;
            dynamic.needed = std::mem::take(&mut dynamic.needed)
                .into_iter()
                .filter_map(|name| match name {
                    name if name != *from => Some(name),
                    _ if seen => None,
                    _ => {
                        seen = true;
                        Some(to.clone())
                    }
                })
                .collect();
            let renamed: Arc<str> = to.as_str().into();
            for need in facts.version_needs.iter_mut().filter(|need| *need.library == **from) {
                need.library = Arc::clone(&renamed);
            }
        }
        Edit::AddNeeded(name) => {
            if !dynamic.needed.contains(name) {
                dynamic.needed.push(name.clone());
            }
        }
        Edit::RemoveNeeded(name) => dynamic.needed.retain(|needed| needed != name),
        Edit::ReplaceNeeded { .. } | Edit::BindNow | Edit::NonExecutableStack => {}
    }
}

/// Checks that every segment is where it was, and that what was added comes after all of them.
fn check_segments(before: &[Segment], after: &[Segment], edits: &[Edit]) -> Result<(), EditError> {
    let clears_stack = edits.contains(&Edit::NonExecutableStack);
    let of = |segments: &[Segment], is_load: bool| -> Vec<Segment> {
        let all = segments.iter().copied();
        all.filter(|it| (it.kind == SegmentKind::Load) == is_load && !is_spare(*it)).collect()
    };
    let (loads_before, loads_after) = (of(before, true), of(after, true));
    let last = loads_before.len().saturating_sub(1);
    for (index, old) in loads_before.iter().enumerate() {
        let Some(new) = loads_after.get(index) else {
            return Err(doubtful("a loadable segment is gone"));
        };
        let grew = Segment {
            file_size_bytes: new.file_size_bytes,
            memory_size_bytes: new.memory_size_bytes,
            ..*old
        };
        let has_grown = index == last
            && *new == grew
            && new.file_size_bytes == new.memory_size_bytes
            && new.file_size_bytes >= old.memory_size_bytes;
        if old != new && !has_grown {
            return Err(doubtful("a loadable segment"));
        }
    }
    if loads_after.len() > loads_before.len() + 1 {
        return Err(doubtful("the number of loadable segments"));
    }
    let (others_before, others_after) = (of(before, false), of(after, false));
    if others_before.len() != others_after.len() {
        return Err(doubtful("the number of program headers"));
    }
    for (old, new) in others_before.iter().zip(&others_after) {
        let may_move = matches!(old.kind, SegmentKind::Dynamic) || is_table(*old);
        let is_same = match old.kind {
            SegmentKind::GnuStack if clears_stack => {
                *new == Segment { flags: old.flags & !1, ..*old }
                    || new == old && !new.is_executable()
            }
            _ if may_move => {
                new.kind == old.kind && new.flags == old.flags && new.align == old.align
            }
            _ => new == old,
        };
        if !is_same {
            return Err(doubtful("a program header"));
        }
    }
    let runs = after.iter().rev().find(|it| it.kind == SegmentKind::GnuStack);
    if clears_stack && runs.is_none_or(Segment::is_executable) {
        return Err(doubtful("the stack may still run"));
    }
    Ok(())
}

fn is_spare(segment: Segment) -> bool {
    segment.kind == SegmentKind::Other(0)
}

fn is_table(segment: Segment) -> bool {
    segment.kind == SegmentKind::Other(crate::spec::PT_PHDR)
}

/// Checks that the bytes of one loadable segment differ in the changed ranges only.
fn check_bytes(original: &[u8], rewritten: &Rewritten, load: &Range<u64>) -> Result<(), EditError> {
    let mut at = load.start;
    let inside = |range: &&Range<u64>| range.start < load.end && load.start < range.end;
    let end_of_file = load.end..load.end;
    for range in rewritten.changed.iter().filter(inside).chain([&end_of_file]) {
        let until = range.start.max(at);
        let (old, new) = (part(original, at, until), part(&rewritten.bytes, at, until));
        if old.is_none() || old != new {
            return Err(EditError::Doubtful {
                what: format!("a byte between {at:#x} and {:#x}", range.start),
            });
        }
        at = at.max(range.end);
    }
    Ok(())
}

fn part(bytes: &[u8], start: u64, end: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}
