//! Whether two types are the same to a caller that knows one of them.

use hoist_elf::debug::{
    BaseType, Composite, Encoding, PointerKind, Signature, Type, TypeId, Types,
};
use hoist_schema::Severity;

/// How many pointers and arrays are followed; more are hardly ever written by hand.
const MOST_STEPS: usize = 16;

/// Largest result in bytes that is returned in registers.
///
/// Source: the System V ABI for AMD64, section 3.2.3; the same on 64-bit Arm.
const REGISTER_RESULT_BYTES: u64 = 16;

/// Size of an enum in C.
const ENUM_BYTES: u64 = 4;

/// The two sides of a comparison: what callers know, and what the library has now.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'t> {
    /// Types of the promise: a header, or the previous build.
    pub(crate) left: &'t Types,
    /// Types of the library.
    pub(crate) right: &'t Types,
    /// Whether the left side is a header, of which enums are known as integers, and whose `const`
    /// not every language can say.
    pub(crate) is_header: bool,
}

/// Two types that must have the same layout, values or signature.
pub(crate) type Pair = (TypeId, TypeId);

/// A difference that callers notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) severity: Severity,
    /// Which part, and both sides of it: `parameter 2 (`n`): 32-bit integer → 64-bit integer`.
    pub(crate) what: String,
}

impl Mismatch {
    pub(crate) fn error(what: String) -> Self {
        Self { severity: Severity::Error, what }
    }

    pub(crate) fn warning(what: String) -> Self {
        Self { severity: Severity::Warning, what }
    }

    fn within(self, part: &str) -> Self {
        Self { what: format!("{part}: {}", self.what), ..self }
    }
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Handed over, or a field.
    Itself,
    /// Behind a pointer: nothing is handed over, but the bytes are read.
    Behind,
}

