//! From entries to types and signatures.

use std::collections::HashMap;

use gimli::{AttributeValue, Operation, constants};

use super::error::DebugError;
use super::exports::{Index, MOST_COMPLETIONS, completed_by};
use super::types::{
    BaseType, Composite, CompositeKind, Encoding, EnumType, Field, Parameter, PointerKind,
    Qualifier, Signature, Type, TypeId, Types,
};
use super::units::{Bytes, Entry, EntryAt, Units, Value};

/// Most types that are read of one file; C++ libraries with 100 MB of debug information have
/// fewer in their signatures.
const MOST_TYPES: usize = 1 << 20;

/// Reads types, each once, however many others refer to it.
pub(super) struct Reader<'r, 'a> {
    units: &'r Units<'a>,
    index: &'r Index,
    pub(super) types: Types,
    known: HashMap<EntryAt, TypeId>,
    /// Types that have a number and were not read yet.
    waiting: Vec<(TypeId, EntryAt)>,
    pub(super) damage: Option<DebugError>,
}

impl<'r, 'a> Reader<'r, 'a> {
    pub(super) fn new(units: &'r Units<'a>, index: &'r Index, address_bytes: u64) -> Self {
        Self {
            units,
            index,
            types: Types::new(address_bytes),
            known: HashMap::new(),
            waiting: Vec::new(),
            damage: None,
        }
    }

    /// What an entry describes: a function with its signature, or a variable with its type.
    pub(super) fn described(&mut self, at: EntryAt) -> Result<Option<Described>, DebugError> {
        let tag = self.units.entry(at)?.tag();
        let described = match tag {
            constants::DW_TAG_subprogram => Described::Function(self.signature_of(at)?),
            constants::DW_TAG_variable => {
                let Some(kind) = self.type_through(at)? else { return Ok(None) };
                Described::Variable(kind)
            }
            _ => return Ok(None),
        };
        self.read_waiting();
        Ok(Some(described))
    }

    /// Reads the types that were referred to, and those they refer to, until none is left.
    fn read_waiting(&mut self) {
        while let Some((id, at)) = self.waiting.pop() {
            let kind = match self.read(at) {
                Ok(kind) => kind,
                Err(error) => {
                    self.damage.get_or_insert(error);
                    Type::Unknown
                }
            };
            if let Some(place) =
                usize::try_from(id.0).ok().and_then(|id| self.types.all.get_mut(id))
            {
                *place = kind;
            }
        }
    }

    /// Gives structs and enums without a name that of a typedef that stands for them.
    pub(super) fn name_by_typedefs(&mut self) {
        let mut names: Vec<(TypeId, String)> = Vec::new();
        for kind in &self.types.all {
            if let Type::Typedef { name, to } = kind
                && !name.is_empty()
            {
                names.push((*to, name.clone()));
            }
        }
        for (id, typedef) in names {
            let kind = usize::try_from(id.0).ok().and_then(|id| self.types.all.get_mut(id));
            if let Some(
                Type::Composite(Composite { name: name @ None, .. })
                | Type::Enum(EnumType { name: name @ None, .. }),
            ) = kind
            {
                *name = Some(typedef);
            }
        }
    }

    /// The number of the type at `at`, which is read later.
    fn type_at(&mut self, at: EntryAt) -> TypeId {
        if let Some(&known) = self.known.get(&at) {
            return known;
        }
        let id = self.types.add(Type::Unknown);
        self.known.insert(at, id);
        if self.types.all.len() <= MOST_TYPES {
            self.waiting.push((id, at));
        }
        id
    }

    /// The type that an entry names; `void` when it names none.
    fn type_of(&mut self, unit: usize, entry: &Entry<'a>) -> TypeId {
        let Some(value) = entry.attr_value(constants::DW_AT_type) else { return TypeId::VOID };
        match self.units.target(unit, &value) {
            Some(at) => self.type_at(at),
            None => self.types.add(Type::Unknown),
        }
    }

