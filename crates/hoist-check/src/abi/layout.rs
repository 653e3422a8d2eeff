//! Fields, values and signatures of two types that must agree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hoist_elf::debug::{Composite, CompositeKind, EnumType, Field, Type};
use hoist_schema::Severity;

use super::relate::{Mismatch, Pair, Sides};

/// Most differences of one type that a message names.
const MOST_NAMED: usize = 6;

/// What two types disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Size of a struct, or where its fields are and of which type.
    Layout,
    /// Values of an enum.
    Values,
    /// Parameters and result of a function that is called back.
    Signature,
}

/// How two types differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) subject: Subject,
    pub(crate) severity: Severity,
    /// What the type is called; empty when it has no name.
    pub(crate) name: String,
    /// The type as C spells it.
    pub(crate) spelled: String,
    /// All that differs, both sides of each.
    pub(crate) what: String,
}

/// Compares the two types of a pair; the types inside them are added to `pairs`.
///
/// - `is_visible`: whether callers may look into a struct, by its name on the right side.
pub(crate) fn compare(
    sides: &Sides<'_>,
    pair: Pair,
    is_visible: &dyn Fn(&str) -> bool,
    pairs: &mut Vec<Pair>,
) -> Option<Difference> {
    let (left, right) = (sides.left.get(pair.0), sides.right.get(pair.1));
    let (subject, name, found) = match (left, right) {
        (Type::Composite(left), Type::Composite(right)) => {
            if right.name.as_ref().is_some_and(|name| !is_visible(name)) {
                return None;
            }
            let name = left.name.as_ref().or(right.name.as_ref());
            (Subject::Layout, name, composites(sides, left, right, pairs))
        }
        (Type::Enum(left), Type::Enum(right)) => {
            (Subject::Values, left.name.as_ref().or(right.name.as_ref()), values(left, right))
        }
        (Type::Function(left), Type::Function(right)) => {
            (Subject::Signature, None, sides.relate_signatures(left, right, pairs))
        }
        _ => return None,
    };
    let severity = found.iter().map(|mismatch| mismatch.severity).max()?;
    let mut named: Vec<String> =
        found.iter().take(MOST_NAMED).map(|mismatch| mismatch.what.clone()).collect();
    if found.len() > MOST_NAMED {
        named.push(format!("and {} more", found.len() - MOST_NAMED));
    }
    Some(Difference {
        subject,
        severity,
        name: name.cloned().unwrap_or_default(),
        spelled: sides.left.spell(pair.0),
        what: named.join("; "),
    })
}

/// Whether a type belongs to the C++ library, which keeps its layouts by rules of its own and
/// gives those that it changes another name.
fn is_of_std(composite: &Composite) -> bool {
    let name = composite.name.as_deref().unwrap_or_default();
    ["std::", "__gnu_cxx::", "__cxxabiv1::", "core::", "alloc::"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn composites(
    sides: &Sides<'_>,
    left: &Composite,
    right: &Composite,
    pairs: &mut Vec<Pair>,
) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let (Some(before), Some(after)) = (left.size_bytes, right.size_bytes) else { return found };
    if before != after {
        found.push(Mismatch::error(format!("size: {before} → {after} bytes")));
    }
    if is_of_std(left) && is_of_std(right) {
        return found;
    }
    let has_grown = before != after;
    let is_union = |of: &Composite| of.kind == CompositeKind::Union;
    if is_union(left) != is_union(right) {
        // Fields at the same place are no sign of anything then.
        return found;
    }
    // What the bytes of a union are read as is up to those who read them.
    let may_differ = is_union(left) && !has_grown;
    let places = Places::new(left, right);
    let mut matched = BTreeSet::new();
    for field in &left.fields {
        let is_mild = may_differ || is_reserved(field) && !has_grown;
        let most = if is_mild { Severity::Warning } else { Severity::Error };
        let differences = match places.counterpart(sides, field) {
            Some((index, other)) => {
                matched.insert(index);
                fields(sides, field, other, pairs)
            }
            None => vec![Mismatch::error(format!("{} is gone", title(sides, field)))],
        };
        let mild = |found: Mismatch| Mismatch { severity: found.severity.min(most), ..found };
        found.extend(differences.into_iter().map(mild));
    }
    for (index, field) in right.fields.iter().enumerate() {
        if matched.contains(&index) {
            continue;
        }
        let name = field.name.as_deref().unwrap_or("a part without a name");
        let what = format!("`{name}` is new at {}", place(field.offset_bits));
        let in_padding = !has_grown && !is_union(right);
        match (has_grown, in_padding) {
            (true, _) => found.push(Mismatch::error(what)),
            // Where there was nothing, old callers leave what was there before.
            (false, true) => found.push(Mismatch::warning(what)),
            (false, false) => {}
        }
    }
    found.extend(virtual_functions(left, right));
    found
}

/// Most fields of one place that are looked at, as in a union.
const MOST_AT_ONE_PLACE: usize = 16;

/// The fields of the right side by name and by place.
struct Places<'c> {
    fields: &'c [Field],
    by_name: HashMap<&'c str, usize>,
    by_offset: HashMap<u64, Vec<usize>>,
    /// Names on the left side.
    known: HashSet<&'c str>,
}

impl<'c> Places<'c> {
    fn new(left: &'c Composite, right: &'c Composite) -> Self {
        let mut places = Self {
            fields: &right.fields,
            by_name: HashMap::new(),
            by_offset: HashMap::new(),
            known: left.fields.iter().filter_map(|field| field.name.as_deref()).collect(),
        };
        for (index, field) in right.fields.iter().enumerate() {
            if let Some(name) = &field.name {
                places.by_name.entry(name).or_insert(index);
            }
            let there = places.by_offset.entry(field.offset_bits).or_default();
            if there.len() < MOST_AT_ONE_PLACE {
                there.push(index);
            }
        }
        places
    }

