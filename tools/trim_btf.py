"""Cuts the type information of a kernel down to what policies are about, for tests.

Usage: python tools/trim_btf.py VMLINUX OUTPUT [MODULE OUTPUT]...

Kept are the structs that readers of attributes look into (policyc/hooks/btf/needs.toml), the
hooks, and the enumerations; any other struct keeps its name and size, and loses its members.
OUTPUT is raw BTF in the byte order of this machine, compressed if it ends in `.xz`. A module's
continues that of its kernel, as the module's own does.
"""

from __future__ import annotations

import lzma
import struct
import sys
import tomllib
from array import array
from collections.abc import Iterator
from pathlib import Path

from policyc.hooks.btf import types as t
from policyc.hooks.btf.reader import Btf, read_btf
from policyc.hooks.loader import enumerations, profiles

NEEDS = Path(__file__).resolve().parent.parent / "policyc" / "hooks" / "btf" / "needs.toml"


def kept_names() -> tuple[set[str], set[str]]:
    """The structs whose members are kept, and the enumerations."""
    table = tomllib.loads(NEEDS.read_text("utf-8"))
    rows = [*table["attributes"].values()]
    rows += [step for steps in table["roots"].values() for step in steps.values()]
    texts = [
        text for row in rows for key in ("needs", "absent_without") for text in row.get(key, ())
    ]
    # Those that members on the way are made of.
    records, enums = {"cgroup_subsys_state", "page_counter", "percpu_counter"}, {"psi_states"}
    for text in texts:
        declared, _, place = text.rpartition(" ")
        (enums if declared == "enum" else records).add(place.partition(".")[0])
    for profile in profiles().values():
        if profile.struct_ops:
            records |= {profile.struct_ops, f"bpf_struct_ops_{profile.struct_ops}"}
    enums |= {item.c.removeprefix("enum ") for item in enumerations().values() if item.c}
    return records, enums


class Trimmer:
    """Collects types from a kernel and its modules, and writes each file's."""

    def __init__(self, kernel: Btf, modules: list[Btf]) -> None:
        self.records, self.enums = kept_names()
        self.parts = [kernel, *modules]
        self.numbers: dict[tuple[int, int], int] = {}
        self.kept: list[list[t.BtfType]] = [[] for _ in self.parts]
        for index, part in enumerate(self.parts):
            for name in sorted(self.records):
                for item in part.named(name, t.Record, own=True):
                    self._keep(index, item.id)
            for name in sorted(self.enums):
                for item in part.named(name, t.Enumeration, own=True):
                    self._keep(index, item.id)
        self._number()

    def _home(self, index: int, number: int) -> int:
        """The file that a type of a file is in."""
        return index if number >= self.parts[index].first else 0

    def _keep(self, index: int, number: int) -> None:
        """Keep a type and everything that it is made of."""
        pending = [number]
        while pending:
            current = pending.pop()
            home = self._home(index, current)
            if current == 0 or (home, current) in self.numbers:
                continue
            item = self.parts[index].type(current)
            self.numbers[home, current] = 0
            self.kept[home].append(item)
            pending += reversed([*self._references(item)])

    def _references(self, item: t.BtfType) -> Iterator[int]:
        match item:
            case t.Record(name=name, members=members) if not name or name in self.records:
                yield from (member.type for member in members)
            case t.Pointer(target=target) | t.Typedef(target=target) | t.Modifier(target=target):
                yield target
            case t.Array(element=element, index=index):
                yield from (element, index)
            case t.Prototype(returns=returns, parameters=parameters):
                yield from (returns, *(parameter.type for parameter in parameters))
            case _:
                pass

    def _number(self) -> None:
        for home, items in enumerate(self.kept):
            first = 1 if home == 0 else 1 + len(self.kept[0])
            for number, item in enumerate(items, first):
                self.numbers[home, item.id] = number

    def written(self) -> list[bytes]:
        """The raw BTF of each file."""
        kernel = Writer(self, 0, 0)
        parts = [kernel.data()]
        for index in range(1, len(self.parts)):
            parts.append(Writer(self, index, len(kernel.strings)).data())
        return parts


