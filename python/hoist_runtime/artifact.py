"""Loading: from a package's name, or an artifact's folder, to functions that can be called."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from pathlib import Path
from typing import Any

from .abi import AbiFile, AbiLibrary, AbiStruct
from .binding import StructClasses, bind, struct_classes
from .errors import (
    AbiInvalid,
    AmbiguousExport,
    ExportMissing,
    LibraryNotFound,
    LoadFailed,
    WrongSystem,
    listing,
    nearest,
    quote,
)
from .parse import ABI_PATH, read_abi
from .profile import AnyPath, active_generation, find_root, store_path_of

# One handle per real path, kept for the life of the process: code that is never unloaded cannot
# vanish below a thread, a callback or a thread-local destructor. With it, the file's identity.
_handles: dict[str, tuple[ctypes.CDLL, tuple[int, ...]]] = {}
_handles_lock = threading.Lock()


class Artifact:
    """A loaded artifact; each promised function is an attribute, typed as its header declares.

    - `name`: the package.
    - `generation`: number in the profile; None for `open_artifact`.
    - `store_path`: logical, e.g. `/nix/store/HASH-pattern-search-0.1.0`; None outside a store.
    - `path`: the artifact's folder on disk.
    - `abi`: the parsed ABI file.
    - `structs`: a `ctypes.Structure` class for each struct with a layout, by name. They belong
      to this object: build by-value arguments of its functions from these classes.
    - `functions`: the functions by name, for names that are no Python identifier or are taken
      by an attribute above.

    A function that was promised without a signature has neither `argtypes` nor `restype`: ctypes
    takes its result for a C `int` and guesses the arguments until you set both.
    """

    name: str
    generation: int | None
    store_path: str | None
    path: Path
    abi: AbiFile
    structs: StructClasses
    functions: dict[str, Any]

    def __init__(
        self,
        name: str | None,
        generation: int | None,
        store_path: str | None,
        path: Path,
        library: str | None = None,
    ) -> None:
        self.abi = read_abi(path)
        self.name = self.abi.package if name is None else name
        self.generation = generation
        self.store_path = store_path
        self.path = path
        self._require_this_system()
        chosen = _choose(self.abi, library, path)
        place = str(path / ABI_PATH)
        self.structs = struct_classes(_merged_structs(chosen, place), place)
        self.functions = {}
        for each in chosen:
            self._bind_library(each)
        for taken, function in self.functions.items():
            self.__dict__.setdefault(taken, function)

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is neither an attribute nor a promised function.
        promised = self.__dict__.get("functions", {})
        raise ExportMissing(
            f"{quote(self.__dict__.get('name', '?'))} promises no function {quote(name)}",
            str(self.__dict__.get("path", "?")),
            f"it promises {listing(promised)}",
            f"{nearest(name, promised)}a new function needs its line in the header, and"
            " `hoist ship`",
        )

    def __repr__(self) -> str:
        number = "" if self.generation is None else f" generation {self.generation}"
        return f"<Artifact {self.name}{number} {self.store_path or self.path}>"

    def _require_this_system(self) -> None:
        here = current_system()
        if self.abi.system != here:
            raise WrongSystem(
                f"{quote(self.name)} was built for another system",
                str(self.path / ABI_PATH),
                f"it is for {quote(self.abi.system)}, and this Python runs on {quote(here)}",
                f"ship it on a {here} machine, or pull the artifact of that system",
            )

    def _bind_library(self, library: AbiLibrary) -> None:
        file = self.path / library.path
        handle = _open_library(file, self.path)
        for promise in library.functions:
            try:
                # By index: a function object of our own, so that types set on it stay here.
                function = handle[promise.name]
            except AttributeError as error:
                raise ExportMissing(
                    f"{quote(self.name)} promises {quote(promise.name)} and does not have it",
                    str(file),
                    f"the loader finds no such symbol ({error})",
                    "the ABI file is not that library's: run `hoist check` on the file, then"
                    " `hoist ship`",
                ) from None
            bind(function, promise.signature, self.structs)
            self.functions[promise.name] = function


def load(name: str, *, root: AnyPath | None = None, library: str | None = None) -> Artifact:
    """Loads the active generation of package `name`.

    - `root`: the store's root; default `HOIST_ROOT`, else `$XDG_DATA_HOME/hoist`, else
      `~/.local/share/hoist`.
    - `library`: path (`lib/libx.so`) or file name (`libx.so`) of the one library to load, where
      the artifact has several; default all of them.

    The profile is resolved once, to its immutable store path: a switch during or after the call
    never mixes two generations, and a running process keeps the one it loaded. Nothing is ever
    unloaded. Safe to call from many threads.

    Raises a `HoistError`: `InvalidName`, `PackageNotFound`, `ProfileBroken`, `AbiMissing`,
    `AbiInvalid`, `WrongSystem`, `LibraryNotFound`, `AmbiguousExport`, `LoadFailed` or
    `ExportMissing`.
    """
    found = active_generation(name, find_root(root))
    return Artifact(found.name, found.number, found.store_path, found.path, library)


def open_artifact(path: AnyPath, *, library: str | None = None) -> Artifact:
    """Loads the artifact in the folder `path`, whatever generation is active.

    For benchmarks and tests of one artifact: `generation` is None and `name` the ABI file's.
    Raises what `load` raises from the ABI file on.
    """
    folder = Path(os.path.abspath(os.fspath(path)))
    return Artifact(None, None, store_path_of(folder), folder, library)


def current_system() -> str:
    """Returns Nix's word for the system this Python runs on, e.g. `x86_64-linux`."""
    machine = platform.machine().lower()
    machine = {"arm64": "aarch64", "amd64": "x86_64", "ppc64le": "powerpc64le"}.get(
        machine, machine
    )
    if sys.maxsize <= 2**32 and machine == "x86_64":
        machine = "i686"  # a 32-bit Python on a 64-bit kernel
    return f"{machine}-{sys.platform}"


