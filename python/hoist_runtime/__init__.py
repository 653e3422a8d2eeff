"""Loads native libraries that `hoist ship` put into a store, through ctypes.

>>> import hoist_runtime
>>> router = hoist_runtime.load("message-router")  # doctest: +SKIP
>>> handle = router.create_router(1024)  # doctest: +SKIP

`load` resolves the active generation of a package to its immutable store path, loads its
libraries once per process and types each function as its C header declares. `address` gives the
address of an array. Every failure is a `HoistError` that says what, where, why and what to do.
Pure Python without dependencies, for CPython 3.9 and newer.
"""

from .abi import AbiFile
from .artifact import Artifact, load, open_artifact
from .buffers import address
from .errors import (
    AbiInvalid,
    AbiMissing,
    AmbiguousExport,
    BufferRefused,
    ExportMissing,
    HoistError,
    InvalidName,
    LibraryNotFound,
    LoadFailed,
    PackageNotFound,
    ProfileBroken,
    WrongSystem,
)

__version__ = "0.1.0"

__all__ = [
    "AbiFile",
    "AbiInvalid",
    "AbiMissing",
    "AmbiguousExport",
    "Artifact",
    "BufferRefused",
    "ExportMissing",
    "HoistError",
    "InvalidName",
    "LibraryNotFound",
    "LoadFailed",
    "PackageNotFound",
    "ProfileBroken",
    "WrongSystem",
    "__version__",
    "address",
    "load",
    "open_artifact",
]
