"""From the bytes of `share/hoist/abi.json` to an `AbiFile`.

Input is distrusted: every length, depth and number has a bound, and a struct that contradicts
itself is refused, so that what comes out can be handed to ctypes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, NoReturn

from .abi import (
    AbiField,
    AbiFile,
    AbiFunction,
    AbiLibrary,
    AbiParameter,
    AbiSignature,
    AbiStruct,
    AbiType,
    Array,
    Bool,
    Char,
    Float,
    Function,
    Int,
    Pointer,
    Struct,
    Void,
)
from .errors import AbiInvalid, AbiMissing, quote

#: Where the ABI file lies in an artifact.
ABI_PATH = "share/hoist/abi.json"
#: The edition of the format that this version reads.
ABI_EDITION = 1
#: Largest ABI file read, in bytes.
MAX_FILE_BYTES = 16 << 20
#: Largest struct, in bytes.
MAX_STRUCT_BYTES = 1 << 30
#: Deepest nesting of pointers, arrays and structs in a type.
MAX_DEPTH = 32
#: Most parameters of a function.
MAX_PARAMETERS = 256

_SYMBOL = re.compile(r"[!-~]{1,4096}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z_$][0-9A-Za-z_$]{0,1023}", re.ASCII)
_PARAMETER_NAME = re.compile(r"|" + _IDENTIFIER.pattern, re.ASCII)
_WORD = re.compile(r"[!-~]{1,256}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read_abi(artifact: Path) -> AbiFile:
    """Reads and parses the ABI file of the artifact in the folder `artifact`.

    Raises `AbiMissing` when there is none, `AbiInvalid` when it cannot be believed.
    """
    place = artifact / ABI_PATH
    try:
        text = _read_regular(place)
    except (FileNotFoundError, NotADirectoryError):
        raise AbiMissing(
            f"the artifact {quote(artifact.name)} has no ABI file",
            str(place),
            "there is no such file, so neither its functions nor their types are known",
            "pack it with `hoist ship`, which writes the file from `header` or `exports` in"
            " `hoist.toml`",
        ) from None
    except OSError as error:
        raise _invalid(str(place), f"it cannot be read ({error.strerror})") from error
    return parse_abi(text, str(place))


def _read_regular(place: Path) -> bytes:
    """Returns the file's bytes, at most one more than is parsed."""
    with open(place, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        return file.read(MAX_FILE_BYTES + 1)


def _open_without_waiting(path: str, flags: int) -> int:
    # A pipe in the file's place is then refused by its kind, not waited for.
    return os.open(path, flags | os.O_NONBLOCK)


def parse_abi(text: bytes, where: str) -> AbiFile:
    """Parses an ABI file; `where` says in errors which one.

    Raises `AbiInvalid`, whose `why` has the place in the file, for any other input.
    """
    if len(text) > MAX_FILE_BYTES:
        raise _invalid(where, f"it is larger than {MAX_FILE_BYTES} bytes")
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_int=_short_integer,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
        )
        return _abi_file(_Node(value, ""))
    except RecursionError:
        raise _invalid(where, "it is nested too deeply") from None
    except ValueError as error:  # of the decoder, of json and of `_Refused`
        raise _invalid(where, str(error)) from None


def _invalid(where: str, why: str) -> AbiInvalid:
    return AbiInvalid(
        "the ABI file cannot be used",
        where,
        why,
        "ship the package again with `hoist ship`; `hoist store verify` tells whether the store"
        " was changed",
    )


