"""What an artifact's libraries promise to their callers: the ABI file as Python values.

`docs/formats/abi.md` describes the file; `parse` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Void:
    """`void`: the result of a function without one, or what `void *` points to."""


@dataclass(frozen=True)
class Bool:
    """`_Bool`, 1 byte."""


@dataclass(frozen=True)
class Char:
    """Plain `char`, 1 byte; `const char *` is a text."""


@dataclass(frozen=True)
class Int:
    """An integer of `bits` (8, 16, 32 or 64) bits, an enum included."""

    bits: int
    signed: bool


@dataclass(frozen=True)
class Float:
    """`float` (`bits` = 32) or `double` (64)."""

    bits: int


@dataclass(frozen=True)
class Pointer:
    """A pointer; `const` says whether what it points to is."""

    const: bool
    to: AbiType


@dataclass(frozen=True)
class Struct:
    """A struct of the library's `structs`, by name."""

    name: str


@dataclass(frozen=True)
class Array:
    """`length` elements in a row, inside a struct or behind a pointer."""

    length: int
    of: AbiType


@dataclass(frozen=True)
class Function:
    """A function, behind a pointer only; its signature is not recorded."""


AbiType = Union[Void, Bool, Char, Int, Float, Pointer, Struct, Array, Function]


@dataclass(frozen=True)
class AbiParameter:
    """A parameter; `name` is empty where the declaration has none."""

    name: str
    type: AbiType


@dataclass(frozen=True)
class AbiSignature:
    """Result and parameters of a function."""

    result: AbiType
    parameters: tuple[AbiParameter, ...]


@dataclass(frozen=True)
class AbiFunction:
    """A promised function; `signature` is None where only the name was promised."""

    name: str
    signature: AbiSignature | None

    def declaration(self) -> str:
        """Returns the function as C declares it, e.g. `int32_t depth(void *router)`."""
        if self.signature is None:
            return self.name
        shown = [_declare(each.type, each.name) for each in self.signature.parameters]
        return _declare(self.signature.result, f"{self.name}({', '.join(shown) or 'void'})")


@dataclass(frozen=True)
class AbiField:
    """A field; `offset` in bytes from the start of the struct."""

    name: str
    offset: int
    type: AbiType


@dataclass(frozen=True)
class AbiStruct:
    """A struct; `size` and `align` in bytes, both 0 when it is only declared (opaque)."""

    name: str
    size: int
    align: int
    fields: tuple[AbiField, ...]

    @property
    def is_opaque(self) -> bool:
        """Whether the struct is only declared, so that only pointers to it are usable."""
        return self.size == 0


@dataclass(frozen=True)
class AbiLibrary:
    """What one library promises; `path` is inside the artifact, `hash` names the promise."""

    path: str
    hash: str
    structs: tuple[AbiStruct, ...]
    functions: tuple[AbiFunction, ...]


@dataclass(frozen=True)
class AbiFile:
    """The promise of an artifact; `system` is Nix's word, e.g. `x86_64-linux`."""

    edition: int
    package: str
    version: str
    system: str
    libraries: tuple[AbiLibrary, ...]


def _declare(kind: AbiType, declarator: str, const: bool = False) -> str:
    """Returns `declarator` declared as `kind`, inside out as C reads."""
    if isinstance(kind, Pointer):
        star = "*const " if const else "*"
        return _declare(kind.to, (star + declarator).rstrip(), kind.const)
    if isinstance(kind, Array):
        inner = f"({declarator})" if declarator.startswith("*") else declarator
        return _declare(kind.of, f"{inner}[{kind.length}]", const)
    if isinstance(kind, Function):
        return f"void ({declarator})()"
    base = ("const " if const else "") + _base_name(kind)
    return f"{base} {declarator}".rstrip()


def _base_name(kind: AbiType) -> str:
    if isinstance(kind, Int):
        return f"{'' if kind.signed else 'u'}int{kind.bits}_t"
    if isinstance(kind, Float):
        return "float" if kind.bits == 32 else "double"
    if isinstance(kind, Struct):
        return f"struct {kind.name}"
    return type(kind).__name__.lower()