    /// The type that an entry names, or what it is an instance or the definition of.
    fn type_through(&mut self, at: EntryAt) -> Result<Option<TypeId>, DebugError> {
        let mut at = at;
        for _ in 0..MOST_COMPLETIONS {
            let entry = self.units.entry(at)?;
            if entry.attr(constants::DW_AT_type).is_some() {
                return Ok(Some(self.type_of(at.unit, &entry)));
            }
            let Some(next) = completed_by(self.units, at.unit, &entry) else { break };
            at = next;
        }
        Ok(None)
    }

    /// The signature of a function.
    ///
    /// An instance of an inline function lists what is left of its parameters, so they are those
    /// of its origin.
    fn signature_of(&mut self, at: EntryAt) -> Result<Signature, DebugError> {
        let result = self.type_through(at)?.unwrap_or(TypeId::VOID);
        let mut at = at;
        for _ in 0..MOST_COMPLETIONS {
            let entry = self.units.entry(at)?;
            let origin = self.units.follow(at.unit, &entry, constants::DW_AT_abstract_origin);
            let Some(origin) = origin else { break };
            at = origin;
        }
        let mut signature = self.parameters(at)?;
        signature.result = result;
        Ok(signature)
    }

    fn parameters(&mut self, at: EntryAt) -> Result<Signature, DebugError> {
        let mut signature = Signature::default();
        let units = self.units;
        units.children(
            at,
            |_, _| false,
            |entry| {
                match entry.tag() {
                    constants::DW_TAG_formal_parameter => {
                        let here = EntryAt { unit: at.unit, offset: entry.offset().0 };
                        let kind = self.type_through(here)?.unwrap_or(TypeId::VOID);
                        let name = units.name(at.unit, entry)?;
                        signature.parameters.push(Parameter { name, kind });
                    }
                    constants::DW_TAG_unspecified_parameters => signature.is_variadic = true,
                    _ => {}
                }
                Ok(())
            },
        )?;
        Ok(signature)
    }

