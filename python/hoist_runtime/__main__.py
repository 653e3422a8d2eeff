"""`python3 -m hoist_runtime [NAME]`: what is active, and what can be called.

Reads profiles and ABI files only; no library is loaded. Exit codes are hoist's: 0 done, 1 no such
package, 2 wrong usage, 3 a profile or artifact cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from . import __version__
from .abi import AbiFile
from .errors import HoistError, InvalidName, PackageNotFound
from .parse import read_abi
from .profile import Generation, active_generation, find_root, profile_names, profiles_dir


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m hoist_runtime", description="Show active packages and their functions."
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="package (default: all)")
    parser.add_argument("--root", help="root of the store (default: HOIST_ROOT)")
    parser.add_argument("--json", action="store_true", help="print one JSON record per package")
    parser.add_argument("--version", action="version", version=f"hoist_runtime {__version__}")
    options = parser.parse_args(arguments)
    root = find_root(options.root)
    names = profile_names(root) if options.name is None else [options.name]
    if not names:
        print(f"no packages: {profiles_dir(root)} has no profiles", file=sys.stderr)
    worst = 0
    for name in names:
        try:
            generation = active_generation(name, root)
            abi = read_abi(generation.path)
        except HoistError as error:
            print(f"error: {error}", file=sys.stderr)
            worst = max(worst, _exit_code(error))
            continue
        record = _record(generation, abi)
        print(json.dumps(record) if options.json else _text(record))
    return worst


def _exit_code(error: HoistError) -> int:
    if isinstance(error, InvalidName):
        return 2
    return 1 if isinstance(error, PackageNotFound) else 3


def _record(generation: Generation, abi: AbiFile) -> dict[str, Any]:
    return {
        "package": generation.name,
        "version": abi.version,
        "system": abi.system,
        "generation": generation.number,
        "store_path": generation.store_path,
        "path": str(generation.path),
        "libraries": [
            {
                "path": library.path,
                "hash": library.hash,
                "functions": [
                    {
                        "name": function.name,
                        "declaration": function.signature and function.declaration(),
                    }
                    for function in library.functions
                ],
            }
            for library in abi.libraries
        ],
    }


def _text(record: dict[str, Any]) -> str:
    lines = [f"{record['package']} {record['version']}, generation {record['generation']}"]
    lines.append(f"  {record['path']}")
    for library in record["libraries"]:
        lines.append(f"  {library['path']}")
        for function in library["functions"]:
            promise = function["declaration"] or f"{function['name']}: no signature is promised"
            lines.append(f"    {promise}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
