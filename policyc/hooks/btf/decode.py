"""What the words of a type mean, by its kind (include/uapi/linux/btf.h)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policyc.hooks.btf import types as t
from policyc.hooks.btf.errors import BtfError

if TYPE_CHECKING:
    from policyc.hooks.btf.reader import Btf

__all__ = ["FIXED", "PER_MEMBER", "Decoder"]

#: Words of 32 bits after a type's own three, and for each of its members, by kind.
FIXED = [0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0]
PER_MEMBER = [0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3]

#: The kernel's own limit until 2026 (BTF_MAX_VLEN); no struct comes near it.
_MOST_MEMBERS = 0xFFFF


class Decoder:
    """One type at a place among the words."""

    __slots__ = ("_btf", "_flag", "_kind", "_name", "_number", "_offset", "_size", "_tail", "_vlen")

    def __init__(self, btf: Btf, number: int, words: array[int], start: int, offset: int) -> None:
        info = words[start + 1]
        self._btf = btf
        self._number = number
        self._kind = info >> 24 & 0x7F
        self._flag = bool(info >> 31)
        self._vlen = info & 0xFFFFFF
        self._size = words[start + 2]  # or the number of another type
        self._offset = offset + 4 * start
        self._name = btf.string(words[start])
        kind = self._kind
        extra = FIXED[kind] + PER_MEMBER[kind] * self._vlen if kind < len(FIXED) else 0
        self._tail = words[start + 3 : start + 3 + extra]

    def type(self) -> t.BtfType:
        """The type."""
        if self._kind >= len(FIXED):
            return t.Other(self._number, self._name, self._kind)
        number, name, kind, tail = self._number, self._name, t.Kind(self._kind), self._tail
        match kind:
            case t.Kind.INT:
                return self._integer(tail[0])
            case t.Kind.FLOAT:
                return t.Float(number, name, self._size)
            case t.Kind.ARRAY:
                return t.Array(number, name, tail[0], tail[1], tail[2])
            case t.Kind.STRUCT | t.Kind.UNION:
                members = tuple(self._members())
                return t.Record(number, name, kind is t.Kind.UNION, self._size, members)
            case t.Kind.ENUM | t.Kind.ENUM64:
                members = tuple(self._enumerators())
                return t.Enumeration(number, name, self._size, self._flag, members)
            case t.Kind.DATASEC:
                places = tuple(map(t.Place, tail[::3], tail[1::3], tail[2::3]))
                return t.Section(number, name, self._size, places)
            case _:
                return self._reference(kind)

    def _reference(self, kind: t.Kind) -> t.BtfType:
        """A type that is about another one."""
        number, name, target, flag = self._number, self._name, self._size, self._flag
        match kind:
            case t.Kind.PTR:
                return t.Pointer(number, name, target)
            case t.Kind.FWD:
                return t.Forward(number, name, flag)
            case t.Kind.TYPEDEF:
                return t.Typedef(number, name, target)
            case t.Kind.VOLATILE | t.Kind.CONST | t.Kind.RESTRICT | t.Kind.TYPE_TAG:
                return t.Modifier(number, name, kind, target, flag)
            case t.Kind.FUNC:
                return t.Function(number, name, target, self._vlen)
            case t.Kind.FUNC_PROTO:
                names, types = self._rows(2)
                parameters = map(t.Parameter, map(self._btf.string, names), types)
                return t.Prototype(number, name, target, tuple(parameters))
            case t.Kind.VAR:
                return t.Variable(number, name, target, self._tail[0])
            case t.Kind.DECL_TAG:
                component = _signed(self._tail[0], 32)
                return t.DeclarationTag(number, name, target, component, flag)
            case _:
                raise BtfError(
                    "bad-type",
                    f"type {number} of kind {kind}",
                    offset=self._offset,
                    expected="1 to 19",
                )

    def _rows(self, width: int) -> list[array[int]]:
        """The words after the type by their place within each member."""
        if self._vlen > _MOST_MEMBERS:
            raise BtfError(
                "too-large",
                f"type {self._number} has {self._vlen:,} members",
                offset=self._offset,
                expected=f"at most {_MOST_MEMBERS:,}",
            )
        return [self._tail[column::width] for column in range(width)]

    def _integer(self, word: int) -> t.Integer:
        bits, bit_offset = word & 0xFF, word >> 16 & 0xFF
        if bits > 128 or bits + bit_offset > 8 * self._size:
            raise BtfError(
                "bad-type",
                f"integer {self._name} has bits {bit_offset} to {bit_offset + bits} "
                f"of {self._size} bytes",
                offset=self._offset,
                expected="bits within its bytes",
            )
        encoding = word >> 24
        return t.Integer(
            self._number,
            self._name,
            self._size,
            bits,
            bit_offset,
            signed=bool(encoding & 1),
            character=bool(encoding & 2),
            boolean=bool(encoding & 4),
        )

    def _members(self) -> Iterator[t.Member]:
        string = self._btf.string
        for name, number, offset in zip(*self._rows(3), strict=True):
            if self._flag:  # then the upper eight bits are the width of a bit-field
                yield t.Member(string(name), number, offset & 0xFFFFFF, offset >> 24)
            else:
                bits = self._btf.old_bit_field(number)
                yield t.Member(string(name), number, offset, bits)

    def _enumerators(self) -> Iterator[t.Enumerator]:
        string = self._btf.string
        if self._kind == t.Kind.ENUM:
            names, values = self._rows(2)
            for name, value in zip(names, values, strict=True):
                yield t.Enumerator(string(name), _signed(value, 32) if self._flag else value)
            return
        names, low, high = self._rows(3)
        for name, least, most in zip(names, low, high, strict=True):
            value = most << 32 | least
            yield t.Enumerator(string(name), _signed(value, 64) if self._flag else value)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
