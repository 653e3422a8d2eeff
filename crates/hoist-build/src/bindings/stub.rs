//! The stub: `NAME.pyi`, for type checkers.

use std::fmt::Write as _;

use hoist_schema::abi::{AbiFunction, AbiStruct};

use super::Plan;
use super::names::{of_fields, of_parameters, quoted};
use super::types::declaration;

/// What every stub begins with.
const PRELUDE: &str = "\
# Written by `hoist bindgen python` from the ABI file. Do not edit.

import ctypes as _hoist_ctypes
from _ctypes import CFuncPtr as _hoist_CFuncPtr
from os import PathLike as _hoist_PathLike
from typing import Any as _hoist_Any, Final as _hoist_Final
from typing_extensions import TypeAlias as _hoist_Alias

from _typeshed import ReadableBuffer as _hoist_Read, WriteableBuffer as _hoist_Write

_hoist_Pointing: _hoist_Alias = (
    _hoist_ctypes._Pointer[_hoist_Any]
    | _hoist_ctypes._CArgObject
    | _hoist_ctypes.c_void_p
    | _hoist_ctypes.c_char_p
    | int
    | None
)
_hoist_Readable: _hoist_Alias = _hoist_Read | _hoist_Pointing
_hoist_Writable: _hoist_Alias = _hoist_Write | _hoist_Pointing
_hoist_Callback: _hoist_Alias = _hoist_CFuncPtr | _hoist_ctypes.c_void_p | int | None

# Type checkers know no difference between memory that may be written and memory that may not; the
# module does.
PACKAGE: _hoist_Final[str]
VERSION: _hoist_Final[str]
SYSTEM: _hoist_Final[str]
LIBRARIES: _hoist_Final[tuple[str, ...]]

def load(path: str | _hoist_PathLike[str] | None = None) -> Library: ...
";

pub(super) fn write(plan: &Plan<'_>) -> String {
    let mut text = PRELUDE.to_owned();
    for each in &plan.structs {
        declare_struct(&mut text, plan, each);
    }
    text.push_str("\nclass Library:\n    paths: tuple[str, ...]\n");
    for function in plan.libraries.iter().flat_map(|(_, functions)| functions) {
        declare_function(&mut text, plan, function);
    }
    text
}

/// Instead of parameters that have a field's name and type.
const ANY_FIELDS: &str = ", *fields: _hoist_Any, **named: _hoist_Any";

fn declare_struct(text: &mut String, plan: &Plan<'_>, each: &AbiStruct) {
    let class = plan.names.of_struct(&each.name);
    let _ = write!(text, "\nclass {class}(_hoist_ctypes.Structure):\n");
    if each.fields.is_empty() {
        text.push_str("    pass\n");
        return;
    }
    let mut parameters = String::new();
    let names = of_fields(each);
    for (name, field) in names.iter().zip(&each.fields) {
        let kind = plan.python(&field.kind);
        let _ = writeln!(text, "    {name}: {kind}");
        let _ = write!(parameters, ", {name}: {kind} = ...");
    }
    // A parameter that begins with two underscores would be positional only.
    let is_plain = !names.iter().any(|name| name.starts_with("__"));
    let parameters = if is_plain { &*parameters } else { ANY_FIELDS };
    // A field may be called `self`.
    let _ = writeln!(text, "    def __init__(_hoist_self, /{parameters}) -> None: ...");
}

fn declare_function(text: &mut String, plan: &Plan<'_>, function: &AbiFunction) {
    let name = plan.names.of_function(&function.name);
    let about = quoted(&declaration(function));
    let Some(signature) = &function.signature else {
        let _ = write!(
            text,
            "    def {name}(self, *arguments: _hoist_Any) -> _hoist_Any:\n        {about}\n"
        );
        return;
    };
    let names: Vec<&str> = signature.parameters.iter().map(|each| each.name.as_str()).collect();
    let mut parameters = String::new();
    for (name, each) in of_parameters(&names).iter().zip(&signature.parameters) {
        let _ = write!(parameters, ", {name}: {}", plan.taken(&each.kind));
    }
    if !names.is_empty() {
        parameters.push_str(", /");
    }
    let result = plan.python(&signature.result);
    let _ = write!(text, "    def {name}(self{parameters}) -> {result}:\n        {about}\n");
}