impl Sides<'_> {
    /// How two signatures differ for a caller. Structs, enums and functions among their types
    /// are added to `pairs`, and are not looked into.
    pub(crate) fn relate_signatures(
        &self,
        left: &Signature,
        right: &Signature,
        pairs: &mut Vec<Pair>,
    ) -> Vec<Mismatch> {
        let mut found = Vec::new();
        found.extend(self.relate_results(left.result, right.result, pairs));
        let counts = (left.parameters.len(), right.parameters.len());
        if counts.0 != counts.1 {
            let what = format!("number of parameters: {} → {}", counts.0, counts.1);
            found.push(Mismatch::error(what));
        }
        for (index, (left, right)) in left.parameters.iter().zip(&right.parameters).enumerate() {
            let name = left.name.as_ref().or(right.name.as_ref());
            let part = match name {
                Some(name) => format!("parameter {} (`{name}`)", index + 1),
                None => format!("parameter {}", index + 1),
            };
            let mismatch = self.relate(left.kind, right.kind, pairs);
            let mismatch = mismatch.or_else(|| self.lost_const(left.kind, right.kind));
            found.extend(mismatch.map(|mismatch| mismatch.within(&part)));
        }
        let words = |is_variadic| if is_variadic { "any number" } else { "no" };
        if left.is_variadic != right.is_variadic {
            let (before, after) = (words(left.is_variadic), words(right.is_variadic));
            let what = format!("further arguments (`...`): {before} → {after}");
            found.push(Mismatch::error(what));
        }
        found
    }

    fn relate_results(
        &self,
        left: TypeId,
        right: TypeId,
        pairs: &mut Vec<Pair>,
    ) -> Option<Mismatch> {
        let (left_kind, right_kind) = (value(self.left, left).1, value(self.right, right).1);
        let what = || self.both(left, right);
        let mismatch = match (left_kind, right_kind) {
            (Type::Void, Type::Void | Type::Unknown) | (Type::Unknown, Type::Void) => None,
            // The caller would have to say where the result goes.
            (Type::Void, Type::Composite(result))
                if result.size_bytes.is_none_or(|size| size > REGISTER_RESULT_BYTES) =>
            {
                Some(Mismatch::error(what()))
            }
            (Type::Void, _) => Some(Mismatch::warning(what())),
            (_, Type::Void) => Some(Mismatch::error(what())),
            _ => self.relate(left, right, pairs),
        };
        mismatch.map(|mismatch| mismatch.within("result"))
    }

    fn lost_const(&self, left: TypeId, right: TypeId) -> Option<Mismatch> {
        let (Type::Pointer { to: before, .. }, Type::Pointer { to: after, .. }) =
            (value(self.left, left).1, value(self.right, right).1)
        else {
            return None;
        };
        let is_lost =
            !self.is_header && self.left.is_const(*before) && !self.right.is_const(*after);
        is_lost.then(|| {
            Mismatch::warning(format!(
                "what it points to may be written: {}",
                self.spell(left, right)
            ))
        })
    }

    /// How two values differ for a caller; see [`Sides::relate_signatures`] for `pairs`.
    pub(crate) fn relate(
        &self,
        left: TypeId,
        right: TypeId,
        pairs: &mut Vec<Pair>,
    ) -> Option<Mismatch> {
        let (mut left, mut right, mut place) = (left, right, Place::Itself);
        for _ in 0..MOST_STEPS {
            let ((left_id, left_kind), (right_id, right_kind)) =
                (value(self.left, left), value(self.right, right));
            match (left_kind, right_kind) {
                (Type::Unknown, _)
                | (_, Type::Unknown)
                | (Type::Void, Type::Void)
                | (Type::Nullptr, Type::Nullptr | Type::Pointer { .. })
                | (Type::Pointer { .. }, Type::Nullptr) => return None,
                // `void *` is whatever both sides agree on.
                (Type::Void, _) | (_, Type::Void) if place == Place::Behind => return None,
                (Type::Pointer { to: next_left, .. }, Type::Pointer { to: next_right, .. }) => {
                    (left, right, place) = (*next_left, *next_right, Place::Behind);
                }
                (Type::Composite(_), Type::Composite(_))
                | (Type::Function(_), Type::Function(_)) => {
                    pairs.push((left_id, right_id));
                    return None;
                }
                (Type::Enum(_), Type::Enum(_)) => {
                    pairs.push((left_id, right_id));
                    return self.relate_numbers(left, right, place);
                }
                (Type::Base(_) | Type::Enum(_), Type::Base(_) | Type::Enum(_)) => {
                    return self.relate_numbers(left, right, place);
                }
                (
                    Type::Array { of: next_left, lengths: before },
                    Type::Array { of: next_right, lengths: after },
                ) => {
                    if place == Place::Itself && has_other_length(before, after) {
                        return Some(Mismatch::error(self.both(left, right)));
                    }
                    (left, right) = (*next_left, *next_right);
                }
                // An array behind a pointer is where its first element is.
                (Type::Array { of, .. }, _) if place == Place::Behind => left = *of,
                (_, Type::Array { of, .. }) if place == Place::Behind => right = *of,
                (Type::Composite(of), _) if let Some(only) = only_field(self.left, of) => {
                    left = only;
                }
                (_, Type::Composite(of)) if let Some(only) = only_field(self.right, of) => {
                    right = only;
                }
                _ => return self.relate_others((left, left_kind), (right, right_kind), place),
            }
        }
        None
    }

    /// Compares what is of different kinds.
    fn relate_others(
        &self,
        (left, left_kind): (TypeId, &Type),
        (right, right_kind): (TypeId, &Type),
        place: Place,
    ) -> Option<Mismatch> {
        let sizes = (self.left.size_bytes(left), self.right.size_bytes(right));
        let has_same_size = sizes.0.is_some() && sizes.0 == sizes.1;
        let is_bytes = is_byte_array(self.left, left_kind) || is_byte_array(self.right, right_kind);
        let is_member = matches!(
            (left_kind, right_kind),
            (Type::MemberPointer { .. }, Type::MemberPointer { .. })
        );
        if has_same_size && (is_bytes || is_member) {
            return None;
        }
        let is_address = |base: &BaseType| base.encoding == Encoding::Unsigned && has_same_size;
        let is_questionable = match (left_kind, right_kind) {
            _ if place == Place::Behind => true,
            // `uintptr_t` and `size_t` carry addresses.
            (Type::Base(base), Type::Pointer { .. }) | (Type::Pointer { .. }, Type::Base(base)) => {
                is_address(base)
            }
            _ => false,
        };
        let severity = if is_questionable { Severity::Warning } else { Severity::Error };
        Some(Mismatch { severity, what: self.both(left, right) })
    }

    fn relate_numbers(&self, left: TypeId, right: TypeId, place: Place) -> Option<Mismatch> {
        let (before, after) = (number(self.left, left)?, number(self.right, right)?);
        let has_same_class = before.class == after.class;
        let differs_in_sign = before.is_signed.is_some_and(|sign| after.is_signed == Some(!sign));
        if has_same_class && before.size_bytes == after.size_bytes && !differs_in_sign {
            return None;
        }
        let differs_in_sign_only = has_same_class && before.size_bytes == after.size_bytes;
        let may_be_enum =
            self.is_header && before.size_bytes == ENUM_BYTES && before.is_signed == Some(false);
        let is_questionable = match place {
            Place::Behind => {
                before.size_bytes == 1 || after.size_bytes == 1 || differs_in_sign_only
            }
            Place::Itself => differs_in_sign_only && may_be_enum,
        };
        let severity = if is_questionable { Severity::Warning } else { Severity::Error };
        Some(Mismatch { severity, what: self.both(left, right) })
    }

    /// Both sides in a few words, and as they are written where that says more.
    fn both(&self, left: TypeId, right: TypeId) -> String {
        let (before, after) = (describe(self.left, left), describe(self.right, right));
        if before == after { self.spell(left, right) } else { format!("{before} → {after}") }
    }

    pub(crate) fn spell(&self, left: TypeId, right: TypeId) -> String {
        format!("`{}` → `{}`", self.left.spell(left), self.right.spell(right))
    }
}

