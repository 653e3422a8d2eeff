//! Types of C as ctypes, as Python's types, and as C writes them.

use hoist_schema::abi::{AbiFunction, AbiStruct, AbiType};

use super::{BindingsError, Plan};

/// How deep pointers and arrays may be nested.
const MAX_DEPTH: u32 = 32;

/// Most parameters of a function.
const MAX_PARAMETERS: usize = 256;

/// Refuses types that are not where C could have them, and structs that are not there.
pub(super) fn check_function(
    function: &AbiFunction,
    structs: &[&AbiStruct],
) -> Result<(), BindingsError> {
    let place = format!("function `{}`", function.name);
    let Some(signature) = &function.signature else { return Ok(()) };
    if signature.parameters.len() > MAX_PARAMETERS {
        return Err(BindingsError::Type { place, why: "it has more than 256 parameters" });
    }
    if signature.result != AbiType::Void {
        check_value(&signature.result, structs, &place)?;
    }
    signature.parameters.iter().try_for_each(|each| check_value(&each.kind, structs, &place))
}

/// Refuses what cannot be passed by value.
fn check_value(kind: &AbiType, structs: &[&AbiStruct], place: &str) -> Result<(), BindingsError> {
    let refuse = |why| Err(BindingsError::Type { place: place.to_owned(), why });
    match kind {
        AbiType::Void => refuse("`void` as a value"),
        AbiType::Array { .. } => refuse("an array as a value"),
        AbiType::Function => refuse("a function as a value"),
        AbiType::Struct { name } => match find(structs, name) {
            Some(each) if each.size == 0 => refuse("an opaque struct as a value"),
            _ => check(kind, structs, place),
        },
        _ => check(kind, structs, place),
    }
}

/// Refuses what ctypes does not have, at any depth.
pub(super) fn check(
    kind: &AbiType,
    structs: &[&AbiStruct],
    place: &str,
) -> Result<(), BindingsError> {
    let refuse = |why| Err(BindingsError::Type { place: place.to_owned(), why });
    let mut kind = kind;
    for _ in 0..MAX_DEPTH {
        kind = match kind {
            AbiType::Pointer { to, .. } => to,
            AbiType::Array { of, .. } => of,
            AbiType::Int { bits: 8 | 16 | 32 | 64, .. } | AbiType::Float { bits: 32 | 64 } => {
                return Ok(());
            }
            AbiType::Int { .. } | AbiType::Float { .. } => return refuse("an unknown width"),
            AbiType::Struct { name } if find(structs, name).is_none() => {
                return Err(BindingsError::NoStruct {
                    place: place.to_owned(),
                    name: name.chars().take(80).flat_map(char::escape_debug).collect(),
                });
            }
            _ => return Ok(()),
        };
    }
    refuse("it is nested too deep")
}

fn find<'a>(structs: &[&'a AbiStruct], name: &str) -> Option<&'a AbiStruct> {
    structs.iter().find(|each| each.name == name).copied()
}

