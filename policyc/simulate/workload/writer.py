"""Writes workloads: a `specification.Workload` as the TOML that the reader reads.

Only what differs from the defaults is written, and comments where there are some.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from policyc.runtime.units import spell_value
from policyc.simulate.workload.specification import Action, Machine, Thp, Workload

__all__ = ["Comments", "write_workload"]

#: Comments by the path of the table that they stand above: () the file, ("machine",),
#: ("processes", 0), ("processes", 0, "vmas", 1), ("processes", 0, "phases", 2).
Comments = Mapping[tuple[str | int, ...], Sequence[str]]

_SIZES = frozenset(
    {
        *("memory", "page_size", "swap", "cache", "scan_size", "promote_rate_limit"),
        *("memory_max", "memory_high", "swap_max"),
        *("size", "misalign", "offset", "length", "stride"),
    }
)
_DURATIONS = frozenset(
    {
        *("duration", "tick", "latency", "scan_sleep", "alloc_sleep", "scan_delay"),
        *("scan_period_min", "scan_period_max", "scan_period", "hot_threshold"),
        *("migrate_sleep", "hot_moves_every", "delay", "work", "start"),
    }
)
#: Fields that are tables of their own, or that no key stands for.
_APART = frozenset(
    {
        *("nodes", "thp", "khugepaged", "numa", "kmmscand", "sizes", "shmem_sizes"),
        *("machine", "cgroups", "processes", "actions", "vmas", "phases", "path"),
    }
)
_COLUMNS = 96


def write_workload(workload: Workload, comments: Comments | None = None) -> str:
    """The TOML text of a workload, which reads back as the same value.

    `comments` are texts by the path of a table; their lines are folded. Like the reader, this
    has each cgroup after all its ancestors, and actions by time.
    """
    notes: Comments = comments or {}
    lines = [*_comment(notes, ()), *_pairs(workload), *_actions(workload.actions)]
    lines += _machine(workload.machine, notes)
    if tuple(cgroup.path for cgroup in workload.cgroups) != _implied(workload) or any(
        any(_pairs(cgroup)) for cgroup in workload.cgroups
    ):
        for cgroup in workload.cgroups:
            lines += ["", f"[cgroups.{_string(cgroup.path)}]", *_pairs(cgroup)]
    for number, process in enumerate(workload.processes):
        place = ("processes", number)
        lines += ["", *_comment(notes, place), "[[processes]]", *_pairs(process)]
        for name, tables in (("vmas", process.vmas), ("phases", process.phases)):
            for index, table in enumerate(tables):
                lines += ["", *_comment(notes, (*place, name, index)), f"[[processes.{name}]]"]
                lines += _pairs(table)
    return "\n".join(lines) + "\n"


def _implied(workload: Workload) -> tuple[str, ...]:
    """The cgroups that are there without being named: those of processes, and above them."""
    found: dict[str, None] = {}
    for process in workload.processes:
        parts = process.cgroup.strip("/").split("/")
        found.update(("/" + "/".join(parts[:end]), None) for end in range(1, len(parts) + 1))
    found.pop("/", None)
    return tuple(found)


def _machine(machine: Machine, notes: Comments) -> Iterator[str]:
    yield from ("", *_comment(notes, ("machine",)), "[machine]", *_pairs(machine))
    for node in machine.nodes:
        yield from ("", "[[machine.nodes]]", *_pairs(node))
    for name in ("thp", "khugepaged", "numa", "kmmscand"):
        if pairs := list(_pairs(getattr(machine, name))):
            yield from ("", f"[machine.{name}]", *pairs)
    yield from _modes(machine.thp, machine.page_size)


def _modes(thp: Thp, page_size: int) -> Iterator[str]:
    for name, modes in (("sizes", thp.sizes), ("shmem_sizes", thp.shmem_sizes)):
        if modes:
            yield from ("", f"[machine.thp.{name}]")
            for order, mode in sorted(modes.items()):
                yield f"{_string(spell_value('size', page_size << order))} = {_string(mode)}"


def _pairs(table: Any) -> Iterator[str]:
    """The keys of a dataclass that differ from its defaults, and those that have none."""
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        if field.name in _APART or value is None:
            continue
        # Without the key the reader derives the order from the page size.
        derived = field.name == "pmd_order" and table.page_size != 4096
        if derived or field.default is dataclasses.MISSING or value != field.default:
            yield f"{field.name} = {_value(field.name, value)}"


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in _SIZES:
        return _string(spell_value("size", value))
    if name in _DURATIONS:
        return _string(spell_value("duration", value)) if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int):
        return f"{value:_}" if value >= 100_000 else str(value)
    return _string(getattr(value, "value", value))


def _actions(actions: Sequence[Action]) -> Iterator[str]:
    if not actions:
        return
    yield "at = ["
    for action in actions:
        words = (spell_value("duration", action.at), action.kind.value)
        yield f"    {_string(' '.join(filter(None, (*words, action.name, action.value))))},"
    yield "]"


def _string(text: str) -> str:
    """A basic string of TOML, which are those of JSON but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(notes: Comments, place: tuple[str | int, ...]) -> Iterator[str]:
    for text in notes.get(place, ()):
        for line in _folded(text):
            yield f"# {line}".rstrip()


def _folded(text: str) -> Iterable[str]:
    import textwrap

    printable = "".join(c if c.isprintable() else "?" for c in text)
    return textwrap.wrap(printable, _COLUMNS, break_on_hyphens=False) or [""]
