"""Why a package could not be loaded: one exception per broken rule, all of them `HoistError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: Names printed of a long list; the rest is counted.
_LISTED = 20
#: Names compared for the nearest one: the cost grows with each.
_COMPARED = 1000


class HoistError(Exception):
    """Base of every error of this package.

    - `what`: what failed, with the name that was asked for.
    - `where`: the file, link or folder it failed at.
    - `why`: what was found there, and what was wanted.
    - `hint`: what the reader can do next.

    All four are texts, are kept as attributes and make up the message. Instances can be pickled,
    so they cross process pools.
    """

    def __init__(self, what: str, where: str, why: str, hint: str) -> None:
        super().__init__(what, where, why, hint)
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  why: {self.why}\n  hint: {self.hint}"


class InvalidName(HoistError, ValueError):
    """The text cannot be the name of a package, whatever is installed."""


class PackageNotFound(HoistError, LookupError):
    """The root has no profile of that name."""


class ProfileBroken(HoistError):
    """The profile exists, but does not lead to an artifact in the store."""


class AbiMissing(HoistError):
    """The artifact has no ABI file, so nothing is known about its functions."""


class AbiInvalid(HoistError):
    """The ABI file is malformed, of another edition, or contradicts itself or its library."""


class WrongSystem(HoistError):
    """The artifact was built for another machine or operating system."""


class LibraryNotFound(HoistError, LookupError):
    """The artifact has no library of the name given as `library=`."""


class AmbiguousExport(HoistError):
    """Two libraries of the artifact promise one name, and none was picked."""


class LoadFailed(HoistError):
    """The loader refused the library; `why` keeps what it said."""


class ExportMissing(HoistError, AttributeError):
    """A function is not promised, or is promised and not in the library.

    Also an `AttributeError`, so that `hasattr(artifact, "route_message_ffi")` answers.
    """


class BufferRefused(HoistError, TypeError):
    """An object's memory cannot be handed to a library as it lies."""


def quote(text: object, most: int = 200) -> str:
    """Returns `text` in backticks, printable and at most `most` characters of it.

    Link targets and ABI files are other people's input: a terminal must not obey them.
    """
    shown = str(text)
    cut = shown[:most] + ("…" if len(shown) > most else "")
    return "`" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "`"


def listing(names: Iterable[str]) -> str:
    """Returns `names` quoted and joined by commas, `none` for no names."""
    every = list(names)
    shown = ", ".join(quote(name) for name in every[:_LISTED])
    rest = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return (shown + rest) or "none"


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns `did you mean …? ` for the one of `names` most like `name`, else an empty text."""
    close = difflib.get_close_matches(name[:200], list(names)[:_COMPARED], n=1)
    return f"did you mean {quote(close[0])}? " if close else ""