impl Plan<'_> {
    fn is_opaque(&self, name: &str) -> bool {
        find(&self.structs, name).is_none_or(|each| each.size == 0)
    }

    /// A value as ctypes holds it: a result, a field, or what a pointer leads to.
    pub(super) fn ctype(&self, kind: &AbiType) -> String {
        const C: &str = "_hoist_ctypes";
        match kind {
            AbiType::Void => "None".to_owned(),
            AbiType::Bool => format!("{C}.c_bool"),
            AbiType::Char => format!("{C}.c_char"),
            AbiType::Int { bits, signed } => {
                format!("{C}.c_{}int{bits}", if *signed { "" } else { "u" })
            }
            AbiType::Float { bits: 32 } => format!("{C}.c_float"),
            AbiType::Float { .. } => format!("{C}.c_double"),
            AbiType::Struct { name } => self.names.of_struct(name).to_owned(),
            AbiType::Array { length, of } => format!("({} * {length})", self.ctype(of)),
            AbiType::Function => format!("{C}.c_void_p"),
            AbiType::Pointer { is_const, to } => match &**to {
                AbiType::Char if *is_const => format!("{C}.c_char_p"),
                // A text that may be written is the caller's to free: bytes would be a copy.
                AbiType::Void | AbiType::Char | AbiType::Function => format!("{C}.c_void_p"),
                target => format!("{C}.POINTER({})", self.ctype(target)),
            },
        }
    }

    /// A parameter as ctypes converts it.
    pub(super) fn parameter(&self, kind: &AbiType) -> String {
        let AbiType::Pointer { is_const, to } = kind else { return self.ctype(kind) };
        let writable = if *is_const { "False" } else { "True" };
        match element(to) {
            AbiType::Function => "_hoist_Callback".to_owned(),
            AbiType::Struct { name } if self.is_opaque(name) => self.ctype(kind),
            AbiType::Void | AbiType::Pointer { .. } => format!("_hoist_memory(None, {writable})"),
            element => format!("_hoist_memory({}, {writable})", self.ctype(element)),
        }
    }

    /// A value as Python sees it: a result or a field.
    pub(super) fn python(&self, kind: &AbiType) -> String {
        match kind {
            AbiType::Void => "None".to_owned(),
            AbiType::Bool => "bool".to_owned(),
            AbiType::Char => "bytes".to_owned(),
            AbiType::Int { .. } => "int".to_owned(),
            AbiType::Float { .. } => "float".to_owned(),
            AbiType::Struct { name } => self.names.of_struct(name).to_owned(),
            AbiType::Array { of, .. } if **of == AbiType::Char => "bytes".to_owned(),
            AbiType::Array { of, .. } => format!("_hoist_ctypes.Array[{}]", self.target(of)),
            AbiType::Function => "int | None".to_owned(),
            AbiType::Pointer { is_const, to } => match &**to {
                AbiType::Char if *is_const => "bytes | None".to_owned(),
                AbiType::Void | AbiType::Char | AbiType::Function => "int | None".to_owned(),
                target => format!("_hoist_ctypes._Pointer[{}]", self.target(target)),
            },
        }
    }

    /// What a pointer or an array is of, as a type checker knows it.
    fn target(&self, kind: &AbiType) -> String {
        match kind {
            AbiType::Array { of, .. } => format!("_hoist_ctypes.Array[{}]", self.target(of)),
            AbiType::Pointer { to, .. }
                if !matches!(**to, AbiType::Void | AbiType::Char | AbiType::Function) =>
            {
                format!("_hoist_ctypes._Pointer[{}]", self.target(to))
            }
            _ => self.ctype(kind),
        }
    }

    /// What a parameter takes.
    pub(super) fn taken(&self, kind: &AbiType) -> String {
        let AbiType::Pointer { is_const, to } = kind else { return self.python(kind) };
        match element(to) {
            AbiType::Function => "_hoist_Callback".to_owned(),
            AbiType::Struct { name } if self.is_opaque(name) => {
                format!("{} | _hoist_ctypes._CArgObject | None", self.python(kind))
            }
            _ if *is_const => "_hoist_Readable".to_owned(),
            _ => "_hoist_Writable".to_owned(),
        }
    }
}

/// What lies where a pointer leads: the element of an array.
fn element(kind: &AbiType) -> &AbiType {
    let mut kind = kind;
    while let AbiType::Array { of, .. } = kind {
        kind = of;
    }
    kind
}

/// A function as C declares it.
pub(super) fn declaration(function: &AbiFunction) -> String {
    let Some(signature) = &function.signature else {
        return format!("{}: no signature is promised", function.name);
    };
    let parameters: Vec<String> =
        signature.parameters.iter().map(|each| declare(&each.kind, &each.name, false)).collect();
    let parameters = if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
    declare(&signature.result, &format!("{}({parameters})", function.name), false)
}

/// `declarator` declared as `kind`, from the inside out as C reads.
fn declare(kind: &AbiType, declarator: &str, is_const: bool) -> String {
    let constant = if is_const { "const " } else { "" };
    let base = match kind {
        AbiType::Pointer { is_const: target, to } => {
            let star = if is_const { "*const " } else { "*" };
            return declare(to, format!("{star}{declarator}").trim_end(), *target);
        }
        AbiType::Array { length, of } => {
            let inner = if declarator.starts_with('*') {
                format!("({declarator})")
            } else {
                declarator.to_owned()
            };
            return declare(of, &format!("{inner}[{length}]"), is_const);
        }
        AbiType::Function => return format!("void ({declarator})()"),
        AbiType::Void => "void".to_owned(),
        AbiType::Bool => "bool".to_owned(),
        AbiType::Char => "char".to_owned(),
        AbiType::Int { bits, signed } => format!("{}int{bits}_t", if *signed { "" } else { "u" }),
        AbiType::Float { bits: 32 } => "float".to_owned(),
        AbiType::Float { .. } => "double".to_owned(),
        AbiType::Struct { name } => format!("struct {name}"),
    };
    format!("{constant}{base} {declarator}").trim_end().to_owned()
}
