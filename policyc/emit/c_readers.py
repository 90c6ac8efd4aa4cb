"""Prints how each attribute of a request is read: from the kernel, or from packed bytes."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.emit.c_blocks import c_type
from policyc.emit.layout import RequestLayout, is_pressure, pressure_text
from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.model import AttributeRow, Profile
from policyc.plan.types import Kind

__all__ = [
    "Enumerators",
    "Reader",
    "enumerators",
    "helpers_of",
    "kernel_reader",
    "packed_reader",
    "roots_of",
]


_ROOT_TYPES = {
    "orders": "u64 orders",
    "event": "u32 event",
    "vma_type": "u32 vma_type",
    "vma": "struct vm_area_struct *vma",
    "mm": "struct mm_struct *mm",
    "task": "struct task_struct *task",
    "cgroup": "struct cgroup *cgroup",
    "memory": "struct mem_cgroup *memory",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A function that reads one attribute; `body` are its lines.

    An optional reader returns whether the value is there and stores it in `*value`.
    """

    field: str
    type: str
    optional: bool
    body: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enumerators:
    """The constants that decision code compares an enumerated attribute with.

    `c` is the kernel's enumeration, empty where the numbers are our own; `members` are
    the constant, its number and the kernel's name.
    """

    meaning: str
    c: str
    members: tuple[tuple[str, int, str], ...]


def _root(profile: Profile, row: AttributeRow) -> str:
    read = profile.reads.get(row.name)
    return read.root if read else row.root


def roots_of(profile: Profile, names: frozenset[str]) -> dict[str, str]:
    """The members of the request that some attributes are read from, with their types."""
    rows = [attributes()[name] for name in names]
    used = {_root(profile, row) for row in rows} - {"system"}
    return {root: text for root, text in _ROOT_TYPES.items() if root in used}


def helpers_of(profile: Profile, names: frozenset[str]) -> frozenset[str]:
    """The functions of kernel.h.j2 that the readers of some attributes call."""
    helpers: set[str] = set()
    for name in names:
        row = attributes()[name]
        if name not in profile.reads:
            helpers.update(row.uses)
        for part in row.derived:
            helpers.update(attributes()[part].uses)
    return frozenset(helpers)


def kernel_reader(profile: Profile, row: AttributeRow, *, padded: bool) -> Reader:
    """How C reads an attribute from the objects of the kernel."""
    if row.derived:
        return _derived_reader(profile, row)
    root, text = _root(profile, row), _kernel_text(profile, row)
    body: list[str] = []
    if root != "system":
        body += [f"{_ROOT_TYPES[root]} = request->{root};", ""]
        body += [f"HIDE({root});"] if row.absent else []
    fills = ", value)" in text
    if row.absent and root != "system":
        body += [f"if (!{root})", "    return false;"]
    if fills:
        pad = padded and row.type.kind is Kind.STRING
        if pad:
            body += [f"if (!{text})", "    return false;", "pad_comm(value);", "return FOUND;"]
        else:
            body += [f"return {text};"]
    elif row.absent:
        body += [f"*value = {text};", "return FOUND;"]
    else:
        body += [f"return {text};"]
    return Reader(row.field, c_type(row.type.kind), bool(row.absent), tuple(body))


def _kernel_text(profile: Profile, row: AttributeRow) -> str:
    """The text of the row, or what the profile has for it."""
    read = profile.reads.get(row.name)
    text = read.c if read else row.c
    return pressure_text(row.name, text) if is_pressure(row.name) else text


def _derived_reader(profile: Profile, row: AttributeRow) -> Reader:
    """The difference of two attributes, read one after the other; never below 0."""
    body: list[str] = []
    left, right = (attributes()[name] for name in row.derived)
    root = _root(profile, left)
    body += [f"{_ROOT_TYPES[root]} = request->{root};", "u64 most, taken;", "", f"HIDE({root});"]
    body += [f"if (!{root})", "    return false;"]
    body += [f"most = {_kernel_text(profile, left)};", f"taken = {_kernel_text(profile, right)};"]
    body += ["*value = most > taken ? most - taken : 0;", "return FOUND;"]
    return Reader(row.field, "u64", True, tuple(body))


def packed_reader(layout: RequestLayout, row: AttributeRow, *, padded: bool) -> Reader:
    """How C reads an attribute from a request given as bytes."""
    item = layout.field(row.name)
    body: list[str] = []
    if row.absent:
        word, bit = divmod(item.present, 64)
        body += [f"if (!(request->packet->present[{word}] & (1ULL << {bit})))", "    return false;"]
    if row.type.kind is Kind.STRING:
        body += [f"*value = request->packet->{row.field};"]
        body += ["pad_comm(value);"] if padded else []
        return Reader(row.field, "struct comm", True, (*body, "return true;"))
    if row.type.kind is Kind.CGROUP:
        text = "request->packet->cgroup[0]"
    elif is_pressure(row.name):
        text = f"percent_of_average(request->packet->{row.field})"
    else:
        text = f"request->packet->{row.field}"
    body += [f"*value = {text};", "return true;"] if row.absent else [f"return {text};"]
    return Reader(row.field, c_type(row.type.kind), bool(row.absent), tuple(body))


def enumerators(
    profile: Profile, names: frozenset[str], named: frozenset[str]
) -> list[Enumerators]:
    """The enumerations of the used attributes and those that constants name."""
    rows = {row.type.enum: row for row in attributes().values() if row.type.kind is Kind.ENUM}
    result: list[Enumerators] = []
    for name, row in rows.items():
        if name not in named and row.name not in names:
            continue
        enumeration = enumerations()[name]
        by_kernel = profile.attachment != "test-run" and _root(profile, row) in (
            "event",
            "vma_type",
        )
        members = tuple(
            (f"{enumeration.name}_{member.name}".upper(), member.value, member.c)
            for member in enumeration.members
        )
        result.append(Enumerators(enumeration.meaning, enumeration.c if by_kernel else "", members))
    return result