class Writer:
    """Raw BTF of the kept types of one file; `first_string` is the size of the base's strings."""

    def __init__(self, trimmer: Trimmer, index: int, first_string: int) -> None:
        self.trimmer, self.index, self.first_string = trimmer, index, first_string
        self.strings = bytearray(b"" if index else b"\0")
        self.offsets = {"": 0}
        self.words = array("I")
        for item in trimmer.kept[index]:
            self._write(item)

    def data(self) -> bytes:
        """A header, the types, the strings."""
        types = self.words.tobytes()
        sizes = (0, len(types), len(types), len(self.strings))
        return struct.pack("=HBBI4I", 0xEB9F, 1, 0, 24, *sizes) + types + bytes(self.strings)

    def _string(self, text: str) -> int:
        if text not in self.offsets:
            self.offsets[text] = self.first_string + len(self.strings)
            self.strings += text.encode("ascii") + b"\0"
        return self.offsets[text]

    def _number(self, number: int) -> int:
        home = self.trimmer._home(self.index, number)
        return self.trimmer.numbers[home, number] if number else 0

    def _head(self, item: t.BtfType, kind: t.Kind, third: int, count: int, flag: bool) -> None:
        info = flag << 31 | kind << 24 | count
        self.words.extend((self._string(item.name), info, third))

    def _write(self, item: t.BtfType) -> None:
        number, string = self._number, self._string
        match item:
            case t.Integer():
                self._head(item, t.Kind.INT, item.size, 0, False)
                encoding = item.signed | item.character << 1 | item.boolean << 2
                self.words.append(encoding << 24 | item.bit_offset << 16 | item.bits)
            case t.Float():
                self._head(item, t.Kind.FLOAT, item.size, 0, False)
            case t.Pointer():
                self._head(item, t.Kind.PTR, number(item.target), 0, False)
            case t.Typedef():
                self._head(item, t.Kind.TYPEDEF, number(item.target), 0, False)
            case t.Modifier():
                self._head(item, item.kind, number(item.target), 0, item.attribute)
            case t.Forward():
                self._head(item, t.Kind.FWD, 0, 0, item.union)
            case t.Array():
                self._head(item, t.Kind.ARRAY, 0, 0, False)
                self.words.extend((number(item.element), number(item.index), item.length))
            case t.Record():
                self._record(item)
            case t.Enumeration():
                self._enumeration(item)
            case t.Prototype():
                count = len(item.parameters)
                self._head(item, t.Kind.FUNC_PROTO, number(item.returns), count, False)
                for parameter in item.parameters:
                    self.words.extend((string(parameter.name), number(parameter.type)))
            case _:
                raise ValueError(f"{item} is not to be met here")

    def _record(self, item: t.Record) -> None:
        whole = not item.name or item.name in self.trimmer.records
        members = item.members if whole else ()
        kind = t.Kind.UNION if item.union else t.Kind.STRUCT
        fields = any(member.bits for member in members)
        self._head(item, kind, item.size, len(members), fields)
        for member in members:
            name, type_number = self._string(member.name), self._number(member.type)
            self.words.extend((name, type_number, member.bits << 24 | member.bit_offset))

    def _enumeration(self, item: t.Enumeration) -> None:
        kind = t.Kind.ENUM64 if item.size == 8 else t.Kind.ENUM
        self._head(item, kind, item.size, len(item.members), item.signed)
        for name, value in item.members:
            halves = (value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
            self.words.extend((self._string(name), *halves[: 1 + (kind is t.Kind.ENUM64)]))


def main(arguments: list[str]) -> int:
    """Trim the files that are named on the command line."""
    if len(arguments) < 2 or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    kernel = read_btf(arguments[0])
    modules = [read_btf(name, kernel) for name in arguments[2::2]]
    for output, data in zip(arguments[1::2], Trimmer(kernel, modules).written(), strict=True):
        compressed = lzma.compress(data, preset=9) if output.endswith(".xz") else data
        Path(output).write_bytes(compressed)
        print(f"{output}: {len(data):,} bytes, {len(compressed):,} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
