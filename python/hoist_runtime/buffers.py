"""Where an object's memory lies, without copying it."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from .errors import BufferRefused, quote

# Format codes of PEP 3118 by what they hold; the width comes from the item size.
_CODES = {
    **dict.fromkeys("bhilqn", "signed integer"),
    **dict.fromkeys("BHILQN", "unsigned integer"),
    **dict.fromkeys("efdg", "floating-point number"),
    "?": "bool",
    "c": "char",
}


class _PyBuffer(ctypes.Structure):
    """`Py_buffer` of CPython's stable ABI (object.h)."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_PYBUF_SIMPLE = 0
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_release_buffer.restype = None


def address(buffer: Any, ctype: type | None = None, *, writable: bool = False) -> int:
    """Returns the address of the first element of `buffer`; nothing is copied.

    - `buffer`: any C-contiguous object with the buffer protocol, of any shape: a numpy array,
      `bytes`, `bytearray`, `array.array`, `memoryview`, a ctypes array or struct.
    - `ctype`: what the library expects each element to be, e.g. `ctypes.c_float` for float32, or
      a class of `artifact.structs`; the elements' kind, width and byte order are then checked.
      None takes the memory as it is.
    - `writable`: True where the library writes, so that read-only memory is refused.

    The address holds while `buffer` lives and is not resized: keep a reference to it over the
    call. Raises `BufferRefused`, also a `TypeError`.

    >>> from array import array
    >>> query = array("f", [1.0, 2.0])
    >>> ctypes.c_float.from_address(address(query, ctypes.c_float)).value
    1.0
    """
    try:
        view = memoryview(buffer)
    except (TypeError, ValueError, BufferError) as error:
        raise _refused(buffer, f"it gives no buffer: {error}", "pass a numpy array") from error
    with view:
        if not view.c_contiguous:
            why = f"its elements do not lie in a row (strides {view.strides} bytes)"
            raise _refused(buffer, why, "pass `numpy.ascontiguousarray(array)`")
        if writable and view.readonly:
            raise _refused(buffer, "the library writes to it, and it is read-only", "pass a copy")
        if ctype is not None and not _holds(view, ctype):
            why = (
                f"its elements are {quote(view.format)} of {view.itemsize} bytes, wanted"
                f" {quote(ctype.__name__)} of {ctypes.sizeof(ctype)}"
            )
            raise _refused(buffer, why, "convert it, e.g. with `array.astype(numpy.float32)`")
    return _first_byte(buffer)


def _holds(view: memoryview, ctype: Any) -> bool:
    """Says whether the elements of `view` are what `ctype` is in this machine's memory."""
    if view.itemsize != ctypes.sizeof(ctype):
        return False
    found = view.format
    if issubclass(ctype, (ctypes.Structure, ctypes.Union)):
        return found.startswith("T{")
    wanted = _format_of(ctype)
    # `=` and `@` are native; ctypes writes the native order out as `<` or `>`.
    if found[:1] in ("<", ">", "!") and found[:1] != wanted[:1] and view.itemsize > 1:
        return False
    kinds = [_CODES.get(text.lstrip("@=<>!")) for text in (found, wanted)]
    return kinds[0] is not None and kinds[0] == kinds[1]


@functools.lru_cache(maxsize=64)
def _format_of(ctype: Any) -> str:
    return memoryview(ctype()).format


def _first_byte(buffer: Any) -> int:
    raw = _PyBuffer()
    _get_buffer(buffer, raw, _PYBUF_SIMPLE)
    try:
        return int(raw.buf or 0)
    finally:
        _release_buffer(raw)


def _refused(buffer: Any, why: str, hint: str) -> BufferRefused:
    return BufferRefused(
        f"the memory of this {quote(type(buffer).__name__)} cannot be handed to a library",
        "the `buffer` argument of `address`",
        why,
        hint,
    )
