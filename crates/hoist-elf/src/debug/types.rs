//! Types as a caller sees them, in an arena, because they refer to each other in circles.

use std::collections::BTreeSet;

/// A type in [`Types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(super) u32);

impl TypeId {
    /// `void`, which every arena has.
    pub const VOID: Self = Self(0);
}

/// One type. Its name is as the source spells it, after its namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `void`, and what other languages call nothing.
    Void,
    /// It is not said, or not where it is said to be.
    Unknown,
    /// A number, a character or a truth value.
    Base(BaseType),
    /// A pointer, or a reference of C++.
    Pointer {
        /// What it points to.
        to: TypeId,
        /// How it is written.
        kind: PointerKind,
    },
    /// A C++ pointer to a member.
    MemberPointer {
        /// Type of the member.
        to: TypeId,
    },
    /// The same type with a qualifier.
    Qualified {
        /// Which.
        qualifier: Qualifier,
        /// The type without it.
        of: TypeId,
    },
    /// Another name of a type.
    Typedef {
        /// The name; empty where a type is only declared and its unit of types is this one's.
        name: String,
        /// What it stands for.
        to: TypeId,
    },
    /// An enum.
    Enum(EnumType),
    /// A struct, union or class.
    Composite(Composite),
    /// An array.
    Array {
        /// Element type.
        of: TypeId,
        /// Number of elements, for each dimension; `None` where it is open.
        lengths: Vec<Option<u64>>,
    },
    /// A function, only behind a pointer.
    Function(Signature),
    /// C++'s type of `nullptr`.
    Nullptr,
}

/// How a pointer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it is")]
pub enum PointerKind {
    Pointer,
    Reference,
    RvalueReference,
}

/// What a qualifier says of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the words of C")]
pub enum Qualifier {
    Const,
    Volatile,
    Restrict,
    Atomic,
}

/// How the bits of a base type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// True or false.
    Bool,
    /// A signed integer.
    Signed,
    /// An unsigned integer.
    Unsigned,
    /// `char`, whose sign is up to the machine.
    Char,
    /// A code point.
    Utf,
    /// A binary floating-point number.
    Float,
    /// Something else, by the number of its `DW_ATE_` constant.
    Other(u8),
}

/// A number, a character or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseType {
    /// Its name; empty when it has none.
    pub name: String,
    /// How its bits are read.
    pub encoding: Encoding,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// An enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumType {
    /// Its name; `None` when it has none.
    pub name: Option<String>,
    /// Its size in bytes; `None` when it is only declared.
    pub size_bytes: Option<u64>,
    /// Names and values, in order of declaration.
    pub enumerators: Vec<(String, i128)>,
}

/// How a composite type is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the words of C and C++")]
pub enum CompositeKind {
    Struct,
    Union,
    Class,
}

/// A struct, union or class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    /// How it is declared.
    pub kind: CompositeKind,
    /// Its name; `None` when it has none.
    pub name: Option<String>,
    /// Its size in bytes; `None` when it is only declared (opaque).
    pub size_bytes: Option<u64>,
    /// Its fields and base classes, in order of declaration.
    pub fields: Vec<Field>,
    /// Its virtual functions by their place in the table, as far as they are its own.
    pub virtual_functions: Vec<(u64, String)>,
    /// What it may hold instead of fields, as the `enum`s of Rust do.
    pub variants: Vec<TypeId>,
}

impl Composite {
    /// Whether only its name is known.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        self.size_bytes.is_none()
    }
}

/// A field of a composite type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; `None` for a struct or union without one inside another, and for base classes.
    pub name: Option<String>,
    /// Where it starts, in bits from the start of the type.
    pub offset_bits: u64,
    /// Width of a bit-field in bits; `None` for a whole field.
    pub width_bits: Option<u64>,
    /// Its type.
    pub kind: TypeId,
    /// Whether it is a base class.
    pub is_base: bool,
}

/// Parameters and result of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// What it returns; [`TypeId::VOID`] for nothing.
    pub result: TypeId,
    /// Its parameters, in order, with the hidden ones of C++ such as `this`.
    pub parameters: Vec<Parameter>,
    /// Whether more arguments may follow (`...`).
    pub is_variadic: bool,
}

impl Default for TypeId {
    fn default() -> Self {
        Self::VOID
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; `None` when it has none.
    pub name: Option<String>,
    /// Its type.
    pub kind: TypeId,
}

/// How many names and qualifiers are looked through; more are only in damaged files, where they
/// may lead in a circle.
const MOST_NAMES: usize = 64;

/// Types that refer to each other by [`TypeId`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    pub(super) all: Vec<Type>,
    /// Size of an address in bytes.
    address_bytes: u64,
}

impl Types {
    pub(super) fn new(address_bytes: u64) -> Self {
        Self { all: vec![Type::Void], address_bytes }
    }

    pub(super) fn add(&mut self, kind: Type) -> TypeId {
        let id = TypeId(u32::try_from(self.all.len()).unwrap_or(0));
        self.all.push(kind);
        id
    }

    /// Size of an address in bytes.
    #[must_use]
    pub fn address_bytes(&self) -> u64 {
        self.address_bytes
    }

    /// The type itself; unknown where `id` is of another arena and there is no such type here.
    #[must_use]
    pub fn get(&self, id: TypeId) -> &Type {
        usize::try_from(id.0).ok().and_then(|index| self.all.get(index)).unwrap_or(&Type::Unknown)
    }

    /// The type behind its names and qualifiers; unknown where they lead in a circle.
    #[must_use]
    pub fn resolve(&self, id: TypeId) -> (TypeId, &Type) {
        let mut id = id;
        for _ in 0..MOST_NAMES {
            match self.get(id) {
                Type::Qualified { of: next, .. } | Type::Typedef { to: next, .. } => id = *next,
                found => return (id, found),
            }
        }
        (id, &Type::Unknown)
    }

    /// Whether the type, behind its names, is `const`.
    #[must_use]
    pub fn is_const(&self, id: TypeId) -> bool {
        let mut id = id;
        for _ in 0..MOST_NAMES {
            match self.get(id) {
                Type::Qualified { qualifier: Qualifier::Const, .. } => return true,
                Type::Qualified { of: next, .. } | Type::Typedef { to: next, .. } => id = *next,
                _ => return false,
            }
        }
        false
    }

    /// Size of a value in bytes; `None` when it is not known.
    #[must_use]
    pub fn size_bytes(&self, id: TypeId) -> Option<u64> {
        let mut id = id;
        let mut count = 1_u64;
        let mut seen = BTreeSet::new();
        loop {
            let (resolved, kind) = self.resolve(id);
            let one = match kind {
                Type::Base(base) => base.size_bytes,
                Type::Pointer { .. } | Type::Nullptr => self.address_bytes,
                Type::Enum(of) => of.size_bytes?,
                Type::Composite(of) => of.size_bytes?,
                Type::MemberPointer { to } => match self.resolve(*to).1 {
                    Type::Function(_) => self.address_bytes * 2,
                    _ => self.address_bytes,
                },
                Type::Array { of, lengths } if seen.insert(resolved) => {
                    for length in lengths {
                        count = count.checked_mul((*length)?)?;
                    }
                    id = *of;
                    continue;
                }
                Type::Void
                | Type::Unknown
                | Type::Function(_)
                | Type::Array { .. }
                | Type::Qualified { .. }
                | Type::Typedef { .. } => return None,
            };
            return one.checked_mul(count);
        }
    }
}
