"""What the readers of recordings share: lines of bounded length, times, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["RecordError", "check_length", "nanoseconds", "shown", "text_lines"]

_DAY = 24 * 3600 * 10**9
_DAYS = 30

#: A line of perf script with the longest path is shorter; a longer one is no such line.
_LONGEST = 8192
_SHOWN = 80

_BINARY = {
    b"PERFILE2": "it is the file of `perf record` itself; expected the output of `perf script`",
    b"\x1f\x8b": "it is compressed with gzip; use `zcat FILE | policyc workload ... -`",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd; use `zstdcat FILE | policyc workload ... -`",
    b"\xfd7zXZ": "it is compressed with xz; use `xzcat FILE | policyc workload ... -`",
    b"tracing": "it is the file of `trace-cmd record`; expected the output of `trace-cmd report`",
}


class RecordError(Exception):
    """A recording that cannot be used: what was found, what was expected, what to do."""


def text_lines(stream: BinaryIO, start: bytes = b"") -> Iterator[str]:
    """The lines of a stream of bytes, cut off where they are far too long.

    `start` was read from the stream before. Raises RecordError for known binary formats.
    """
    first = start + stream.readline(_LONGEST) if not start.endswith(b"\n") else start
    for magic, what in _BINARY.items():
        if first.startswith(magic) or first[:16].find(magic) == 3:
            raise RecordError(what)
    if b"\0" in first:
        raise RecordError(f"it is not text: it begins with {shown(first.decode('latin-1'))}")
    data = first
    while data:
        yield data.decode("utf-8", "replace")
        while not data.endswith(b"\n") and len(data) >= _LONGEST:
            data = stream.readline(_LONGEST)  # the rest of a line that is too long
        data = stream.readline(_LONGEST)


def nanoseconds(seconds: str, fraction: str) -> int:
    """Nanoseconds of a time such as 23815.873374."""
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def check_length(start: int, end: int) -> None:
    """Raise RecordError for a recording that is longer than a workload may be."""
    if end - start > _DAYS * _DAY:
        raise RecordError(
            f"its times are {(end - start) // _DAY:,} days apart, more than the {_DAYS} of a "
            "workload; are they of one recording?"
        )


def shown(text: str) -> str:
    """A piece of a line as an error message shows it."""
    text = text.strip()
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
