"""Checks of the values that come from outside: requests, members of sets, parameters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "COMM_BYTES",
    "PERCENT_MAX",
    "U64_MAX",
    "checked_cgroup",
    "checked_comm",
    "checked_number",
    "did_you_mean",
    "normalised_cgroup",
]

U64_MAX = (1 << 64) - 1

#: 100 %, in hundredths of a percent.
PERCENT_MAX = 10_000

#: The kernel keeps 16 bytes of a task's name, the last of which is a NUL.
COMM_BYTES = 15

_CGROUP = re.compile(r"/|(?:/(?!\.{1,2}(?:/|\Z))[^/\0]+)+")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The end of an error message: the known name that is most like this one, if any is."""
    matches = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def checked_number(what: str, value: object, high: int = U64_MAX) -> int:
    """The value if it is an integer of 0..high."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{what}: expected an integer, got {value!r}")
    if not 0 <= value <= high:
        raise ValueError(f"{what}: expected 0..{high}, got {value}")
    return value


def checked_comm(what: str, value: object) -> bytes:
    """The name of a task as the kernel keeps it: bytes up to the first NUL, at most 15."""
    if isinstance(value, str):
        try:
            value = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError(f"{what}: {value!r} cannot be written as UTF-8") from None
    if not isinstance(value, bytes):
        raise ValueError(f"{what}: expected a string or bytes, got {value!r}")
    comm = value.partition(b"\0")[0]
    if len(comm) > COMM_BYTES:
        raise ValueError(f"{what}: expected at most {COMM_BYTES} bytes, got {len(comm)}: {comm!r}")
    return comm


def checked_cgroup(what: str, value: object) -> str:
    """The value if it is a normalised absolute path of a cgroup."""
    if not isinstance(value, str) or _CGROUP.fullmatch(value) is None:
        raise ValueError(
            f"{what}: expected a normalised absolute path such as '/system.slice', got {value!r}"
        )
    return value


def normalised_cgroup(what: str, value: object) -> str:
    """The path without repeated and trailing slashes; otherwise it must be a normalised one."""
    if isinstance(value, str) and value.startswith("/"):
        value = "/" + "/".join(part for part in value.split("/") if part)
    return checked_cgroup(what, value)
