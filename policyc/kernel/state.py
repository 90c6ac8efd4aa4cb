"""The state of a policy in its maps: parameters, sets, and the cgroups that it names."""

from __future__ import annotations

import struct
from collections.abc import Callable

from policyc.emit.c_tables import table_name
from policyc.emit.layout import NO_INDEX, params_layout
from policyc.kernel.objects import Loaded
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from policyc.plan.passes.tables import Entry, tables_of
from policyc.plan.types import Kind

__all__ = ["Resolve", "counters", "fill", "path_elements", "set_keys"]

#: The id of the cgroup with a path of the policy, None if there is none now.
Resolve = Callable[[str], int | None]

_COMM_BYTES = 16

#: Names of tasks are shorter than that: the kernel keeps a NUL at the end.
_LONGEST_COMM = 15


def set_keys(plan: n.Plan, state: State, resolve: Resolve) -> dict[str, list[bytes]]:
    """The keys of each set's map: ids of the cgroups that are there, or names padded with zeroes.

    The maps are called `set_` and the name of the set.
    """
    return {
        item.name: _members(item, state.sets[item.name], resolve)
        for item in plan.sets
        if item.name in state.sets
    }


def _members(
    item: n.SetDefinition, members: frozenset[bytes | str], resolve: Resolve
) -> list[bytes]:
    if item.type.kind is Kind.STRING:
        names = [m for m in members if isinstance(m, bytes) and len(m) <= _LONGEST_COMM]
        return [name.ljust(_COMM_BYTES, b"\0") for name in sorted(names)]
    found = {resolve(member) for member in members if isinstance(member, str)}
    return [struct.pack("=Q", number) for number in found if number is not None]


def path_elements(plan: n.Plan, resolve: Resolve) -> dict[str, dict[bytes, bytes]]:
    """Keys and values by the name of the map, for the paths of scopes, conditions and tables.

    Cgroups that are not there are left out; docs/reference/manifest.md has the layouts.
    """
    table_plan = tables_of(plan)
    maps: dict[str, dict[bytes, bytes]] = {}
    if table_plan.mask_paths:
        size = 8 * ((len(table_plan.mask_paths) + 63) // 64)
        masks: dict[int, int] = {}
        for bit, path in enumerate(table_plan.mask_paths):
            number = resolve(plan.paths[path])
            if number is not None:
                masks[number] = masks.get(number, 0) | 1 << bit
        maps["policy_paths"] = {
            struct.pack("=Q", number): _words(mask, size) for number, mask in masks.items()
        }
    for table in table_plan.tables:
        found = ((resolve(plan.paths[entry.path]), entry) for entry in table.run.entries)
        maps[table_name(table)] = {
            struct.pack("=Q", number): _rules(entry)
            for number, entry in found
            if number is not None
        }
    return maps


def _words(mask: int, size: int) -> bytes:
    words = [mask >> shift & 0xFFFF_FFFF_FFFF_FFFF for shift in range(0, 8 * size, 64)]
    return struct.pack(f"={len(words)}Q", *words)


def _rules(entry: Entry) -> bytes:
    return struct.pack("=II", entry.itself, NO_INDEX if entry.below is None else entry.below)


def fill(loaded: Loaded, plan: n.Plan, state: State, resolve: Resolve) -> None:
    """Make the maps of a loaded policy those of a state; maps that it does not have are skipped.

    To be called again when cgroups come or go: elements of cgroups that are gone are
    removed. Raises KernelError.
    """
    for name, elements in path_elements(plan, resolve).items():
        if name in loaded.map_names:
            loaded.map(name).replace(elements)
    for name, keys in set_keys(plan, state, resolve).items():
        if f"set_{name}" in loaded.map_names:
            loaded.map(f"set_{name}").replace(dict.fromkeys(keys, b"\1"))
    layout = params_layout(plan)
    if layout and ".data.params" in loaded.map_names:
        values = [int(state.params[item.name]) for item in layout]
        loaded.map(".data.params").update(
            struct.pack("=I", 0), struct.pack(f"={len(values)}Q", *values)
        )


def counters(loaded: Loaded, plan: n.Plan) -> dict[int, int]:
    """How often each rule decided by its index, on all CPUs together; empty without counters."""
    if "rule_counters" not in loaded.map_names:
        return {}
    table = loaded.map("rule_counters")
    values = {rule.index: table.lookup(struct.pack("=I", rule.index)) for rule in plan.rules}
    return {
        index: sum(struct.unpack(f"={len(value) // 8}Q", value))
        for index, value in values.items()
        if value is not None
    }
