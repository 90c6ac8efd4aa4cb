"""Reads BTF, the types of a kernel, a module or a BPF object, as they are asked for.

The format is that of include/uapi/linux/btf.h and Documentation/bpf/btf.rst. All of a
file's types are found at once, which takes the time of one step for each; what is in a
type is read when somebody asks for it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from policyc.hooks.btf import types as t
from policyc.hooks.btf.decode import FIXED, PER_MEMBER, Decoder
from policyc.hooks.btf.errors import BtfError
from policyc.hooks.btf.files import read_contents

__all__ = ["Btf", "parse_btf", "read_btf", "running"]

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")

#: The kernel's own limits (BTF_MAX_TYPE, BTF_MAX_NAME_OFFSET).
_MOST_TYPES = 0xFFFFF
_MOST_STRINGS = 1 << 24

#: The kernel's names are shorter than half of this (KSYM_NAME_LEN).
_LONGEST_NAME = 1024

_CHAIN = (t.Kind.TYPEDEF, t.Kind.VOLATILE, t.Kind.CONST, t.Kind.RESTRICT, t.Kind.TYPE_TAG)

#: How many typedefs and modifiers may follow one another (libbpf stops at 32).
_LONGEST_CHAIN = 64


def read_btf(path: str | PathLike[str], base: Btf | None = None) -> Btf:
    """The types of a file: raw BTF, an ELF file with a .BTF section, either one compressed.

    `base` are the types that a module's continue, those of its kernel; it is not needed
    for modules that bring the part of them that they use (.BTF.base). The byte order may
    be either. Raises OSError if the file cannot be read, and BtfError for what is no type
    information, is damaged, or needs a base.
    """
    file = Path(path)
    try:
        contents = read_contents(file)
        if contents.base:
            base = parse_btf(contents.base, file.name)
        return parse_btf(contents.btf, file.name, base)
    except BtfError as error:
        error.file = error.file or str(file)
        raise


def parse_btf(data: bytes, name: str = "", base: Btf | None = None) -> Btf:
    """The types of raw BTF; `name` is what it is called, the rest is as with `read_btf`."""
    return Btf(data, name, base)


class Btf:
    """The types of a file, by number and by name; those of its base are among them.

    `name` is what the file is called. `first` is the number of the first type that the
    file itself brings; `len` is one more than the last number. Types are made anew each
    time they are asked for. Damage shows when what is damaged is asked for, as a BtfError.
    """

    def __init__(self, data: bytes, name: str = "", base: Btf | None = None) -> None:
        self.name = name
        self.base = base
        header = _Header(data)
        self.little_endian = header.little_endian
        self._words = header.words
        self._strings = header.strings
        self._first_string = base.string_bytes if base else 0
        self.first = len(base) if base else 1
        self._type_offset = header.type_offset
        self._starts = _starts(header, self.first)
        self._by_name: dict[int, int | list[int]] | None = None
        self._found: dict[bytes, list[int]] = {}
        self._check_strings()

    def __len__(self) -> int:
        return self.first + len(self._starts)

    def __repr__(self) -> str:
        return f"<BTF {self.name}: types {self.first} to {len(self) - 1}>"

    @property
    def string_bytes(self) -> int:
        """The size of all strings, those of the base included."""
        return self._first_string + len(self._strings)

    def type(self, number: int) -> t.BtfType:
        """The type of that number; BtfError if there is none."""
        if number == 0:
            return t.VOID
        if number < self.first and self.base:
            return self.base.type(number)
        if not 0 < number < len(self):
            raise BtfError(
                "bad-id", f"type {number}", expected=f"a number from 0 to {len(self) - 1}"
            )
        return self._read(number)

    def own_types(self) -> Iterator[t.BtfType]:
        """The types that the file itself brings, in their order."""
        return (self._read(number) for number in range(self.first, len(self)))

    def named(self, name: str, *classes: type[t.BtfType], own: bool = False) -> list[t.BtfType]:
        """The types of a name, those of the base first; of the given classes, if any are.

        `own` leaves out those of the base.
        """
        found = self.base.named(name, *classes) if self.base and not own else []
        mine = (self._read(number) for number in self._numbers(name))
        return found + [item for item in mine if not classes or isinstance(item, classes)]

    def records(self, name: str, *, own: bool = False) -> list[t.Record]:
        """The structs of a name, as with `named`."""
        found = self.named(name, t.Record, own=own)
        return [item for item in found if isinstance(item, t.Record) and not item.union]

    def strings(self, prefix: str) -> list[str]:
        """The file's own strings that begin in a way; not all of them name types."""
        # The first string of a module has no NUL before it.
        text, wanted = b"\0" + self._strings, b"\0" + prefix.encode("ascii", "replace")
        found: list[str] = []
        at = text.find(wanted)
        while at >= 0:
            found.append(self.string(self._first_string + at))
            at = text.find(wanted, at + 1)
        return found

    def stripped(self, number: int, *, typedefs: bool = True) -> t.BtfType:
        """A type without its const, volatile, restrict and tags, and without typedefs."""
        for _ in range(_LONGEST_CHAIN):
            item = self.type(number)
            if not isinstance(item, t.Modifier) and not (typedefs and isinstance(item, t.Typedef)):
                return item
            number = item.target
        raise BtfError(
            "bad-id",
            f"type {number} is behind more than {_LONGEST_CHAIN} typedefs and modifiers",
            expected="an end of the chain",
        )

    def old_bit_field(self, number: int) -> int:
        """The width of a bit-field of the old kind, whose integer has fewer bits than fit.

        0 for a member of any other type. It looks at no more than the words in question:
        a struct that is a member need not be sound, nor end.
        """
        for _ in range(_LONGEST_CHAIN):
            if number < self.first and self.base:
                return self.base.old_bit_field(number)
            if not self.first <= number < len(self):
                return 0
            start = self._starts[number - self.first]
            kind = self._words[start + 1] >> 24 & 0x7F
            if kind == t.Kind.INT:
                size, word = self._words[start + 2], self._words[start + 3]
                bits, bit_offset = word & 0xFF, word >> 16 & 0xFF
                return bits if bit_offset or bits != 8 * size else 0
            if kind not in _CHAIN:
                return 0
            number = self._words[start + 2]
        return 0

    def string(self, offset: int) -> str:
        """The string at an offset; characters that are not ASCII are escaped."""
        if offset < self._first_string and self.base:
            return self.base.string(offset)
        start = offset - self._first_string
        end = self._strings.find(b"\0", start, start + _LONGEST_NAME) if start >= 0 else -1
        if not 0 <= start < len(self._strings) or end < 0:
            raise BtfError(
                "bad-string",
                f"a name at {offset:,} of {self.string_bytes:,} bytes of strings",
                expected=f"one of fewer than {_LONGEST_NAME} bytes among them",
            )
        return self._strings[start:end].decode("ascii", "backslashreplace")

    def _check_strings(self) -> None:
        """What is no type information of its own must fit to the base."""
        base = self.base
        if base is None:
            if self._strings and self._strings[0] != 0:
                raise BtfError(
                    "base-needed",
                    "the types continue those of a kernel, as a module's do",
                    expected="the types of that kernel to read first",
                )
            return
        names = [self._words[start] for start in self._starts]
        continues = not self._strings or max(names, default=0) >= self._first_string
        if not continues or not all(map(self._begins_string, names)):
            raise BtfError(
                "wrong-base",
                f"the types do not continue those of {base.name or 'their base'}",
                expected="the types of the very kernel that the module was built for",
            )

    def _begins_string(self, offset: int) -> bool:
        """Whether a string begins at an offset, rather than in the middle of one."""
        if offset < self._first_string and self.base:
            return self.base._begins_string(offset)
        at = offset - self._first_string
        return at < len(self._strings) and (at == 0 or self._strings[at - 1] == 0)

    def _numbers(self, name: str) -> list[int]:
        """The numbers of this file's own types of a name."""
        if self._by_name is None:
            self._by_name = _index(self._words, self._starts, self.first)
        found: list[int] = []
        for offset in self._offsets(name.encode("ascii", "replace") + b"\0"):
            numbers = self._by_name.get(offset, ())
            found.extend([numbers] if isinstance(numbers, int) else numbers)
        return sorted(found)

    def _offsets(self, text: bytes) -> list[int]:
        """Where a string is; the end of a longer one may be used for it too."""
        if text not in self._found:
            found = list(self.base._offsets(text)) if self.base else []
            at = self._strings.find(text)
            while at >= 0:
                found.append(self._first_string + at)
                at = self._strings.find(text, at + 1)
            self._found[text] = found
        return self._found[text]

    def _read(self, number: int) -> t.BtfType:
        start = self._starts[number - self.first]
        return Decoder(self, number, self._words, start, self._type_offset).type()