/// What a number is to a caller.
struct Number {
    class: Class,
    size_bytes: u64,
    /// `None` where both readings are usual: bytes, enums, code points.
    is_signed: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Integer,
    Float,
    Other(u8),
}

/// `None` where the size is not known.
fn number(types: &Types, id: TypeId) -> Option<Number> {
    match value(types, id).1 {
        Type::Enum(of) => {
            Some(Number { class: Class::Integer, size_bytes: of.size_bytes?, is_signed: None })
        }
        Type::Base(base) => {
            let size_bytes = base.size_bytes;
            let (class, is_signed) = match base.encoding {
                Encoding::Signed => (Class::Integer, Some(true)),
                Encoding::Unsigned => (Class::Integer, Some(false)),
                Encoding::Bool | Encoding::Char | Encoding::Utf => (Class::Integer, None),
                Encoding::Float => (Class::Float, None),
                Encoding::Other(other) => (Class::Other(other), None),
            };
            Some(Number { class, size_bytes, is_signed: is_signed.filter(|_| size_bytes > 1) })
        }
        _ => None,
    }
}

/// The type behind names, qualifiers, and Rust's ways to write a pointer that may be null.
pub(crate) fn value(types: &Types, id: TypeId) -> (TypeId, &Type) {
    let (id, kind) = types.resolve(id);
    match kind {
        Type::Composite(of) if of.size_bytes == Some(types.address_bytes()) => {
            let pointer = of.variants.iter().find_map(|&variant| match types.resolve(variant).1 {
                Type::Composite(of) => match &of.fields[..] {
                    [only] => Some(types.resolve(only.kind))
                        .filter(|(_, kind)| matches!(kind, Type::Pointer { .. })),
                    _ => None,
                },
                _ => None,
            });
            pointer.unwrap_or((id, kind))
        }
        // Rust's `c_void` is an enum, so that nobody makes one.
        Type::Enum(of) if of.name.as_deref().is_some_and(is_c_void) => (TypeId::VOID, &Type::Void),
        _ => (id, kind),
    }
}

fn is_c_void(name: &str) -> bool {
    name == "c_void" || name.ends_with("::c_void")
}

/// The type of the only field, where it fills its struct: both are passed in the same way.
fn only_field(types: &Types, composite: &Composite) -> Option<TypeId> {
    let mut fields =
        composite.fields.iter().filter(|field| types.size_bytes(field.kind) != Some(0));
    let (only, None) = (fields.next()?, fields.next()) else { return None };
    let fills = only.offset_bits == 0
        && only.width_bits.is_none()
        && composite.size_bytes.is_some()
        && types.size_bytes(only.kind) == composite.size_bytes;
    fills.then_some(only.kind)
}

/// Whether two arrays have another number of elements; open ones may have any.
fn has_other_length(before: &[Option<u64>], after: &[Option<u64>]) -> bool {
    let count = |lengths: &[Option<u64>]| {
        lengths.iter().try_fold(1_u64, |count, length| count.checked_mul((*length)?))
    };
    count(before).is_some_and(|before| count(after).is_some_and(|after| before != after))
}

fn is_byte_array(types: &Types, kind: &Type) -> bool {
    match kind {
        Type::Array { of, .. } => types.size_bytes(*of) == Some(1),
        _ => false,
    }
}

/// What a type is to a caller, in a few words.
fn describe(types: &Types, id: TypeId) -> String {
    let bits = |bytes: u64| bytes.saturating_mul(8);
    match value(types, id).1 {
        Type::Void => "nothing".to_owned(),
        Type::Base(base) => match base.encoding {
            Encoding::Bool => "bool".to_owned(),
            Encoding::Signed => format!("{}-bit signed integer", bits(base.size_bytes)),
            Encoding::Unsigned => format!("{}-bit unsigned integer", bits(base.size_bytes)),
            Encoding::Float => format!("{}-bit float", bits(base.size_bytes)),
            Encoding::Char | Encoding::Utf | Encoding::Other(_) => format!("`{}`", base.name),
        },
        Type::Pointer { kind: PointerKind::Pointer, .. } => "pointer".to_owned(),
        Type::Enum(of) if of.size_bytes.is_some_and(|size| size != 4) => {
            let size = of.size_bytes.unwrap_or(0);
            format!("`{}` of {} bits", types.spell(id), bits(size))
        }
        Type::Composite(Composite { size_bytes: Some(size), .. }) => {
            format!("`{}` of {size} bytes", types.spell(id))
        }
        _ => format!("`{}`", types.spell(id)),
    }
}
