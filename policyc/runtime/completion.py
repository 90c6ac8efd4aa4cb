"""Values of a request that follow from others, by the fields of the request classes."""

from __future__ import annotations

from typing import TypeAlias

from policyc.runtime.checks import checked_number

__all__ = ["Value", "completed"]

Value: TypeAlias = bool | int | bytes | str | None


def completed(values: dict[str, Value]) -> dict[str, Value]:
    """The values by field with those that follow; ValueError if they contradict each other.

    The depth of a cgroup follows from its path. Of `memory.max`, `memory.usage` and
    `memory.free` two give the third; `memory.free` alone is that of an unused cgroup.
    """
    cgroup = values.get("cgroup")
    if isinstance(cgroup, str):
        depth = 0 if cgroup == "/" else cgroup.count("/")
        if values.setdefault("cgroup_depth", depth) != depth:
            raise ValueError(f"cgroup.depth: {cgroup} has depth {depth}")
    free = values.get("memory_free")
    if isinstance(free, int):
        limit, usage = values.get("memory_max"), values.get("memory_usage")
        if not isinstance(limit, int):
            usage = usage if isinstance(usage, int) else 0
            limit = checked_number("memory.max (memory.usage + memory.free)", usage + free)
        elif not isinstance(usage, int):
            usage = limit - free
        if usage < 0 or max(limit - usage, 0) != free:
            raise ValueError("memory.free: it is not memory.max - memory.usage")
        values["memory_max"], values["memory_usage"] = limit, usage
    return values
