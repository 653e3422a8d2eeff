//! Names of C as names of Python, and texts as literals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hoist_schema::abi::{AbiFunction, AbiStruct};
use hoist_schema::python::{is_identifier, is_keyword};

use super::BindingsError;

/// Longest name that is taken, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// Names at the level of the module that are not a struct's to take: the module's own, and
/// built-in ones that it uses or that a reader would miss.
const TAKEN: &[&str] = &[
    "LIBRARIES",
    "Library",
    "PACKAGE",
    "SYSTEM",
    "VERSION",
    "load",
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "BufferError",
    "EOFError",
    "Ellipsis",
    "Exception",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
    "KeyError",
    "LookupError",
    "MemoryError",
    "NameError",
    "NotImplemented",
    "OSError",
    "OverflowError",
    "RuntimeError",
    "StopIteration",
    "SystemError",
    "TypeError",
    "ValueError",
    "Warning",
    "abs",
    "all",
    "any",
    "ascii",
    "bin",
    "bool",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "compile",
    "complex",
    "delattr",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "eval",
    "exec",
    "exit",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "help",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "locals",
    "map",
    "max",
    "memoryview",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "quit",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "vars",
    "zip",
];

/// Attributes of a loaded library that are not a function's to take.
const LIBRARY_ATTRIBUTES: &[&str] = &["paths"];

/// What Python calls the structs and functions.
pub(super) struct Names<'a> {
    structs: BTreeMap<&'a str, String>,
    functions: BTreeMap<&'a str, String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        structs: &[&'a AbiStruct],
        functions: &[&'a AbiFunction],
    ) -> Result<Self, BindingsError> {
        for each in structs {
            check("the struct", &each.name)?;
            let fields: Vec<&str> = each.fields.iter().map(|field| field.name.as_str()).collect();
            for field in &fields {
                check("the field", field)?;
            }
            once("the field", &fields)?;
        }
        for function in functions {
            check("the function", &function.name)?;
            let parameters = function.signature.iter().flat_map(|signature| &signature.parameters);
            for parameter in parameters.filter(|parameter| !parameter.name.is_empty()) {
                check("the parameter", &parameter.name)?;
            }
        }
        let names: Vec<&str> = structs.iter().map(|each| each.name.as_str()).collect();
        let functions: Vec<&str> = functions.iter().map(|each| each.name.as_str()).collect();
        once("the function", &functions)?;
        Ok(Self {
            structs: all(&names, |name| TAKEN.contains(&name) || name.starts_with("_hoist_")),
            functions: all(&functions, |name| LIBRARY_ATTRIBUTES.contains(&name)),
        })
    }

    /// The class of a struct, which was checked to be there.
    pub(super) fn of_struct<'s>(&'s self, name: &'s str) -> &'s str {
        self.structs.get(name).map_or(name, String::as_str)
    }

    /// The attribute of a function.
    pub(super) fn of_function<'s>(&'s self, name: &'s str) -> &'s str {
        self.functions.get(name).map_or(name, String::as_str)
    }
}

/// The names of a struct's fields, in order.
pub(super) fn of_fields(each: &AbiStruct) -> Vec<String> {
    let names: Vec<&str> = each.fields.iter().map(|field| field.name.as_str()).collect();
    // ctypes reads some attributes of the class itself: `_fields_`, `_pack_` and others.
    let given = all(&names, |name| name.starts_with('_') && name.ends_with('_'));
    names.iter().map(|name| given[name].clone()).collect()
}

/// The names of a function's parameters, in order; one without a name gets its number.
pub(super) fn of_parameters(names: &[&str]) -> Vec<String> {
    let mut used = BTreeSet::from(["self".to_owned()]);
    let mut given = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let mut name =
            if name.is_empty() { format!("argument_{index}") } else { (*name).to_owned() };
        // One that begins with two underscores is positional only, which those after it are too.
        while is_keyword(&name) || name.starts_with("__") || used.contains(&name) {
            if name.starts_with("__") {
                name = format!("argument_{}", name.trim_start_matches('_'));
            }
            name.push('_');
        }
        used.insert(name.clone());
        given.push(name);
    }
    given
}

/// Gives each name, with underscores behind it until it is free.
fn all<'n>(names: &[&'n str], is_taken: impl Fn(&str) -> bool) -> BTreeMap<&'n str, String> {
    let bad = |name: &str| {
        is_keyword(name) || is_taken(name) || name.starts_with("__") && name.ends_with("__")
    };
    let mut used: BTreeSet<String> =
        names.iter().filter(|name| !bad(name)).map(|&name| name.to_owned()).collect();
    let mut given = BTreeMap::new();
    for &name in names {
        let mut python = name.to_owned();
        if bad(name) {
            // `class` → `class_`, `__init__` → `__init__c`.
            python.push(if name.ends_with('_') { 'c' } else { '_' });
            while used.contains(&python) || bad(&python) {
                python.push('c');
            }
            used.insert(python.clone());
        }
        given.insert(name, python);
    }
    given
}

fn check(what: &'static str, name: &str) -> Result<(), BindingsError> {
    let is_identifier = name.len() <= MAX_NAME_BYTES && is_identifier(name);
    if is_identifier {
        return Ok(());
    }
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Err(BindingsError::Name { what, name })
}

fn once(what: &'static str, names: &[&str]) -> Result<(), BindingsError> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(**name)) {
        Some(name) => Err(BindingsError::Twice { what, name: (*name).to_owned() }),
        None => Ok(()),
    }
}

/// A text as a Python literal, in ASCII.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                literal.push('\\');
                literal.push(character);
            }
            ' '..='~' => literal.push(character),
            _ => {
                let _ = write!(literal, "\\U{:08x}", u32::from(character));
            }
        }
    }
    literal.push('"');
    literal
}
