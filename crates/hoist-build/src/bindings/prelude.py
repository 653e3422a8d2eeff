import ctypes as _hoist_ctypes
import os as _hoist_os
import platform as _hoist_platform
import sys as _hoist_sys

# Format codes of PEP 3118 by what they hold; the width comes from the item size.
_hoist_codes = {
    **dict.fromkeys("bhilqn", "signed integer"),
    **dict.fromkeys("BHILQN", "unsigned integer"),
    **dict.fromkeys("efdg", "floating-point number"),
    "?": "bool",
    "c": "char",
}


class _hoist_PyBuffer(_hoist_ctypes.Structure):
    """`Py_buffer` of CPython's stable ABI."""

    _fields_ = [
        ("buf", _hoist_ctypes.c_void_p),
        ("obj", _hoist_ctypes.c_void_p),
        ("len", _hoist_ctypes.c_ssize_t),
        ("itemsize", _hoist_ctypes.c_ssize_t),
        ("readonly", _hoist_ctypes.c_int),
        ("ndim", _hoist_ctypes.c_int),
        ("format", _hoist_ctypes.c_void_p),
        ("shape", _hoist_ctypes.c_void_p),
        ("strides", _hoist_ctypes.c_void_p),
        ("suboffsets", _hoist_ctypes.c_void_p),
        ("internal", _hoist_ctypes.c_void_p),
    ]


_hoist_get_buffer = _hoist_ctypes.PYFUNCTYPE(
    _hoist_ctypes.c_int,
    _hoist_ctypes.py_object,
    _hoist_ctypes.POINTER(_hoist_PyBuffer),
    _hoist_ctypes.c_int,
)(("PyObject_GetBuffer", _hoist_ctypes.pythonapi))
_hoist_release_buffer = _hoist_ctypes.PYFUNCTYPE(None, _hoist_ctypes.POINTER(_hoist_PyBuffer))(
    ("PyBuffer_Release", _hoist_ctypes.pythonapi)
)
_hoist_byref = type(_hoist_ctypes.byref(_hoist_ctypes.c_int()))
_hoist_pointer = _hoist_ctypes.POINTER(_hoist_ctypes.c_int).__mro__[1]
_hoist_function = _hoist_ctypes.CFUNCTYPE(None).__mro__[1]


class _hoist_Address(_hoist_ctypes.c_void_p):
    """An address, with what keeps it valid."""


class _hoist_Memory:
    """A parameter that points to memory. Nothing is copied.

    Takes an object with the buffer protocol whose elements lie in a row and are what the library
    expects, a struct, a pointer, `ctypes.byref(...)`, an address, or None for NULL.
    """

    element = None
    writable = False

    @classmethod
    def from_param(cls, value):
        if value is None or isinstance(value, _hoist_byref):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return _hoist_ctypes.c_void_p(value)
        if isinstance(value, (_hoist_ctypes.c_void_p, _hoist_ctypes.c_char_p)):
            return value
        if isinstance(value, _hoist_pointer):
            if cls.element is None or value._type_ is cls.element:
                return value
            raise TypeError(
                f"a pointer to {value._type_.__name__}, wanted one to {cls.element.__name__}"
            )
        if isinstance(value, str):
            raise TypeError("a str, wanted bytes: pass text.encode()")
        try:
            view = memoryview(value)
        except (TypeError, ValueError, BufferError) as error:
            raise TypeError(f"{type(value).__name__} gives no memory: {error}") from None
        if not view.c_contiguous:
            raise TypeError(
                f"elements that do not lie in a row (strides {view.strides}): pass a contiguous copy"
            )
        if cls.writable and view.readonly:
            raise TypeError("read-only memory, and the library may write to it: pass a copy")
        if not cls._holds(view):
            raise TypeError(
                f"elements of {view.itemsize} bytes in format {view.format!r},"
                f" wanted {cls.element.__name__} of {_hoist_ctypes.sizeof(cls.element)} bytes"
            )
        raw = _hoist_PyBuffer()
        _hoist_get_buffer(value, raw, 0)
        try:
            address = _hoist_Address(raw.buf)
        finally:
            _hoist_release_buffer(raw)
        address.kept = view  # until the call is over, so that the memory cannot move
        return address

    @classmethod
    def _holds(cls, view):
        element = cls.element
        if element is None:
            return True
        if view.itemsize != _hoist_ctypes.sizeof(element):
            return False
        if issubclass(element, _hoist_ctypes.Structure):
            return view.format.startswith("T{")
        if element is _hoist_ctypes.c_char:
            return view.format.lstrip("@=<>!") in ("c", "b", "B")
        wanted = memoryview(element()).format
        found = view.format
        if found[:1] in ("<", ">", "!") and found[:1] != wanted[:1] and view.itemsize > 1:
            return False
        kinds = [_hoist_codes.get(text.lstrip("@=<>!")) for text in (found, wanted)]
        return kinds[0] is not None and kinds[0] == kinds[1]


