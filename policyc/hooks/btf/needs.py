"""What the readers of attributes take from the kernel's types, and whether it is there."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from policyc.hooks.btf import types as t
from policyc.hooks.btf.reader import Btf
from policyc.hooks.btf.spelling import canonical, declared_type, spelling
from policyc.hooks.loader import attributes, spellings_of
from policyc.hooks.model import AttributeRow, Profile

__all__ = ["Kernel", "Needs", "attribute_rows", "needs_of", "pressure_state", "readable"]

_DEEPEST = 16

_STATES = {"memory": "MEM", "cpu": "CPU", "io": "IO"}

#: What integers of C are in every kernel that BPF runs on (LP64): bytes, and whether signed.
_INTEGERS = {
    "char": (1, True),
    "int": (4, True),
    "unsigned int": (4, False),
    "long": (8, True),
    "unsigned long": (8, False),
    "long long": (8, True),
    "unsigned long long": (8, False),
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What the reader of an attribute takes, in the words of needs.toml."""

    needs: tuple[str, ...]
    absent_without: tuple[str, ...]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "needs.toml").read_text("utf-8"))


@cache
def _attribute_rows() -> dict[str, dict[str, list[str]]]:
    rows: dict[str, dict[str, list[str]]] = _table()["attributes"]
    return {name: row for pattern, row in rows.items() for name in spellings_of(pattern)}


def pressure_state(name: str) -> str:
    """The enumerator of a pressure attribute; empty for others.

    >>> pressure_state("cgroup.psi.memory.full.avg10")
    'PSI_MEM_FULL'
    """
    resource, _, share = name.rpartition(".")[0].rpartition("psi.")[2].partition(".")
    return f"PSI_{_STATES[resource]}_{share.upper()}" if share and resource in _STATES else ""


def needs_of(profile: Profile, row: AttributeRow) -> Needs:
    """What a profile's reader of an attribute takes, the way from the hook's argument included."""
    if row.name in profile.reads:  # the hook's own argument says it
        return Needs((), ())
    needs, absent_without = _from_root(profile, row.root)
    for name in row.derived or (row.name,):
        entry = _attribute_rows()[name]
        needs += entry.get("needs", [])
        absent_without += entry.get("absent_without", [])
    state = pressure_state(row.name)
    return Needs(
        tuple(dict.fromkeys(needs)),
        tuple(dict.fromkeys(text.replace("{state}", state) for text in absent_without)),
    )


def _from_root(profile: Profile, root: str) -> tuple[list[str], list[str]]:
    """The members on the way from the first argument of the hook to an object."""
    first = declared_type(profile.arguments[0]) if profile.arguments else ""
    steps = _table()["roots"].get(first.removeprefix("struct ").removesuffix(" *"), {})
    needs: list[str] = []
    absent_without: list[str] = []
    while root in steps:
        step = steps[root]
        needs = step.get("needs", []) + needs
        absent_without = step.get("absent_without", []) + absent_without
        root = step.get("from", "")
    return list(needs), list(absent_without)


class Kernel:
    """The types of a kernel and of its modules, where programs look for what they need.

    As libbpf does, types of modules are taken only where the kernel has none of the name.
    """

    def __init__(self, btf: Btf, modules: Sequence[Btf] = ()) -> None:
        self.btf = btf
        self.modules = tuple(modules)
        self._records: dict[str, list[tuple[Btf, t.Record]]] = {}
        self._problems: dict[str, str] = {}

    @property
    def parts(self) -> tuple[Btf, ...]:
        """The kernel, then its modules."""
        return (self.btf, *self.modules)

    def records(self, name: str) -> list[tuple[Btf, t.Record]]:
        """The structs of a name."""
        if name not in self._records:
            self._records[name] = self._find(name)
        return self._records[name]

    def _find(self, name: str) -> list[tuple[Btf, t.Record]]:
        for part in self.parts:
            found = part.records(name, own=True)
            if found:
                return [(part, item) for item in found]
        return []

    def enumeration(self, name: str) -> t.Enumeration | None:
        """The enumeration of a name with members, None if there is none."""
        for part in self.parts:
            for item in part.named(name, t.Enumeration, own=True):
                if isinstance(item, t.Enumeration) and item.members:
                    return item
        return None

    def problem(self, need: str) -> str:
        """Why a need of needs.toml is not met, empty if it is.

        Raises BtfError if the type information is damaged.
        """
        if need not in self._problems:
            self._problems[need] = self._problem(need)
        return self._problems[need]

    def _problem(self, need: str) -> str:
        declared, _, place = need.rpartition(" ")
        record, _, path = place.partition(".")
        if declared == "enum":
            return self._enumerator_problem(record, path)
        candidates = self.records(record)
        if not candidates:
            return f"no struct {record}"
        if not path:
            return ""
        problems = [self._member_problem(btf, item, path, declared) for btf, item in candidates]
        return "" if "" in problems else problems[0]

    def _enumerator_problem(self, name: str, member: str) -> str:
        item = self.enumeration(name)
        if item is None:
            return f"no enum {name}"
        if all(other.name != member for other in item.members):
            return f"enum {name} has no {member}"
        return ""

    def _member_problem(self, btf: Btf, record: t.Record, path: str, declared: str) -> str:
        number = record.id
        at = f"struct {record.name}"
        for step in path.split("."):
            name, bracket, index = step.partition("[")
            item = btf.stripped(number)
            found = _member(btf, item, name) if isinstance(item, t.Record) else None
            if found is None:
                return f"{at} has no member {name}{_nearest(btf, item, name)}"
            if found.bits:
                return f"{at}.{name} is a bit-field"
            number = found.type
            at = f"{at}.{name}"
            if bracket:
                array = btf.stripped(number)
                if not isinstance(array, t.Array):
                    return f"{at} is {spelling(btf, number)}, not an array"
                if array.length <= int(index.removesuffix("]")):
                    return f"{at} has {array.length} elements, none is [{index}"
                number = array.element
        if not _fits(btf, number, declared):
            return f"{at} is {spelling(btf, number)}, not {declared}"
        return ""


