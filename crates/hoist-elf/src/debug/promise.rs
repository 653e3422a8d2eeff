//! The declarations of a C header as the same types that debug information gives.

use std::collections::BTreeMap;

use hoist_schema::abi::{AbiSignature, AbiType};

use super::types::{
    BaseType, Composite, CompositeKind, Encoding, Field, Parameter, PointerKind, Qualifier,
    Signature, Type, TypeId, Types,
};
use crate::header::Header;

/// The functions of a header, with types that can be held against those of debug information.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTypes {
    /// What the signatures refer to.
    pub types: Types,
    /// Signatures by name.
    pub functions: BTreeMap<String, Signature>,
}

impl Default for HeaderTypes {
    /// A header without functions.
    fn default() -> Self {
        Self { types: Types::new(8), functions: BTreeMap::new() }
    }
}

impl HeaderTypes {
    /// Converts a header, whose types are those of 64-bit Linux.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut of = Converter { types: Types::new(8), structs: BTreeMap::new() };
        for layout in &header.structs {
            let id = of.types.add(Type::Composite(Composite {
                kind: CompositeKind::Struct,
                name: Some(layout.name.clone()),
                size_bytes: (layout.size > 0).then_some(layout.size),
                fields: Vec::new(),
                virtual_functions: Vec::new(),
                variants: Vec::new(),
            }));
            of.structs.insert(layout.name.clone(), id);
        }
        for layout in &header.structs {
            let fields = layout.fields.iter().map(|field| Field {
                name: Some(field.name.clone()),
                offset_bits: field.offset.saturating_mul(8),
                width_bits: None,
                kind: of.convert(&field.kind),
                is_base: false,
            });
            let fields = fields.collect();
            let id = of.structs.get(&layout.name).and_then(|id| usize::try_from(id.0).ok());
            if let Some(Type::Composite(known)) = id.and_then(|id| of.types.all.get_mut(id)) {
                known.fields = fields;
            }
        }
        let mut functions = BTreeMap::new();
        for function in &header.functions {
            if let Some(signature) = &function.signature {
                functions.insert(function.name.clone(), of.signature(signature));
            }
        }
        Self { types: of.types, functions }
    }
}

struct Converter {
    types: Types,
    structs: BTreeMap<String, TypeId>,
}

impl Converter {
    fn signature(&mut self, signature: &AbiSignature) -> Signature {
        let result = self.convert(&signature.result);
        let parameters = signature.parameters.iter().map(|parameter| Parameter {
            name: (!parameter.name.is_empty()).then(|| parameter.name.clone()),
            kind: self.convert(&parameter.kind),
        });
        Signature { result, parameters: parameters.collect(), is_variadic: false }
    }

    /// The header parser bounds how deep types are nested.
    fn convert(&mut self, kind: &AbiType) -> TypeId {
        let base = |name: String, encoding, bits: u8| {
            Type::Base(BaseType { name, encoding, size_bytes: u64::from(bits / 8) })
        };
        let converted = match kind {
            AbiType::Void => return TypeId::VOID,
            AbiType::Bool => base("bool".to_owned(), Encoding::Bool, 8),
            AbiType::Char => base("char".to_owned(), Encoding::Char, 8),
            AbiType::Int { bits, signed: true } => {
                base(format!("int{bits}_t"), Encoding::Signed, *bits)
            }
            AbiType::Int { bits, signed: false } => {
                base(format!("uint{bits}_t"), Encoding::Unsigned, *bits)
            }
            AbiType::Float { bits } => {
                let name = if *bits == 32 { "float" } else { "double" };
                base(name.to_owned(), Encoding::Float, *bits)
            }
            AbiType::Pointer { is_const, to } => {
                let mut to = self.convert(to);
                if *is_const {
                    to = self.types.add(Type::Qualified { qualifier: Qualifier::Const, of: to });
                }
                Type::Pointer { to, kind: PointerKind::Pointer }
            }
            AbiType::Struct { name } => match self.structs.get(name) {
                Some(&id) => return id,
                None => Type::Unknown,
            },
            AbiType::Array { length, of } => {
                Type::Array { of: self.convert(of), lengths: vec![Some(*length)] }
            }
            // Its own signature is not recorded.
            AbiType::Function => {
                let to = self.types.add(Type::Unknown);
                Type::Typedef { name: "function".to_owned(), to }
            }
        };
        self.types.add(converted)
    }
}
