//! Structs in an order in which ctypes can complete them, with their layouts computed again.

use std::collections::{BTreeMap, BTreeSet};

use hoist_schema::abi::{AbiLibrary, AbiStruct, AbiType};

use super::BindingsError;

/// How deep structs and arrays may be nested by value.
const MAX_DEPTH: u32 = 32;

/// Largest struct, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// Structs of all libraries, those that are contained in others first.
///
/// Two libraries may define the same struct, if they define it alike.
pub(super) fn ordered(libraries: &[AbiLibrary]) -> Result<Vec<&AbiStruct>, BindingsError> {
    let mut by_name: BTreeMap<&str, &AbiStruct> = BTreeMap::new();
    let mut order = Vec::new();
    for library in libraries {
        let mut own: BTreeSet<&str> = BTreeSet::new();
        for each in &library.structs {
            let twice = || BindingsError::Twice { what: "the struct", name: each.name.clone() };
            if !own.insert(&each.name) {
                return Err(twice());
            }
            match by_name.insert(&each.name, each) {
                None => order.push(each),
                Some(before) if before == each => {}
                Some(_) => return Err(twice()),
            }
        }
    }
    let mut done = Vec::new();
    for each in order {
        visit(each, &by_name, &mut done, 0)?;
    }
    Ok(done)
}

fn visit<'a>(
    each: &'a AbiStruct,
    by_name: &BTreeMap<&str, &'a AbiStruct>,
    done: &mut Vec<&'a AbiStruct>,
    depth: u32,
) -> Result<(), BindingsError> {
    if done.iter().any(|other| other.name == each.name) {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(BindingsError::Cycle { name: each.name.clone() });
    }
    for field in &each.fields {
        if let Some(name) = contained(&field.kind) {
            let inner = by_name.get(name).ok_or_else(|| BindingsError::NoStruct {
                place: format!("field `{}` of struct `{}`", field.name, each.name),
                name: name.to_owned(),
            })?;
            visit(inner, by_name, done, depth + 1)?;
        }
    }
    check(each, by_name)?;
    done.push(each);
    Ok(())
}

/// The struct that a type holds by value.
fn contained(kind: &AbiType) -> Option<&str> {
    let mut kind = kind;
    loop {
        match kind {
            AbiType::Array { of, .. } => kind = of,
            AbiType::Struct { name } => return Some(name),
            _ => return None,
        }
    }
}

fn check(each: &AbiStruct, by_name: &BTreeMap<&str, &AbiStruct>) -> Result<(), BindingsError> {
    let refuse = |why: String| BindingsError::Layout { name: each.name.clone(), why };
    if each.size == 0 {
        let is_opaque = each.fields.is_empty() && each.align == 0;
        return if is_opaque { Ok(()) } else { Err(refuse("it has no bytes".to_owned())) };
    }
    let (mut end, mut align) = (0_u64, 1_u64);
    for field in &each.fields {
        let (size, own) = size_of(&field.kind, by_name, 0)
            .ok_or_else(|| refuse(format!("`{}` has no size", field.name)))?;
        end = end.next_multiple_of(own);
        if end != field.offset {
            return Err(refuse(format!(
                "`{}` is said to lie at {}, and would at {end}",
                field.name, field.offset
            )));
        }
        end = end
            .checked_add(size)
            .filter(|end| *end <= MAX_BYTES)
            .ok_or_else(|| refuse(format!("it has more than {MAX_BYTES} bytes")))?;
        align = align.max(own);
    }
    let size = end.next_multiple_of(align);
    if (size, align) != (each.size, each.align) {
        return Err(refuse(format!(
            "it is said to have {} bytes, aligned to {}, and would have {size}, aligned to {align}",
            each.size, each.align
        )));
    }
    Ok(())
}

/// Size and alignment in bytes of a value; `None` for what has none.
fn size_of(kind: &AbiType, by_name: &BTreeMap<&str, &AbiStruct>, depth: u32) -> Option<(u64, u64)> {
    let of_bits = |bits: u8| matches!(bits, 8 | 16 | 32 | 64).then(|| u64::from(bits) / 8);
    let alike = |size| (size, size);
    match kind {
        AbiType::Bool | AbiType::Char => Some((1, 1)),
        AbiType::Int { bits, .. } | AbiType::Float { bits: bits @ (32 | 64) } => {
            of_bits(*bits).map(alike)
        }
        AbiType::Pointer { .. } => Some((8, 8)),
        AbiType::Struct { name } => {
            let inner = by_name.get(name.as_str())?;
            (inner.size > 0).then_some((inner.size, inner.align))
        }
        AbiType::Array { length, of } if depth < MAX_DEPTH => {
            let (size, align) = size_of(of, by_name, depth + 1)?;
            Some((size.checked_mul(*length)?, align))
        }
        AbiType::Array { .. } | AbiType::Float { .. } | AbiType::Void | AbiType::Function => None,
    }
}
