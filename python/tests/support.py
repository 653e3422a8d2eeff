"""What the tests share: a C compiler, fake store roots, ABI files as Python values."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from hoist_runtime import Artifact, open_artifact
from hoist_runtime.artifact import current_system

#: The folder that holds `hoist_runtime`, for processes the tests start.
PYTHON_DIR = Path(__file__).resolve().parents[1]

VOID = {"kind": "void"}
BOOL = {"kind": "bool"}
CHAR = {"kind": "char"}
FLOAT = {"kind": "float", "bits": 32}
DOUBLE = {"kind": "float", "bits": 64}
FUNCTION = {"kind": "function"}


def integer(bits: int, signed: bool = True) -> dict[str, Any]:
    return {"kind": "int", "bits": bits, "signed": signed}


I32 = integer(32)
I64 = integer(64)


def pointer(to: dict[str, Any], const: bool = False) -> dict[str, Any]:
    return {"kind": "pointer", "const": const, "to": to}


def array(length: int, of: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "array", "length": length, "of": of}


def struct_type(name: str) -> dict[str, Any]:
    return {"kind": "struct", "name": name}


def struct(name: str, size: int, align: int, /, **fields: Any) -> dict[str, Any]:
    """A struct; each field is `name=(offset, type)`."""
    listed = [{"name": key, "offset": at, "type": kind} for key, (at, kind) in fields.items()]
    return {"name": name, "size": size, "align": align, "fields": listed}


def opaque(name: str) -> dict[str, Any]:
    return struct(name, 0, 0)


def function(name: str, result: dict[str, Any], /, **parameters: Any) -> dict[str, Any]:
    listed = [{"name": key, "type": kind} for key, kind in parameters.items()]
    return {"name": name, "signature": {"result": result, "parameters": listed}}


def bare(name: str) -> dict[str, Any]:
    """A function promised without a signature."""
    return {"name": name, "signature": None}


def library(
    path: str, functions: list[dict[str, Any]], structs: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    structs = structs or []
    promise = json.dumps([structs, functions], separators=(",", ":"))
    digest = hashlib.sha256(promise.encode()).hexdigest()
    return {"path": path, "hash": digest, "structs": structs, "functions": functions}


def abi(*libraries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An ABI file for this machine."""
    whole = {
        "edition": 1,
        "package": "demo",
        "version": "0.1.0",
        "system": current_system(),
        "libraries": list(libraries),
    }
    return {**whole, **changes}


def write_artifact(folder: Path, promise: Any, libraries: dict[str, Path] | None = None) -> Path:
    """Fills `folder` with an ABI file (a value, or bytes as they are) and built libraries."""
    for path, built in (libraries or {}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(built, target)
    place = folder / "share/hoist/abi.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(promise if isinstance(promise, bytes) else json.dumps(promise).encode())
    return folder


class Root:
    """A store root in a temporary folder, with Nix's links."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.profiles = folder / "nix/var/nix/profiles"
        self.store = folder / "nix/store"
        self.profiles.mkdir(parents=True)
        self.store.mkdir(parents=True)

    def store_path(self, name: str, salt: object) -> str:
        """A logical store path; its hash part is made of Nix's 32 letters."""
        digest = hashlib.sha256(f"{name} {salt}".encode()).digest()
        part = "".join("0123456789abcdfghijklmnpqrsvwxyz"[byte % 32] for byte in digest)
        return f"/nix/store/{part}-{name}"

    def physical(self, logical: str) -> Path:
        return self.path / logical.lstrip("/")

    def add(
        self,
        package: str,
        number: int,
        promise: Any,
        libraries: dict[str, Path] | None = None,
    ) -> Path:
        """Writes generation `number` of `package` and switches to it."""
        logical = self.store_path(f"{package}-0.{number}.0", number)
        folder = write_artifact(self.physical(logical), promise, libraries)
        self.link(f"{package}-{number}-link", logical)
        self.switch(package, number)
        return folder

    def switch(self, package: str, number: int) -> None:
        self.link(package, f"{package}-{number}-link")

    def link(self, name: str, target: str) -> None:
        """Points the link `name` to `target` in one rename, as a switch does."""
        fresh = self.profiles / f".{name}.tmp"
        os.symlink(target, fresh)
        os.replace(fresh, self.profiles / name)


class TestCase(unittest.TestCase):
    """Has a temporary folder, `self.folder`, and an empty root in it, `self.root`."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="hoist-python-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.root = Root(self.folder / "root")

    @contextlib.contextmanager
    def refused(self, error: type[Exception], *fragments: str) -> Iterator[None]:
        """Expects `error` with all of `fragments`, and the four parts of a message."""
        with self.assertRaises(error) as caught:
            yield
        message = str(caught.exception)
        for fragment in (*fragments, "\n  where: ", "\n  why: ", "\n  hint: "):
            self.assertIn(fragment, message)
        for line in message.splitlines():
            self.assertFalse(line.endswith((":", " ")), f"an empty part in:\n{message}")


class LoadCase(TestCase):
    """Opens artifacts of one library, built from C."""

    def opened(
        self,
        source: str,
        functions: list[Any],
        structs: list[Any] | None = None,
        *,
        folder: str = "a",
        **changes: Any,
    ) -> Artifact:
        promise = abi(library("lib/liba.so", functions, structs), **changes)
        built = {"lib/liba.so": shared_library(source)}
        return open_artifact(write_artifact(self.folder / folder, promise, built))


def tool(name: str, package: str) -> str:
    """Returns the path of a program on PATH; absent, it fails or skips, never quietly."""
    found = shutil.which(name)
    if found is None:
        _not_checked(f"no {name} on PATH", f"the Debian package {package}")
    return found


def module(name: str) -> Any:
    """Returns a Python module that is not ours; absent, it fails or skips, never quietly."""
    try:
        return importlib.import_module(name)
    except ImportError:
        _not_checked(f"no Python module {name}", f"the wheel {name}")


def _not_checked(why: str, remedy: str) -> NoReturn:
    if os.environ.get("HOIST_REQUIRE_TOOLS"):
        raise AssertionError(f"{why}: install {remedy}")
    _say_not_checked(why)
    raise unittest.SkipTest(why)


@functools.cache
def _say_not_checked(why: str) -> None:
    print(f"NOT CHECKED: {why}", file=sys.stderr, flush=True)  # once, not once per test


@functools.cache
def _built() -> Path:
    folder = tempfile.mkdtemp(prefix="hoist-python-built-")
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


@functools.cache
def shared_library(source: str) -> Path:
    """Compiles C source to a shared library, once per source."""
    compiler = tool("cc", "gcc")
    built = _built() / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(built)],
        input=source.encode(),
        check=True,
    )
    return built


def run_python(*arguments: str) -> str:
    """Runs a fresh interpreter, with this package on its path, and returns what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(PYTHON_DIR)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    )
    return done.stdout
