"""From a package's name to the immutable store path of its active generation.

A profile is Nix's chain of links, below `ROOT/nix/var/nix/profiles`:
`NAME -> NAME-N-link -> /nix/store/HASH-NAME`. The last target is logical: on disk it lies below
ROOT. Nothing here loads or reads an artifact.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from .errors import InvalidName, PackageNotFound, ProfileBroken, listing, nearest, quote

#: The store directory that links name, whatever the root is.
STORE_DIR = "/nix/store"

AnyPath = Union[str, "os.PathLike[str]"]

# What Nix allows in the name of a store path; 211 bytes at most (Nix manual, "Store Path").
_NAME = re.compile(r"[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{0,210}", re.ASCII)
_GENERATION_SUFFIX = re.compile(r"-([1-9][0-9]{0,17})-link", re.ASCII)
# Nix's base32 has no e, o, t and u.
_STORE_BASENAME = re.compile(
    r"[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+_?=-][0-9A-Za-z+._?=-]{0,210}", re.ASCII
)
# A switch and a collection between two readlinks remove a generation under the reader.
_ATTEMPTS = 8


@dataclass(frozen=True)
class Generation:
    """One generation of a profile, resolved: no link is followed again after this.

    - `name`: the profile's, and so the package's, name.
    - `number`: 1 for the first generation of a profile.
    - `store_path`: logical, e.g. `/nix/store/HASH-pattern-search-0.1.0`.
    - `path`: the same on disk, below the root.
    """

    name: str
    number: int
    store_path: str
    path: Path


def find_root(root: AnyPath | None = None) -> Path:
    """Returns the absolute root of the store to look in.

    The first that is set and not empty: `root`, the variable `HOIST_ROOT`,
    `$XDG_DATA_HOME/hoist` (ignored when relative, as the XDG base directory specification
    says), `~/.local/share/hoist`.
    """
    chosen = os.fspath(root) if root is not None else os.environ.get("HOIST_ROOT", "")
    if chosen:
        return Path(os.path.abspath(chosen))
    data_home = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data_home):
        data_home = os.path.expanduser("~/.local/share")
    return Path(data_home, "hoist")


def profiles_dir(root: Path) -> Path:
    """Returns the folder of the profiles of `root`."""
    return root / "nix/var/nix/profiles"


def profile_names(root: Path) -> list[str]:
    """Returns the names of the profiles of `root`, sorted; none when it has no such folder."""
    try:
        with os.scandir(profiles_dir(root)) as entries:
            links = [entry.name for entry in entries if entry.is_symlink()]
    except OSError:
        return []
    return sorted(name for name in links if is_name(name))


def is_name(name: object) -> bool:
    """Says whether `name` can name a package: one plain path component, no generation link."""
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and re.search(_GENERATION_SUFFIX.pattern + r"\Z", name, re.ASCII) is None
    )


def store_path_of(path: Path) -> str | None:
    """Returns the logical store path of a folder that lies in a store directory, else None."""
    in_store = path.parent.name == "store" and path.parent.parent.name == "nix"
    known = in_store and _STORE_BASENAME.fullmatch(path.name) is not None
    return f"{STORE_DIR}/{path.name}" if known else None


def active_generation(name: str, root: Path) -> Generation:
    """Resolves the active generation of `name`, once.

    Raises `InvalidName`, `PackageNotFound` when `root` has no such profile, and `ProfileBroken`
    when its links do not lead to a folder in the store.
    """
    if not is_name(name):
        raise InvalidName(
            f"{quote(name)} cannot be the name of a package",
            "the `name` argument",
            "a name is letters, digits and `+-._?=`, does not start with `.`, and has neither"
            " a `/` nor the ending `-N-link` of a generation",
            "write the name in the `[package]` table of the project's `hoist.toml`",
        )
    link = profiles_dir(root) / name
    number, target = _read_links(name, link, root)
    basename = target[len(STORE_DIR) + 1 :]
    if not target.startswith(STORE_DIR + "/") or not _STORE_BASENAME.fullmatch(basename):
        raise _broken(
            name,
            link.with_name(f"{name}-{number}-link"),
            f"it points to {quote(target)}, which is not `{STORE_DIR}/HASH-NAME`",
        )
    path = root / target.lstrip("/")
    _require_folder(name, path)
    return Generation(name, number, target, path)


def _read_links(name: str, link: Path, root: Path) -> tuple[int, str]:
    """Returns the generation's number and the target of its link."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            first = os.readlink(link)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_found(name, root) from None
        except OSError as error:
            raise _broken(name, link, _unreadable(error)) from error
        suffix = _GENERATION_SUFFIX.fullmatch(first[len(name) :])
        if not first.startswith(name) or suffix is None:
            why = f"it points to {quote(first)}, not to `{name}-N-link` beside it"
            raise _broken(name, link, why)
        second = link.with_name(first)
        try:
            return int(suffix[1]), os.readlink(second)
        except FileNotFoundError:
            if attempt == _ATTEMPTS:
                why = f"{quote(link)} points to it, and it does not exist"
                raise _broken(name, second, why) from None
        except OSError as error:
            raise _broken(name, second, _unreadable(error)) from error
    raise AssertionError("the last attempt returns or raises")


def _require_folder(name: str, path: Path) -> None:
    """Refuses a store path that is absent, or is a link to what may change."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        why = "the profile points to it, and it is not there: collected, or the root was moved"
        raise _broken(name, path, why) from None
    except OSError as error:
        raise _broken(name, path, _unreadable(error)) from error
    if not stat.S_ISDIR(mode):
        raise _broken(name, path, "the profile points to it, and it is not a folder")


def _unreadable(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"this user may not read it ({error.strerror})"
    return f"it cannot be read as a link or folder ({error.strerror})"


def _not_found(name: str, root: Path) -> PackageNotFound:
    names = profile_names(root)
    return PackageNotFound(
        f"no package {quote(name)}",
        f"{profiles_dir(root)}",
        f"root {quote(root)} has no profile of that name; its profiles: {listing(names)}",
        f"{nearest(name, names)}run `hoist ship` in the package's project, or name another root"
        " with `root=` or HOIST_ROOT",
    )


def _broken(name: str, place: Path, why: str) -> ProfileBroken:
    return ProfileBroken(
        f"the profile of package {quote(name)} is broken",
        str(place),
        why,
        f"run `hoist generations {name}` to see what is left, then `hoist rollback {name}`,"
        " or `hoist ship` in the package's project",
    )