    fn read(&mut self, at: EntryAt) -> Result<Type, DebugError> {
        let entry = self.units.entry(at)?;
        let unit = at.unit;
        let pointer = |kind| move |to| Type::Pointer { to, kind };
        let qualified = |qualifier| move |of| Type::Qualified { qualifier, of };
        Ok(match entry.tag() {
            constants::DW_TAG_base_type => self.base_type(unit, &entry)?,
            constants::DW_TAG_pointer_type => {
                pointer(PointerKind::Pointer)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_reference_type => {
                pointer(PointerKind::Reference)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_rvalue_reference_type => {
                pointer(PointerKind::RvalueReference)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_ptr_to_member_type => {
                Type::MemberPointer { to: self.type_of(unit, &entry) }
            }
            constants::DW_TAG_const_type => qualified(Qualifier::Const)(self.type_of(unit, &entry)),
            constants::DW_TAG_volatile_type => {
                qualified(Qualifier::Volatile)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_restrict_type => {
                qualified(Qualifier::Restrict)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_atomic_type => {
                qualified(Qualifier::Atomic)(self.type_of(unit, &entry))
            }
            constants::DW_TAG_typedef | constants::DW_TAG_template_alias => {
                let name = self.scoped_name(at, &entry)?.unwrap_or_default();
                Type::Typedef { name, to: self.type_of(unit, &entry) }
            }
            constants::DW_TAG_structure_type => {
                self.composite(at, &entry, CompositeKind::Struct)?
            }
            constants::DW_TAG_class_type => self.composite(at, &entry, CompositeKind::Class)?,
            constants::DW_TAG_union_type => self.composite(at, &entry, CompositeKind::Union)?,
            constants::DW_TAG_enumeration_type => self.enumeration(at, &entry)?,
            constants::DW_TAG_array_type => self.array(at, &entry)?,
            constants::DW_TAG_subroutine_type => {
                let result = self.type_of(unit, &entry);
                Type::Function(Signature { result, ..self.parameters(at)? })
            }
            constants::DW_TAG_unspecified_type => match self.units.name(unit, &entry)?.as_deref() {
                Some("void") => Type::Void,
                Some("decltype(nullptr)" | "std::nullptr_t" | "nullptr_t") => Type::Nullptr,
                _ => Type::Unknown,
            },
            _ => Type::Unknown,
        })
    }

    fn scoped_name(&self, at: EntryAt, entry: &Entry<'a>) -> Result<Option<String>, DebugError> {
        let name = self.units.name(at.unit, entry)?;
        let Some(name) = name else { return Ok(None) };
        Ok(Some(self.index.scope_of(self.units, at)? + &name))
    }

    fn base_type(&self, unit: usize, entry: &Entry<'a>) -> Result<Type, DebugError> {
        let name = self.units.name(unit, entry)?.unwrap_or_default();
        let size_bytes = number(entry, constants::DW_AT_byte_size)
            .or_else(|| Some(number(entry, constants::DW_AT_bit_size)?.div_ceil(8)))
            .unwrap_or(0);
        let encoding = match entry.attr_value(constants::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => constants::DwAte(0),
        };
        if size_bytes == 0 {
            return Ok(Type::Void); // `()` and `!` of Rust
        }
        let encoding = match encoding {
            constants::DW_ATE_boolean => Encoding::Bool,
            // Whose sign is up to the machine.
            constants::DW_ATE_signed_char | constants::DW_ATE_unsigned_char if name == "char" => {
                Encoding::Char
            }
            constants::DW_ATE_signed | constants::DW_ATE_signed_char => Encoding::Signed,
            constants::DW_ATE_unsigned
            | constants::DW_ATE_unsigned_char
            | constants::DW_ATE_address => Encoding::Unsigned,
            constants::DW_ATE_UTF => Encoding::Utf,
            constants::DW_ATE_float => Encoding::Float,
            other => Encoding::Other(other.0),
        };
        Ok(Type::Base(BaseType { name, encoding, size_bytes }))
    }

    fn composite(
        &mut self,
        at: EntryAt,
        entry: &Entry<'a>,
        kind: CompositeKind,
    ) -> Result<Type, DebugError> {
        // The declaration of a type that has a unit of its own.
        if entry.attr(constants::DW_AT_signature).is_some() {
            let target = self.units.follow(at.unit, entry, constants::DW_AT_signature);
            if let Some(target) = target.filter(|target| *target != at) {
                return Ok(Type::Typedef { name: String::new(), to: self.type_at(target) });
            }
        }
        let is_declared = entry.attr(constants::DW_AT_declaration).is_some();
        let size = number(entry, constants::DW_AT_byte_size).filter(|_| !is_declared);
        let mut composite = Composite {
            kind,
            name: self.scoped_name(at, entry)?,
            size_bytes: size,
            fields: Vec::new(),
            virtual_functions: Vec::new(),
            variants: Vec::new(),
        };
        let units = self.units;
        let is_field_of_variant = |depth, tag| depth == 3 && tag == constants::DW_TAG_member;
        let mut is_in_variants = false;
        units.children(at, is_field_of_variant, |child| {
            if child.depth() == 1 {
                is_in_variants = child.tag() == constants::DW_TAG_variant_part;
            }
            match child.tag() {
                constants::DW_TAG_member if child.depth() > 1 && is_in_variants => {
                    composite.variants.push(self.type_of(at.unit, child));
                }
                constants::DW_TAG_member | constants::DW_TAG_inheritance if child.depth() == 1 => {
                    composite.fields.extend(self.field(at.unit, child)?);
                }
                constants::DW_TAG_subprogram => {
                    composite.virtual_functions.extend(self.virtual_function(at.unit, child)?);
                }
                _ => {}
            }
            Ok(())
        })?;
        composite.virtual_functions.sort();
        Ok(Type::Composite(composite))
    }

    /// A field that is in every object; `None` for one that the class has once.
    fn field(&mut self, unit: usize, entry: &Entry<'a>) -> Result<Option<Field>, DebugError> {
        let is_static = entry.attr(constants::DW_AT_external).is_some()
            || entry.attr(constants::DW_AT_declaration).is_some();
        if is_static {
            return Ok(None);
        }
        let kind = self.type_of(unit, entry);
        let start_bits = self.member_start(unit, entry).saturating_mul(8);
        let width_bits = number(entry, constants::DW_AT_bit_size);
        let offset_bits = match (number(entry, constants::DW_AT_data_bit_offset), width_bits) {
            (Some(offset), _) => start_bits.saturating_add(offset),
            // DWARF 2 and 3 count from the highest bit of the field's storage.
            (None, Some(width)) => {
                let from_top = number(entry, constants::DW_AT_bit_offset).unwrap_or(0);
                let storage = number(entry, constants::DW_AT_byte_size).unwrap_or(4);
                let from_bottom =
                    storage.saturating_mul(8).saturating_sub(from_top).saturating_sub(width);
                start_bits.saturating_add(from_bottom)
            }
            (None, None) => start_bits,
        };
        let is_base = entry.tag() == constants::DW_TAG_inheritance;
        let name = if is_base { None } else { self.units.name(unit, entry)? };
        Ok(Some(Field { name, offset_bits, width_bits, kind, is_base }))
    }

    /// Where a field starts, in bytes; 0 where that is computed while the program runs, as for
    /// virtual base classes.
    fn member_start(&self, unit: usize, entry: &Entry<'a>) -> u64 {
        match entry.attr_value(constants::DW_AT_data_member_location) {
            Some(AttributeValue::Exprloc(expression)) => {
                match self.first_operation(unit, expression) {
                    Some(Operation::PlusConstant { value }) => value,
                    _ => 0,
                }
            }
            Some(value) => value.udata_value().unwrap_or(0),
            None => 0,
        }
    }

    fn virtual_function(
        &self,
        unit: usize,
        entry: &Entry<'a>,
    ) -> Result<Option<(u64, String)>, DebugError> {
        let place = entry.attr_value(constants::DW_AT_vtable_elem_location);
        let Some(AttributeValue::Exprloc(expression)) = place else { return Ok(None) };
        let place = match self.first_operation(unit, expression) {
            Some(Operation::UnsignedConstant { value }) => value,
            Some(Operation::SignedConstant { value }) => u64::try_from(value).unwrap_or(0),
            _ => return Ok(None),
        };
        let name = self.units.name(unit, entry)?;
        Ok(name.map(|name| (place, name)))
    }

    fn first_operation(
        &self,
        unit: usize,
        expression: gimli::Expression<Bytes<'a>>,
    ) -> Option<Operation<Bytes<'a>>> {
        expression.operations(self.units.all.get(unit)?.encoding()).next().ok()?
    }

    fn enumeration(&mut self, at: EntryAt, entry: &Entry<'a>) -> Result<Type, DebugError> {
        let is_declared = entry.attr(constants::DW_AT_declaration).is_some();
        let size_bytes = number(entry, constants::DW_AT_byte_size).filter(|_| !is_declared);
        let mut enumerators = Vec::new();
        let units = self.units;
        units.children(
            at,
            |_, _| false,
            |child| {
                let value =
                    child.attr(constants::DW_AT_const_value).and_then(|attribute| match attribute
                        .value()
                    {
                        AttributeValue::Sdata(value) => Some(i128::from(value)),
                        value => value.udata_value().map(i128::from),
                    });
                if child.tag() == constants::DW_TAG_enumerator
                    && let (Some(name), Some(value)) = (units.name(at.unit, child)?, value)
                {
                    enumerators.push((name, value));
                }
                Ok(())
            },
        )?;
        Ok(Type::Enum(EnumType { name: self.scoped_name(at, entry)?, size_bytes, enumerators }))
    }

    fn array(&mut self, at: EntryAt, entry: &Entry<'a>) -> Result<Type, DebugError> {
        let mut lengths = Vec::new();
        self.units.children(
            at,
            |_, _| false,
            |child| {
                if child.tag() == constants::DW_TAG_subrange_type {
                    let count = number(child, constants::DW_AT_count);
                    // An array of none ends before its first element.
                    let by_bound =
                        || Some(number(child, constants::DW_AT_upper_bound)?.wrapping_add(1));
                    lengths.push(count.or_else(by_bound));
                }
                Ok(())
            },
        )?;
        if lengths.is_empty() {
            lengths.push(None);
        }
        Ok(Type::Array { of: self.type_of(at.unit, entry), lengths })
    }
}

/// What an entry describes.
pub(super) enum Described {
    Function(Signature),
    Variable(TypeId),
}

/// A number that is not negative.
fn number(entry: &Entry<'_>, name: constants::DwAt) -> Option<u64> {
    let value: Value<'_> = entry.attr_value(name)?;
    value.udata_value()
}
