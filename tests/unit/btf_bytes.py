"""Raw BTF made word by word, and the same in the other byte order."""

from __future__ import annotations

import struct
import sys
from array import array
from pathlib import Path

from policyc.hooks.btf.types import Kind

__all__ = ["FIXTURES", "Builder", "swapped"]

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "btf"


class Builder:
    """BTF in the making; `first_string` is the size of the strings of a base."""

    def __init__(self, first_string: int = 0, first: int = 1) -> None:
        self.strings = b"" if first_string else b"\0"
        self.first_string = first_string
        self.words: list[int] = []
        self.number = first

    def string(self, text: str) -> int:
        """The offset of a new string."""
        offset = self.first_string + len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def add(
        self, kind: int, name: str, third: int = 0, tail: tuple[int, ...] = (), **more: int
    ) -> int:
        """The number of a new type; `count` and `flag` are 0 unless given."""
        info = more.get("flag", 0) << 31 | kind << 24 | more.get("count", 0)
        self.words += [self.string(name) if name else 0, info, third, *tail]
        self.number += 1
        return self.number - 1

    def integer(self, name: str = "int", size: int = 4, encoding: int = 1) -> int:
        """The number of a new integer."""
        return self.add(Kind.INT, name, size, (encoding << 24 | 8 * size,))

    def data(self, *, layout: bytes = b"") -> bytes:
        """The file."""
        types = struct.pack(f"<{len(self.words)}I", *self.words)
        at = (len(types), len(types) + len(layout))
        if not layout:
            head = struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24, 0, at[0], at[0], len(self.strings))
            return head + types + self.strings
        sizes = (0, at[0], at[1], len(self.strings), at[0], len(layout))
        head = struct.pack("<HBBI6I", 0xEB9F, 1, 0, 32, *sizes)
        return head + types + layout + self.strings


def swapped(data: bytes) -> bytes:
    """Raw BTF with a header of 24 bytes in the other byte order."""
    magic, version, flags, *sizes = struct.unpack_from("<HBBI4I", data)
    start, size = sizes[0] + sizes[1], sizes[2]
    types = array("I", data[start : start + size])
    types.byteswap()
    assert sys.byteorder == "little"
    head = struct.pack(">HBBI4I", magic, version, flags, *sizes)
    return head + types.tobytes() + data[start + size :]