def _choose(abi: AbiFile, library: str | None, path: Path) -> list[AbiLibrary]:
    """Returns the libraries to load; no two of them promise one name."""
    if library is not None:
        picked = [
            each for each in abi.libraries if library in (each.path, each.path.rpartition("/")[2])
        ]
        if len(picked) != 1:
            paths = [each.path for each in abi.libraries]
            raise LibraryNotFound(
                f"no library {quote(library)} in {quote(abi.package)}",
                str(path / ABI_PATH),
                f"{len(picked)} libraries have that path or file name; the artifact's: "
                f"{listing(paths)}",
                f"{nearest(library, paths)}pass one of these paths as `library=`",
            )
        return picked
    owners: dict[str, str] = {}
    for each in abi.libraries:
        for function in each.functions:
            other = owners.setdefault(function.name, each.path)
            if other != each.path:
                raise _ambiguous(f"function {quote(function.name)}", other, each.path, path)
    return list(abi.libraries)


def _merged_structs(libraries: list[AbiLibrary], place: str) -> dict[str, AbiStruct]:
    """Returns the structs of all libraries; one that some only declare is taken where defined."""
    merged: dict[str, tuple[AbiStruct, str]] = {}
    for library in libraries:
        for struct in library.structs:
            known, owner = merged.get(struct.name, (struct, library.path))
            if known.is_opaque:
                known, owner = struct, library.path
            elif not struct.is_opaque and struct != known:
                raise _ambiguous(f"struct {quote(struct.name)}", owner, library.path, Path(place))
            merged[struct.name] = (known, owner)
    return {name: struct for name, (struct, _) in merged.items()}


def _ambiguous(what: str, first: str, second: str, place: Path) -> AmbiguousExport:
    return AmbiguousExport(
        f"{what} is ambiguous",
        str(place),
        f"both {quote(first)} and {quote(second)} promise it",
        "pick a library, e.g. `load(name, library=…)`; call `load` once for each you need",
    )


def _open_library(file: Path, artifact: Path) -> ctypes.CDLL:
    """Returns the process's one handle of the library `file`, which lies in `artifact`."""
    real, home = os.path.realpath(file), os.path.realpath(artifact)
    if not real.startswith(home + os.sep):
        raise AbiInvalid(
            "a library lies outside its artifact",
            str(file),
            f"it is a link to {quote(real)}, which the artifact's hash does not cover",
            "pack the library itself with `hoist ship`",
        )
    try:
        facts = os.stat(real)
    except OSError as error:
        raise _load_failed(
            file, f"the ABI file lists it, and it is not there ({error.strerror})"
        ) from error
    identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    with _handles_lock:
        if real not in _handles:
            try:
                _handles[real] = (ctypes.CDLL(real), identity)
            except OSError as error:
                raise _load_failed(file, f"the loader says: {error}") from error
        handle, loaded = _handles[real]
    if loaded != identity:
        raise _load_failed(
            file,
            "the file was replaced after this process loaded it, and a process keeps what it has",
            "start a new process",
        )
    return handle


def _load_failed(file: Path, why: str, hint: str | None = None) -> LoadFailed:
    default = "run `hoist check` on the file: it names what this machine lacks"
    return LoadFailed(
        f"the library {quote(file.name)} cannot be loaded", str(file), why, hint or default
    )
