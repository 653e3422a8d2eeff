//! Sizes and offsets of structs.
//!
//! Source: the System V ABI for AMD64, section 3.1.2; the rules are the same on 64-bit Arm.

use hoist_schema::abi::{AbiField, AbiStruct, AbiType};

use super::error::{HeaderError, Place};
use super::types::Types;

/// Size and alignment in bytes.
pub(super) type Layout = (u64, u64);

/// Size and alignment of a value of type `kind`.
pub(super) fn layout_of(
    types: &Types,
    kind: &AbiType,
    place: Place,
) -> Result<Layout, HeaderError> {
    let square = |bits: u8| {
        let bytes = u64::from(bits / 8);
        Ok((bytes, bytes))
    };
    match kind {
        AbiType::Bool | AbiType::Char => Ok((1, 1)),
        AbiType::Int { bits, .. } | AbiType::Float { bits } => square(*bits),
        AbiType::Pointer { .. } => Ok((8, 8)),
        AbiType::Struct { name } => match types.find_struct(name) {
            Some(layout) if layout.size > 0 => Ok((layout.size, layout.align)),
            _ => Err(HeaderError::Incomplete { place, name: name.clone() }),
        },
        AbiType::Array { length, of } => {
            let (size, align) = layout_of(types, of, place)?;
            Ok((size.checked_mul(*length).ok_or_else(|| too_large(place))?, align))
        }
        AbiType::Void | AbiType::Function => Err(HeaderError::Unexpected {
            place,
            found: if *kind == AbiType::Void { "`void`" } else { "a function" }.to_owned(),
            wanted: "a type that has a size",
        }),
    }
}

/// Lays out a struct whose fields are `(name, type, place)`, at least one.
pub(super) fn lay_out(
    types: &Types,
    name: String,
    fields: Vec<(String, AbiType, Place)>,
) -> Result<AbiStruct, HeaderError> {
    let (mut end, mut struct_align) = (0_u64, 1);
    let mut laid_out = Vec::new();
    for (name, kind, place) in fields {
        let (size, align) = layout_of(types, &kind, place)?;
        let too_large = || too_large(place);
        let offset = end.checked_next_multiple_of(align).ok_or_else(too_large)?;
        end = offset.checked_add(size).ok_or_else(too_large)?;
        // Room for the padding at the end is checked here, where the place is known.
        end.checked_next_multiple_of(align.max(struct_align)).ok_or_else(too_large)?;
        struct_align = struct_align.max(align);
        laid_out.push(AbiField { name, offset, kind });
    }
    let size = end.next_multiple_of(struct_align);
    Ok(AbiStruct { name, size, align: struct_align, fields: laid_out })
}

fn too_large(place: Place) -> HeaderError {
    HeaderError::Unsupported {
        place,
        what: "a type of more than 2^64 bytes".to_owned(),
        instead: "use a shorter array",
    }
}