_hoist_memories = {}


def _hoist_memory(element, writable):
    key = (element, writable)
    if key not in _hoist_memories:
        fields = {"element": element, "writable": writable}
        _hoist_memories[key] = type("_hoist_MemoryOf", (_hoist_Memory,), fields)
    return _hoist_memories[key]


class _hoist_Callback:
    """A parameter that points to a function, whose signature is the caller's affair."""

    @classmethod
    def from_param(cls, value):
        if value is None or isinstance(value, (_hoist_function, _hoist_ctypes.c_void_p)):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return _hoist_ctypes.c_void_p(value)
        raise TypeError(
            f"{type(value).__name__} is no C function: wrap it by ctypes.CFUNCTYPE(...) and keep it"
        )


def _hoist_check(struct, size, align, offsets):
    found = _hoist_ctypes.sizeof(struct), _hoist_ctypes.alignment(struct)
    if found != (size, align):
        raise ImportError(
            f"struct {struct.__name__} has size and alignment {found} here, promised are"
            f" {(size, align)}: this module was made for another system"
        )
    for name, offset in offsets:
        if getattr(struct, name).offset != offset:
            raise ImportError(
                f"{struct.__name__}.{name} lies at {getattr(struct, name).offset} here, promised is"
                f" {offset}: this module was made for another system"
            )


def _hoist_bind(library, name, declaration, result, arguments):
    try:
        function = library[name]
    except AttributeError:
        raise AttributeError(f"{library._name} does not export {name}, which it promises") from None
    if arguments is not None:
        function.argtypes = arguments
        function.restype = result
    function.__name__ = name
    function.__doc__ = declaration
    return function


def _hoist_folders():
    """Yields where the libraries may lie: folder, and whether they lie in it by their file names."""
    own = _hoist_os.path.dirname(_hoist_os.path.realpath(__file__))
    if own.endswith(_hoist_os.path.join("share", "hoist", "python")):
        yield _hoist_os.path.dirname(_hoist_os.path.dirname(_hoist_os.path.dirname(own))), False
    yield own, True
    try:
        from hoist_runtime import HoistError
        from hoist_runtime.profile import active_generation, find_root
    except ImportError:
        pass
    else:
        try:
            yield str(active_generation(PACKAGE, find_root(None)).path), False
        except HoistError:
            pass
    for folder in _hoist_os.environ.get("HOIST_LIB_PATH", "").split(_hoist_os.pathsep):
        if folder:
            yield folder, True


def _hoist_paths(folder, flat):
    names = [_hoist_os.path.basename(path) if flat else path for path in LIBRARIES]
    return tuple(_hoist_os.path.join(folder, name) for name in names)


def _hoist_locate(path):
    if path is not None:
        path = _hoist_os.path.abspath(_hoist_os.fspath(path))
        if not _hoist_os.path.isdir(path):
            if len(LIBRARIES) != 1:
                raise ValueError(f"{path} is one library of {len(LIBRARIES)}: name their folder")
            return (path,)
        asked = [(path, False), (path, True)]
    else:
        asked = _hoist_folders()
    tried = []
    for folder, flat in asked:
        paths = _hoist_paths(folder, flat)
        if all(_hoist_os.path.isfile(each) for each in paths):
            return paths
        tried.append(paths[0])
    raise FileNotFoundError(f"the libraries of {PACKAGE} are not there; looked for {tried}")


_hoist_loaded = {}


def load(path=None):
    """Loads the libraries, once per path, and returns their functions.

    - `path`: a library, or a folder that holds all of them or is the artifact. By default the
      artifact that this module lies in, its own folder, the active generation of the package if
      hoist_runtime can be imported, and the folders of HOIST_LIB_PATH.

    Raises `OSError` when they are not there or cannot be loaded.
    """
    here = f"{_hoist_platform.machine()}-{_hoist_sys.platform}"
    if here != SYSTEM:
        raise OSError(f"the libraries of {PACKAGE} are for {SYSTEM}, and this is {here}")
    paths = tuple(_hoist_os.path.realpath(each) for each in _hoist_locate(path))
    if paths not in _hoist_loaded:
        _hoist_loaded[paths] = Library(paths)
    return _hoist_loaded[paths]