def _member(btf: Btf, record: t.Record, name: str, depth: int = 0) -> t.Member | None:
    """A member by name, also in anonymous structs and unions."""
    for member in record.members:
        if member.name == name:
            return member
    if depth >= _DEEPEST:
        return None
    for member in record.members:
        if member.name:
            continue
        inner = btf.stripped(member.type)
        if isinstance(inner, t.Record):
            found = _member(btf, inner, name, depth + 1)
            if found is not None:
                return found
    return None


def _nearest(btf: Btf, item: t.BtfType, name: str) -> str:
    """A member with nearly that name, in words."""
    names = [member.name for member in item.members] if isinstance(item, t.Record) else []
    near = difflib.get_close_matches(name, names, 1, 0.7)
    return f" (it has {near[0]})" if near else ""


def _fits(btf: Btf, number: int, declared: str) -> bool:
    """Whether a reader can take a member for a type.

    These are libbpf's rules (bpf_core_fields_are_compat and bpf_core_calc_field_relo of
    tools/lib/bpf/relo_core.c): loads of unsigned integers are made wider or narrower, loads
    of signed ones cannot be, nor what takes a whole array. Elements of arrays must have their
    size, and a pointer must lead to the same struct, or the members behind it would be others.
    """
    item = btf.stripped(number)
    element, bracket, length = declared.rpartition("[")
    if bracket:
        wanted = length.removesuffix("]")
        if not isinstance(item, t.Array) or (wanted and item.length != int(wanted)):
            return False
        inner = btf.stripped(item.element)
        if isinstance(inner, t.Integer) and inner.size != _INTEGERS.get(element, (0, False))[0]:
            return False
        return _fits(btf, item.element, element)
    if declared.endswith("*"):
        return isinstance(item, t.Pointer) and _leads_to(btf, item.target, declared)
    match item:
        case t.Integer():
            if declared not in _INTEGERS:
                return False
            size, signed = _INTEGERS[declared]
            return item.size == size or not (signed or item.signed)
        case t.Record():
            return canonical(f"{item.word} {item.name}") == canonical(declared)
        case _:
            return False


def _leads_to(btf: Btf, target: int, declared: str) -> bool:
    wanted = canonical(declared).removesuffix("*").strip()
    item = btf.stripped(target)
    name = spelling(btf, item.id) if item.id else "void"
    return name == wanted


def attribute_rows(profile: Profile) -> list[AttributeRow]:
    """The attributes that a profile supplies."""
    return [
        row
        for row in attributes().values()
        if profile.has(row) and any(profile.answers(hook) for hook in row.hooks)
    ]


def readable(kernel: Kernel, needs: Needs) -> tuple[str, str]:
    """Why an attribute is always absent in a kernel, and why its reader is refused there.

    Both are empty where it can be read. An absent attribute is not refused.
    """
    for need in needs.absent_without:
        problem = kernel.problem(need)
        if problem:
            return problem, ""
    problems = [kernel.problem(need) for need in needs.needs]
    return "", "; ".join(dict.fromkeys(filter(None, problems)))
