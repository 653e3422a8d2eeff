//! Names of types, and what they stand for.

use std::collections::BTreeMap;

use hoist_schema::abi::{AbiStruct, AbiType};

use super::error::{HeaderError, Place};
use super::tokens::MAX_DEPTH;

/// A type with the qualifier that matters to callers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Qualified {
    pub(super) kind: AbiType,
    pub(super) is_const: bool,
}

impl Qualified {
    pub(super) fn plain(kind: AbiType) -> Self {
        Self { kind, is_const: false }
    }
}

/// Every type a header names.
#[derive(Debug, Default)]
pub(super) struct Types {
    pub(super) typedefs: BTreeMap<String, Qualified>,
    /// Structs in order of declaration; opaque until their fields are seen.
    pub(super) structs: Vec<AbiStruct>,
    by_name: BTreeMap<String, usize>,
    pub(super) enums: BTreeMap<String, AbiType>,
    /// Values of enumerators.
    pub(super) constants: BTreeMap<String, i128>,
}

const fn int(bits: u8, signed: bool) -> AbiType {
    AbiType::Int { bits, signed }
}

/// A type of `<stdint.h>`, `<stddef.h>` or `<sys/types.h>` on 64-bit Linux.
///
/// Source: glibc's `stdint.h`; the System V ABI for AMD64, figure 3.1.
pub(super) fn standard_type(name: &str) -> Option<AbiType> {
    Some(match name {
        "int8_t" | "int_least8_t" | "int_fast8_t" => int(8, true),
        "uint8_t" | "uint_least8_t" | "uint_fast8_t" => int(8, false),
        "int16_t" | "int_least16_t" => int(16, true),
        "uint16_t" | "uint_least16_t" | "char16_t" => int(16, false),
        "int32_t" | "int_least32_t" | "wchar_t" => int(32, true),
        "uint32_t" | "uint_least32_t" | "char32_t" => int(32, false),
        "int64_t" | "int_least64_t" | "int_fast16_t" | "int_fast32_t" | "int_fast64_t"
        | "intptr_t" | "ptrdiff_t" | "intmax_t" | "ssize_t" => int(64, true),
        "uint64_t" | "uint_least64_t" | "uint_fast16_t" | "uint_fast32_t" | "uint_fast64_t"
        | "uintptr_t" | "size_t" | "uintmax_t" => int(64, false),
        _ => return None,
    })
}

impl Types {
    /// The type a typedef's name stands for.
    pub(super) fn named(&self, name: &str) -> Option<Qualified> {
        let standard = || standard_type(name).map(Qualified::plain);
        self.typedefs.get(name).cloned().or_else(standard)
    }

    pub(super) fn find_struct(&self, name: &str) -> Option<&AbiStruct> {
        self.by_name.get(name).map(|&index| &self.structs[index])
    }

    /// Notes that `struct name` exists.
    pub(super) fn declare_struct(&mut self, name: &str) {
        if self.by_name.contains_key(name) {
            return;
        }
        self.by_name.insert(name.to_owned(), self.structs.len());
        self.structs.push(opaque(name.to_owned()));
    }

    /// Gives a struct its fields.
    pub(super) fn define_struct(
        &mut self,
        place: Place,
        layout: AbiStruct,
    ) -> Result<(), HeaderError> {
        self.declare_struct(&layout.name);
        let known = &mut self.structs[self.by_name[&layout.name]];
        if known.size > 0 && *known != layout {
            return Err(HeaderError::Conflict { place, name: layout.name });
        }
        *known = layout;
        Ok(())
    }

    /// Takes the fields of a struct away, as if it were only declared.
    pub(super) fn forget_fields(&mut self, name: &str) {
        if let Some(&index) = self.by_name.get(name) {
            self.structs[index] = opaque(name.to_owned());
        }
    }

    pub(super) fn define_typedef(
        &mut self,
        place: Place,
        name: &str,
        meaning: Qualified,
    ) -> Result<(), HeaderError> {
        let known = self.named(name);
        if known.is_some_and(|known| known != meaning) {
            return Err(HeaderError::Conflict { place, name: name.to_owned() });
        }
        self.typedefs.insert(name.to_owned(), meaning);
        Ok(())
    }

    /// The structs that `kinds` lead to, in order of declaration.
    pub(super) fn reachable_structs<'t>(
        &self,
        kinds: impl Iterator<Item = &'t AbiType>,
    ) -> Vec<AbiStruct> {
        let mut is_reached = vec![false; self.structs.len()];
        let mut to_visit: Vec<usize> = kinds.filter_map(|kind| self.struct_within(kind)).collect();
        while let Some(index) = to_visit.pop() {
            if !std::mem::replace(&mut is_reached[index], true) {
                let fields = &self.structs[index].fields;
                to_visit.extend(fields.iter().filter_map(|field| self.struct_within(&field.kind)));
            }
        }
        let reached = self.structs.iter().zip(is_reached).filter(|(_, is_reached)| *is_reached);
        reached.map(|(layout, _)| layout.clone()).collect()
    }

    fn struct_within(&self, kind: &AbiType) -> Option<usize> {
        match kind {
            AbiType::Struct { name } => self.by_name.get(name).copied(),
            AbiType::Pointer { to: inner, .. } | AbiType::Array { of: inner, .. } => {
                self.struct_within(inner)
            }
            _ => None,
        }
    }
}

/// A struct whose fields are not known.
pub(super) fn opaque(name: String) -> AbiStruct {
    AbiStruct { name, size: 0, align: 0, fields: Vec::new() }
}

/// Checks that a type made of `kind` and `more` pointers or arrays stays shallow, so that walking
/// it needs little stack.
pub(super) fn check_depth(kind: &AbiType, more: usize, place: Place) -> Result<(), HeaderError> {
    let mut depth = more;
    let mut kind = kind;
    while let AbiType::Pointer { to: inner, .. } | AbiType::Array { of: inner, .. } = kind {
        depth += 1;
        kind = inner;
    }
    if depth > MAX_DEPTH {
        return Err(HeaderError::TooDeep { place, limit: MAX_DEPTH });
    }
    Ok(())
}