class _Refused(ValueError):
    """A value that breaks a rule, with its place in the file."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place or 'the top level'} {why}")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _short_integer(digits: str) -> int:
    if len(digits) > 20:  # what 64 bits need; longer ones take quadratic time
        raise ValueError(f"the number {digits[:20]}… is too large")
    return int(digits)


def _no_fraction(digits: str) -> NoReturn:
    raise ValueError(f"the number {digits[:20]} is not an integer")


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return quote(json.dumps(value) if not isinstance(value, str) else value, 60)


class _Node:
    """A JSON value and its place in the file, e.g. `libraries[0].path`."""

    def __init__(self, value: Any, place: str) -> None:
        self.value = value
        self.place = place

    def refuse(self, why: str) -> NoReturn:
        raise _Refused(self.place, why)

    def member(self, key: str) -> _Node:
        if not isinstance(self.value, dict):
            self.refuse("is not an object")
        if key not in self.value:
            self.refuse(f"has no `{key}`")
        return _Node(self.value[key], f"{self.place}.{key}".lstrip("."))

    def optional(self, key: str) -> _Node | None:
        present = isinstance(self.value, dict) and self.value.get(key) is not None
        return self.member(key) if present else None

    def items(self, key: str) -> list[_Node]:
        node = self.member(key)
        if not isinstance(node.value, list):
            node.refuse("is not a list")
        return [_Node(item, f"{node.place}[{i}]") for i, item in enumerate(node.value)]

    def text(self, key: str, pattern: re.Pattern[str], wanted: str) -> str:
        node = self.member(key)
        if not isinstance(node.value, str) or not pattern.fullmatch(node.value):
            node.refuse(f"is {_shown(node.value)}, not {wanted}")
        return str(node.value)

    def integer(self, key: str, most: int) -> int:
        node = self.member(key)
        value = node.value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            node.refuse(f"is {_shown(value)}, not an integer from 0 to {most}")
        return int(value)

    def bits(self, *allowed: int) -> int:
        bits = self.integer("bits", 64)
        if bits not in allowed:
            self.member("bits").refuse(f"is {bits}, not one of {', '.join(map(str, allowed))}")
        return bits

    def flag(self, key: str) -> bool:
        node = self.member(key)
        if not isinstance(node.value, bool):
            node.refuse(f"is {_shown(node.value)}, neither true nor false")
        return bool(node.value)


def _abi_file(node: _Node) -> AbiFile:
    edition = node.integer("edition", 2**32 - 1)
    if edition != ABI_EDITION:
        node.refuse(f"has edition {edition}, and this hoist_runtime reads {ABI_EDITION}")
    return AbiFile(
        edition,
        node.text("package", _WORD, "a package name"),
        node.text("version", _WORD, "a version"),
        node.text("system", _WORD, "a system such as `x86_64-linux`"),
        tuple(_library(each) for each in node.items("libraries")),
    )


def _library(node: _Node) -> AbiLibrary:
    path = node.text("path", re.compile(r"[ -~]{1,4096}"), "a path inside the artifact")
    if any(part in ("", ".", "..") for part in path.split("/")):
        node.refuse(f"has path {quote(path)}, which does not stay inside the artifact")
    listed = node.items("structs")
    sizes: dict[str, int] = {}
    for each in listed:
        name = each.text("name", _SYMBOL, "a struct's name")
        if name in sizes:
            each.refuse(f"is a second struct {quote(name)}")
        sizes[name] = each.integer("size", MAX_STRUCT_BYTES)
    structs = tuple(_struct(each, sizes) for each in listed)
    _refuse_cycles({struct.name: struct for struct in structs}, node)
    functions: dict[str, AbiFunction] = {}
    for each in node.items("functions"):
        function = _function(each, sizes)
        if function.name in functions:
            each.refuse(f"is a second function {quote(function.name)}")
        functions[function.name] = function
    digest = node.text("hash", _SHA256, "a SHA-256 in base16")
    if digest != _promise_hash(node.value):
        node.refuse("has a hash that is not of its `structs` and `functions`: it was edited")
    return AbiLibrary(path, digest, structs, tuple(functions.values()))


def _promise_hash(library: dict[str, Any]) -> str:
    """Returns the hash of what a library promises, over the same bytes as the writer's."""
    promise = [library["structs"], library["functions"]]
    compact = json.dumps(promise, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(compact.encode()).hexdigest()


def _struct(node: _Node, sizes: dict[str, int]) -> AbiStruct:
    name = node.member("name").value
    size, align = sizes[name], node.integer("align", 4096)
    fields: dict[str, AbiField] = {}
    for each in node.items("fields"):
        field = AbiField(
            each.text("name", _IDENTIFIER, "a field's name"),
            each.integer("offset", size),
            _type(each.member("type"), sizes, "field"),
        )
        if field.name in fields:
            each.refuse(f"is a second field {quote(field.name)}")
        if field.offset + _size_of(field.type, sizes) > size:
            each.refuse(f"ends after the struct's {size} bytes")
        fields[field.name] = field
    opaque = (size == 0, align == 0, not fields)
    if any(opaque) and not all(opaque):
        node.refuse("must have all of `size`, `align` and `fields`, or none of them")
    return AbiStruct(name, size, align, tuple(fields.values()))


def _refuse_cycles(structs: dict[str, AbiStruct], node: _Node) -> None:
    """Refuses structs that hold themselves by value, which no memory can."""
    depths: dict[str, int] = {}

    def depth(name: str, trail: tuple[str, ...]) -> int:
        if name in trail:
            node.refuse(f"has a struct {quote(name)} that contains itself")
        if name not in depths and len(trail) < MAX_DEPTH:
            held = [_held_struct(field.type) for field in structs[name].fields]
            inner = (depth(each, (*trail, name)) for each in held if each is not None)
            depths[name] = 1 + max(inner, default=0)
        if depths.get(name, MAX_DEPTH + 1) > MAX_DEPTH:
            node.refuse(f"has structs nested more than {MAX_DEPTH} deep")
        return depths[name]

    for name in structs:
        depth(name, ())


def _held_struct(kind: AbiType) -> str | None:
    while isinstance(kind, Array):
        kind = kind.of
    return kind.name if isinstance(kind, Struct) else None


def _function(node: _Node, sizes: dict[str, int]) -> AbiFunction:
    name = node.text("name", _SYMBOL, "a symbol's name")
    signature = node.optional("signature")
    if signature is None:
        return AbiFunction(name, None)
    parameters = signature.items("parameters")
    if len(parameters) > MAX_PARAMETERS:
        signature.refuse(f"has more than {MAX_PARAMETERS} parameters")
    return AbiFunction(
        name,
        AbiSignature(
            _type(signature.member("result"), sizes, "result"),
            tuple(
                AbiParameter(
                    each.text("name", _PARAMETER_NAME, "a parameter's name"),
                    _type(each.member("type"), sizes, "parameter"),
                )
                for each in parameters
            ),
        ),
    )


# Where C allows the kinds that are not allowed everywhere.
_ALLOWED = {
    "void": ("result", "pointee"),
    "array": ("field", "element", "pointee"),
    "function": ("pointee",),
}


def _type(node: _Node, sizes: dict[str, int], use: str, depth: int = 0) -> AbiType:
    """Parses a type that is used as result, parameter, field, element or pointee."""
    if depth > MAX_DEPTH:
        node.refuse(f"is nested more than {MAX_DEPTH} deep")
    kind = node.text("kind", _WORD, "a kind of type")
    if use not in _ALLOWED.get(kind, (use,)):
        node.refuse(f"is of kind `{kind}`, which C does not allow for a {use}")
    if kind == "void":
        return Void()
    if kind == "bool":
        return Bool()
    if kind == "char":
        return Char()
    if kind == "int":
        return Int(node.bits(8, 16, 32, 64), node.flag("signed"))
    if kind == "float":
        return Float(node.bits(32, 64))
    if kind == "pointer":
        return Pointer(node.flag("const"), _type(node.member("to"), sizes, "pointee", depth + 1))
    if kind == "array":
        element = _type(node.member("of"), sizes, "element", depth + 1)
        if use != "pointee" and _size_of(element, sizes) == 0:
            node.refuse("has elements of 0 bytes")
        return Array(node.integer("length", MAX_STRUCT_BYTES), element)
    if kind == "struct":
        name = node.text("name", _SYMBOL, "a struct's name")
        if name not in sizes:
            node.refuse(f"names struct {quote(name)}, which the library does not list")
        if use != "pointee" and sizes[name] == 0:
            node.refuse(f"holds struct {quote(name)} by value, and only its name is known")
        return Struct(name)
    if kind == "function":
        return Function()
    node.refuse(f"is of the unknown kind {quote(kind)}")


def _size_of(kind: AbiType, sizes: dict[str, int]) -> int:
    """Returns the size in bytes that the file gives to `kind`."""
    if isinstance(kind, (Int, Float)):
        return kind.bits // 8
    if isinstance(kind, Pointer):
        return 8
    if isinstance(kind, Array):
        return kind.length * _size_of(kind.of, sizes)
    if isinstance(kind, Struct):
        return sizes[kind.name]
    return 1 if isinstance(kind, (Bool, Char)) else 0
