"""The CO-RE relocations of a BPF object: which parts of the kernel's types it needs.

The records are those of `struct bpf_core_relo` (include/uapi/linux/bpf.h) in .BTF.ext.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from os import PathLike
from pathlib import Path

from policyc.hooks.btf import types as t
from policyc.hooks.btf.errors import BtfError
from policyc.hooks.btf.files import read_contents
from policyc.hooks.btf.reader import Btf, parse_btf

__all__ = ["Relocation", "RelocationKind", "relocations"]

_HEADER = struct.Struct("=HBBIIIIIII")


class RelocationKind(IntEnum):
    """`enum bpf_core_relo_kind`."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


@dataclass(frozen=True, slots=True)
class Relocation:
    """What one instruction asks the kernel's types for.

    `record` is the struct or enumeration, `path` the member or enumerator in it (empty for
    the type itself), `type` the number of the member's type in `btf`, 0 for others.
    """

    btf: Btf
    kind: RelocationKind
    record: str
    path: tuple[str, ...]
    type: int


def relocations(path: str | PathLike[str]) -> list[Relocation]:
    """The relocations of an object file in the order of its sections.

    Raises OSError, and BtfError for a damaged file.
    """
    file = Path(path)
    contents = read_contents(file)
    btf = parse_btf(contents.btf, file.name)
    data = contents.ext
    order = "<" if btf.little_endian else ">"
    if len(data) < _HEADER.size:
        return []
    values = struct.unpack_from(order + "HBBI6I", data)
    start, size = values[3] + values[8], values[9]
    if start + size > len(data):
        raise BtfError("truncated", "relocations", offset=start, file=str(file))
    return list(_records(btf, order, data[start : start + size]))


def _records(btf: Btf, order: str, data: bytes) -> list[Relocation]:
    found: list[Relocation] = []
    if not data:
        return found
    (width,) = struct.unpack_from(order + "I", data)
    at = 4
    while at < len(data):
        if at + 8 > len(data):
            raise BtfError("truncated", "a section of relocations", offset=at)
        _, count = struct.unpack_from(order + "II", data, at)
        at += 8
        if width < 16 or at + count * width > len(data):
            raise BtfError("truncated", f"{count} relocations of {width} bytes", offset=at)
        for number in range(count):
            fields = struct.unpack_from(order + "IIII", data, at + number * width)
            found.append(_relocation(btf, fields[1], btf.string(fields[2]), fields[3]))
        at += count * width
    return found


def _relocation(btf: Btf, number: int, access: str, kind: int) -> Relocation:
    try:
        indices = [int(part) for part in access.split(":")]
        wanted = RelocationKind(kind)
    except ValueError:
        raise BtfError("bad-type", f"a relocation of kind {kind} with {access!r}") from None
    root = btf.stripped(number)
    if wanted in (RelocationKind.ENUMVAL_EXISTS, RelocationKind.ENUMVAL_VALUE):
        if not isinstance(root, t.Enumeration) or not 0 <= indices[0] < len(root.members):
            raise BtfError("bad-type", f"a relocation to enumerator {access!r} of type {number}")
        return Relocation(btf, wanted, root.name, (root.members[indices[0]].name,), 0)
    path, end = _path(btf, number, indices[1:])
    return Relocation(btf, wanted, root.name, path, end if path else 0)


def _path(btf: Btf, number: int, indices: list[int]) -> tuple[tuple[str, ...], int]:
    """The members on the way as C names them (`counters[3]`, `count`), and the type at its end."""
    names: list[str] = []
    for index in indices:
        item = btf.stripped(number)
        match item:
            case t.Record(members=members) if 0 <= index < len(members):
                number = members[index].type
                if members[index].name:
                    names.append(members[index].name)
            case t.Array(element=element) if names:
                number = element
                names[-1] += f"[{index}]"
            case _:
                raise BtfError("bad-type", f"a relocation into type {number}")
    return tuple(names), number