class _Header:
    """The header of raw BTF and the two parts that it points to, checked."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 8:
            raise BtfError("truncated", f"BTF of {len(data)} bytes", expected="a header")
        self.little_endian = data[0] == 0x9F
        order = "<" if self.little_endian else ">"
        magic, version, _, size = struct.unpack_from(order + "HBBI", data)
        if magic != _MAGIC:
            raise BtfError("not-btf", f"magic {magic:#06x}", offset=0, expected=f"{_MAGIC:#06x}")
        if version != 1:
            raise BtfError("bad-header", f"version {version}", offset=2, expected="1")
        if size < _HEADER.size or size > len(data):
            raise BtfError(
                "bad-header" if size < _HEADER.size else "truncated",
                f"a header of {size:,} bytes",
                offset=4,
                expected=f"{_HEADER.size} to {len(data):,}",
            )
        type_at, type_size, string_at, string_size = struct.unpack_from(order + "4I", data, 8)
        types = _part(data, size, type_at, type_size, "types")
        self.strings = _part(data, size, string_at, string_size, "strings")
        if type_at % 4 or type_size % 4:
            raise BtfError(
                "bad-header",
                f"types of {type_size:,} bytes at {type_at:,}",
                offset=8,
                expected="multiples of four",
            )
        if string_size > _MOST_STRINGS:
            raise BtfError("too-large", f"strings of {string_size:,} bytes", offset=20)
        if self.strings and self.strings[-1] != 0:
            raise BtfError("bad-string", "strings that do not end", expected="a NUL at the end")
        self.type_offset = size + type_at
        self.words = _words(types, self.little_endian)
        self.fixed, self.per_member = list(FIXED), list(PER_MEMBER)
        if size >= 32:
            layout_at, layout_size = struct.unpack_from(order + "2I", data, 24)
            self._add_layouts(_part(data, size, layout_at, layout_size, "kinds"))

    def _add_layouts(self, data: bytes) -> None:
        """Learn the sizes of kinds that are newer than this reader (struct btf_layout)."""
        for kind in range(len(FIXED), min(len(data) // 4, 128)):
            fixed, per_member = data[4 * kind], data[4 * kind + 1]
            if fixed % 4 or per_member % 4:
                raise BtfError("bad-header", f"kind {kind} is not made of 32-bit words")
            self.fixed.append(fixed // 4)
            self.per_member.append(per_member // 4)


def _part(data: bytes, header: int, start: int, size: int, what: str) -> bytes:
    if header + start + size > len(data):
        raise BtfError(
            "truncated",
            f"{what} of {size:,} bytes",
            offset=header + start,
            expected=f"the end of them within the {len(data):,} bytes",
        )
    return data[header + start : header + start + size]


def _words(data: bytes, little_endian: bool) -> array[int]:
    words = array("I", data)
    if little_endian != (sys.byteorder == "little"):
        words.byteswap()
    return words


def _starts(header: _Header, first: int) -> array[int]:
    """The index of the first word of each type."""
    words, fixed, per_member = header.words, header.fixed, header.per_member
    starts: list[int] = []
    append = starts.append
    end = len(words)
    at = 0
    try:
        while at < end:
            append(at)
            info = words[at + 1]
            kind = info >> 24 & 0x7F
            at += 3 + fixed[kind] + per_member[kind] * (info & 0xFFFFFF)
            if len(starts) > _MOST_TYPES:
                raise BtfError("too-large", f"more than {_MOST_TYPES:,} types")
    except IndexError:
        at = starts[-1]
        if at + 3 <= end:
            raise BtfError(
                "bad-type",
                f"type {first + len(starts) - 1} of kind {words[at + 1] >> 24 & 0x7F}",
                offset=header.type_offset + 4 * at + 4,
                expected=f"1 to {len(fixed) - 1}",
            ) from None
        at = end + 1
    if at > end:
        raise BtfError(
            "truncated",
            f"type {first + len(starts) - 1} reaches behind the end of the types",
            offset=header.type_offset + 4 * starts[-1],
            expected=f"its end at {header.type_offset + 4 * end:,} or before",
        )
    return array("I", starts)


def _index(words: array[int], starts: array[int], first: int) -> dict[int, int | list[int]]:
    """The numbers of the types by the offset of their names."""
    index: dict[int, int | list[int]] = {}
    for number, start in enumerate(starts, first):
        offset = words[start]
        if not offset:
            continue
        known = index.setdefault(offset, number)
        if isinstance(known, list):
            known.append(number)
        elif known != number:
            index[offset] = [known, number]
    return index


def running(directory: Path = Path("/sys/kernel/btf")) -> list[Btf]:
    """The types of the running kernel, then those of each loaded module, by name.

    A module whose types cannot be read, because it goes away at that moment or was built
    for another kernel, is left out. OSError if the kernel shows no types.
    """
    kernel = read_btf(directory / "vmlinux")
    found = [kernel]
    for file in sorted(directory.iterdir()):
        if file.name == "vmlinux":
            continue
        try:
            found.append(read_btf(file, kernel))
        except (OSError, BtfError):
            continue
    return found
