"""From ABI types to ctypes: struct classes, argument types and result types.

- `_Bool`, `char`, integers, `float` and `double` become the ctypes type of the same width.
- `const char *` becomes `c_char_p`: pass `bytes` or None, get `bytes` (a copy) or None.
- Every other pointer becomes `c_void_p`: pass an address (an int, e.g. a numpy array's
  `.ctypes.data` or `address(array)`), a ctypes array or pointer, `byref(struct)`, a callback,
  `bytes` for input only, or None; get an int, or None for a null pointer. It is the cheapest
  argument ctypes knows, and it checks no element type: `address(array, c_float)` does.
- A struct by value becomes its `ctypes.Structure` class.

ctypes cuts integers to the parameter's width without a word, and passes `str` to a pointer as
wide characters: encode texts first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from .abi import (
    AbiSignature,
    AbiStruct,
    AbiType,
    Array,
    Bool,
    Char,
    Float,
    Int,
    Pointer,
    Struct,
    Void,
)
from .errors import AbiInvalid, quote

StructClasses = dict[str, type[ctypes.Structure]]

_INTEGERS: dict[tuple[int, bool], Any] = {
    (8, True): ctypes.c_int8,
    (16, True): ctypes.c_int16,
    (32, True): ctypes.c_int32,
    (64, True): ctypes.c_int64,
    (8, False): ctypes.c_uint8,
    (16, False): ctypes.c_uint16,
    (32, False): ctypes.c_uint32,
    (64, False): ctypes.c_uint64,
}

# Attributes by which a class speaks to ctypes and Python: a field of that name would be obeyed.
_RESERVED = ("_fields_", "_pack_", "_align_", "_layout_", "_anonymous_", "_swappedbytes_")


def ctype_of(kind: AbiType, structs: Mapping[str, type[ctypes.Structure]]) -> Any:
    """Returns the ctypes type of `kind`; None for `void`, as ctypes writes it.

    `structs` holds the class of every struct that `kind` has by value.
    """
    if isinstance(kind, Int):
        return _INTEGERS[kind.bits, kind.signed]
    if isinstance(kind, Float):
        return ctypes.c_float if kind.bits == 32 else ctypes.c_double
    if isinstance(kind, Pointer):
        return ctypes.c_char_p if kind.const and kind.to == Char() else ctypes.c_void_p
    if isinstance(kind, Struct):
        return structs[kind.name]
    if isinstance(kind, Array):
        return ctype_of(kind.of, structs) * kind.length
    return {Void: None, Bool: ctypes.c_bool, Char: ctypes.c_char}[type(kind)]


def bind(
    function: Any,
    signature: AbiSignature | None,
    structs: Mapping[str, type[ctypes.Structure]],
) -> None:
    """Sets `argtypes` and `restype` of a ctypes function.

    Without a signature it sets neither, and ctypes then takes the result for a C `int` and
    guesses each argument: set them before the first call.
    """
    if signature is not None:
        function.argtypes = [ctype_of(each.type, structs) for each in signature.parameters]
        function.restype = ctype_of(signature.result, structs)


def struct_classes(structs: Mapping[str, AbiStruct], where: str) -> StructClasses:
    """Returns a class for each struct with a layout, by name; opaque ones have none.

    Raises `AbiInvalid`, naming the file `where`, when the C layout of the fields is not the one
    the file states: then the library was built with packing or alignment that ctypes cannot
    express, or the file is not that library's.
    """
    classes: StructClasses = {}

    def build(name: str) -> None:
        if name in classes or structs[name].is_opaque:
            return
        for field in structs[name].fields:
            held = field.type
            while isinstance(held, Array):
                held = held.of
            if isinstance(held, Struct):
                build(held.name)
        classes[name] = _struct_class(structs[name], classes, where)

    for name in structs:
        build(name)
    return classes


def _struct_class(struct: AbiStruct, classes: StructClasses, where: str) -> Any:
    for field in struct.fields:
        if field.name in _RESERVED or (field.name[:2], field.name[-2:]) == ("__", "__"):
            raise _contradiction(
                struct, where, f"its field {quote(field.name)} has a name Python reserves"
            )
    layout = [(field.name, ctype_of(field.type, classes)) for field in struct.fields]
    made = type(struct.name, (ctypes.Structure,), {"_fields_": layout, "__slots__": ()})
    for field in struct.fields:
        offset = getattr(made, field.name).offset
        if offset != field.offset:
            raise _contradiction(
                struct,
                where,
                f"C puts its field {quote(field.name)} at byte {offset}, the file at {field.offset}",
            )
    found = (ctypes.sizeof(made), ctypes.alignment(made))
    if found != (struct.size, struct.align):
        raise _contradiction(
            struct,
            where,
            f"C gives it size {found[0]} and alignment {found[1]}, the file {struct.size} and"
            f" {struct.align}",
        )
    return made


def _contradiction(struct: AbiStruct, where: str, why: str) -> AbiInvalid:
    return AbiInvalid(
        f"the layout of struct {quote(struct.name)} cannot be used",
        where,
        why,
        "packed, over-aligned and bit-field structs are not supported: pass them behind a"
        " pointer to a type that the header only declares; else ship the package again",
    )