    /// The field that took the place of `field`: that of the same name, or one that lies there
    /// and is of the same type, when no other has its name.
    fn counterpart(&self, sides: &Sides<'_>, field: &Field) -> Option<(usize, &'c Field)> {
        let name = field.name.as_deref();
        if let Some(&index) = name.and_then(|name| self.by_name.get(name)) {
            return self.fields.get(index).map(|other| (index, other));
        }
        let there = self.by_offset.get(&field.offset_bits)?.iter();
        let mut others = there.filter_map(|&index| Some((index, self.fields.get(index)?)));
        others.find(|(_, other)| {
            let is_taken = other.name.as_deref().is_some_and(|name| self.known.contains(name));
            let is_same = other.width_bits == field.width_bits && other.is_base == field.is_base;
            is_same && !is_taken && sides.relate(field.kind, other.kind, &mut Vec::new()).is_none()
        })
    }
}

/// Compares where two fields are and what they hold.
fn fields(sides: &Sides<'_>, left: &Field, right: &Field, pairs: &mut Vec<Pair>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let name = title(sides, left);
    if left.offset_bits != right.offset_bits {
        let (before, after) = (place(left.offset_bits), place(right.offset_bits));
        found.push(Mismatch::error(format!("{name}: {before} → {after}")));
    }
    if left.width_bits != right.width_bits {
        let width = |field: &Field| match field.width_bits {
            Some(bits) => format!("{bits} bits"),
            None => "whole".to_owned(),
        };
        let what = format!("{name}: {} → {}", width(left), width(right));
        found.push(Mismatch::error(what));
    }
    if let Some(mismatch) = sides.relate(left.kind, right.kind, pairs) {
        found.push(Mismatch { what: format!("{name}: {}", mismatch.what), ..mismatch });
    }
    found
}

/// Whether a field is only there so that another can take its place.
fn is_reserved(field: &Field) -> bool {
    let name = field.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    ["reserved", "unused", "padding", "spare"].iter().any(|word| name.contains(word))
        || name.trim_matches(|letter: char| letter == '_' || letter.is_ascii_digit()) == "pad"
}

fn title(sides: &Sides<'_>, field: &Field) -> String {
    match &field.name {
        Some(name) => format!("`{name}`"),
        None if field.is_base => format!("base class `{}`", sides.left.spell(field.kind)),
        None => format!("the part at {}", place(field.offset_bits)),
    }
}

fn place(offset_bits: u64) -> String {
    match offset_bits % 8 {
        0 => format!("byte {}", offset_bits / 8),
        bit => format!("byte {} bit {bit}", offset_bits / 8),
    }
}

/// Callers find a virtual function by its number.
fn virtual_functions(left: &Composite, right: &Composite) -> Vec<Mismatch> {
    let by_place = |of: &'_ Composite| -> BTreeMap<u64, String> {
        of.virtual_functions.iter().cloned().collect()
    };
    let (before, after) = (by_place(left), by_place(right));
    let mut found = Vec::new();
    for (place, name) in &before {
        let now = after.get(place);
        if now != Some(name) {
            let now = now.map_or_else(|| "nothing".to_owned(), |now| format!("`{now}`"));
            found.push(Mismatch::error(format!("virtual function {place}: `{name}` → {now}")));
        }
    }
    for (place, name) in &after {
        if !before.contains_key(place) {
            found.push(Mismatch::warning(format!("virtual function {place} is new: `{name}`")));
        }
    }
    found
}

fn values(left: &EnumType, right: &EnumType) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if left.size_bytes.is_none() || right.size_bytes.is_none() {
        return found;
    }
    let by_name =
        |of: &EnumType| -> HashMap<String, i128> { of.enumerators.iter().cloned().collect() };
    let (before, after) = (by_name(left), by_name(right));
    // The names that are new, by their values.
    let new_names: HashMap<i128, &String> = right
        .enumerators
        .iter()
        .filter(|(name, _)| !before.contains_key(name))
        .map(|(name, value)| (*value, name))
        .collect();
    let mut renamed = HashSet::new();
    for (name, value) in &left.enumerators {
        match after.get(name) {
            Some(now) if now == value => {}
            Some(now) => {
                // Programs seldom hand over how many there are.
                let is_count =
                    counts_others(name) && right.enumerators.len() > left.enumerators.len();
                let severity = if is_count { Severity::Warning } else { Severity::Error };
                found.push(Mismatch { severity, what: format!("`{name}`: {value} → {now}") });
            }
            None => found.push(match new_names.get(value) {
                Some(other) => {
                    renamed.insert(*other);
                    Mismatch::warning(format!("{value}: `{name}` → `{other}`"))
                }
                None => Mismatch::error(format!("`{name}` = {value} is gone")),
            }),
        }
    }
    for (name, value) in &right.enumerators {
        if !before.contains_key(name) && !renamed.contains(name) {
            let what = format!("`{name}` = {value} is new");
            found.push(Mismatch { severity: Severity::Info, what });
        }
    }
    found
}

/// Whether an enumerator stands for how many there are.
fn counts_others(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["COUNT", "MAX", "LAST", "END", "SIZE", "TOTAL"].iter().any(|word| name.ends_with(word))
        || name.contains("NUM")
        || name.contains("NB_")
}
