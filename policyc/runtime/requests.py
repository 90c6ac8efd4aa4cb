"""The requests, one field per attribute.

Written by tools/generate_requests.py from policyc/hooks/attributes.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from policyc.runtime.request import AttributeField, Request

__all__ = ["Advice", "Event", "NumaRequest", "ThpRequest", "VmaKind"]

Event = Literal["smaps", "pagefault", "khugepaged", "forced_collapse", "swap_pagefault"]
_EVENT = ("smaps", "pagefault", "khugepaged", "forced_collapse", "swap_pagefault")
Advice = Literal["none", "hugepage", "nohugepage"]
_ADVICE = ("none", "hugepage", "nohugepage")
VmaKind = Literal["anon", "shmem", "file"]
_VMA_KIND = ("anon", "shmem", "file")

_THP_ATTRIBUTES = (
    AttributeField("orders", "orders", "orders", False),
    AttributeField("event", "event", "enum", False, _EVENT),
    AttributeField("vma.advice", "vma_advice", "enum", False, _ADVICE),
    AttributeField("vma.kind", "vma_kind", "enum", False, _VMA_KIND),
    AttributeField("vma.size", "vma_size", "size", False),
    AttributeField("vma.stack", "vma_stack", "bool", False),
    AttributeField("vma.locked", "vma_locked", "bool", False),
    AttributeField("vma.exec", "vma_exec", "bool", False),
    AttributeField("mm.rss", "mm_rss", "size", True),
    AttributeField("mm.size", "mm_size", "size", True),
    AttributeField("task.comm", "task_comm", "string", True),
    AttributeField("task.uid", "task_uid", "int", True),
    AttributeField("task.pid", "task_pid", "int", True),
    AttributeField("cgroup", "cgroup", "cgroup", True),
    AttributeField("cgroup.depth", "cgroup_depth", "int", True),
    AttributeField("cgroup.psi.memory.some.avg10", "cgroup_psi_memory_some_avg10", "percent", True),
    AttributeField("cgroup.psi.memory.some.avg60", "cgroup_psi_memory_some_avg60", "percent", True),
    AttributeField(
        "cgroup.psi.memory.some.avg300", "cgroup_psi_memory_some_avg300", "percent", True
    ),
    AttributeField("cgroup.psi.memory.full.avg10", "cgroup_psi_memory_full_avg10", "percent", True),
    AttributeField("cgroup.psi.memory.full.avg60", "cgroup_psi_memory_full_avg60", "percent", True),
    AttributeField(
        "cgroup.psi.memory.full.avg300", "cgroup_psi_memory_full_avg300", "percent", True
    ),
    AttributeField("cgroup.psi.cpu.some.avg10", "cgroup_psi_cpu_some_avg10", "percent", True),
    AttributeField("cgroup.psi.cpu.some.avg60", "cgroup_psi_cpu_some_avg60", "percent", True),
    AttributeField("cgroup.psi.cpu.some.avg300", "cgroup_psi_cpu_some_avg300", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg10", "cgroup_psi_cpu_full_avg10", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg60", "cgroup_psi_cpu_full_avg60", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg300", "cgroup_psi_cpu_full_avg300", "percent", True),
    AttributeField("cgroup.psi.io.some.avg10", "cgroup_psi_io_some_avg10", "percent", True),
    AttributeField("cgroup.psi.io.some.avg60", "cgroup_psi_io_some_avg60", "percent", True),
    AttributeField("cgroup.psi.io.some.avg300", "cgroup_psi_io_some_avg300", "percent", True),
    AttributeField("cgroup.psi.io.full.avg10", "cgroup_psi_io_full_avg10", "percent", True),
    AttributeField("cgroup.psi.io.full.avg60", "cgroup_psi_io_full_avg60", "percent", True),
    AttributeField("cgroup.psi.io.full.avg300", "cgroup_psi_io_full_avg300", "percent", True),
    AttributeField("psi.memory.some.avg10", "psi_memory_some_avg10", "percent", True),
    AttributeField("psi.memory.some.avg60", "psi_memory_some_avg60", "percent", True),
    AttributeField("psi.memory.some.avg300", "psi_memory_some_avg300", "percent", True),
    AttributeField("psi.memory.full.avg10", "psi_memory_full_avg10", "percent", True),
    AttributeField("psi.memory.full.avg60", "psi_memory_full_avg60", "percent", True),
    AttributeField("psi.memory.full.avg300", "psi_memory_full_avg300", "percent", True),
    AttributeField("psi.cpu.some.avg10", "psi_cpu_some_avg10", "percent", True),
    AttributeField("psi.cpu.some.avg60", "psi_cpu_some_avg60", "percent", True),
    AttributeField("psi.cpu.some.avg300", "psi_cpu_some_avg300", "percent", True),
    AttributeField("psi.cpu.full.avg10", "psi_cpu_full_avg10", "percent", True),
    AttributeField("psi.cpu.full.avg60", "psi_cpu_full_avg60", "percent", True),
    AttributeField("psi.cpu.full.avg300", "psi_cpu_full_avg300", "percent", True),
    AttributeField("psi.io.some.avg10", "psi_io_some_avg10", "percent", True),
    AttributeField("psi.io.some.avg60", "psi_io_some_avg60", "percent", True),
    AttributeField("psi.io.some.avg300", "psi_io_some_avg300", "percent", True),
    AttributeField("psi.io.full.avg10", "psi_io_full_avg10", "percent", True),
    AttributeField("psi.io.full.avg60", "psi_io_full_avg60", "percent", True),
    AttributeField("psi.io.full.avg300", "psi_io_full_avg300", "percent", True),
    AttributeField("memory.usage", "memory_usage", "size", True),
    AttributeField("memory.max", "memory_max", "size", True),
    AttributeField("node.count", "node_count", "int", False),
    AttributeField("node.id", "node_id", "int", False),
    AttributeField("cgroup.id", "cgroup_id", "int", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThpRequest(Request):
    """May this allocation use these orders?

    Sizes are in bytes, percents in hundredths of a percent, orders are a mask with bit N
    for order N. None stands for an absent value. `cgroup_id` is used by rollouts only.
    """

    attributes: ClassVar[tuple[AttributeField, ...]] = _THP_ATTRIBUTES

    orders: int
    event: Event = "pagefault"
    vma_advice: Advice = "none"
    vma_kind: VmaKind = "anon"
    vma_size: int = 2 << 20
    vma_stack: bool = False
    vma_locked: bool = False
    vma_exec: bool = False
    mm_rss: int | None = None
    mm_size: int | None = None
    task_comm: bytes | str | None = None
    task_uid: int | None = None
    task_pid: int | None = None
    cgroup: str | None = None
    cgroup_depth: int | None = None
    cgroup_psi_memory_some_avg10: int | None = None
    cgroup_psi_memory_some_avg60: int | None = None
    cgroup_psi_memory_some_avg300: int | None = None
    cgroup_psi_memory_full_avg10: int | None = None
    cgroup_psi_memory_full_avg60: int | None = None
    cgroup_psi_memory_full_avg300: int | None = None
    cgroup_psi_cpu_some_avg10: int | None = None
    cgroup_psi_cpu_some_avg60: int | None = None
    cgroup_psi_cpu_some_avg300: int | None = None
    cgroup_psi_cpu_full_avg10: int | None = None
    cgroup_psi_cpu_full_avg60: int | None = None
    cgroup_psi_cpu_full_avg300: int | None = None
    cgroup_psi_io_some_avg10: int | None = None
    cgroup_psi_io_some_avg60: int | None = None
    cgroup_psi_io_some_avg300: int | None = None
    cgroup_psi_io_full_avg10: int | None = None
    cgroup_psi_io_full_avg60: int | None = None
    cgroup_psi_io_full_avg300: int | None = None
    psi_memory_some_avg10: int | None = None
    psi_memory_some_avg60: int | None = None
    psi_memory_some_avg300: int | None = None
    psi_memory_full_avg10: int | None = None
    psi_memory_full_avg60: int | None = None
    psi_memory_full_avg300: int | None = None
    psi_cpu_some_avg10: int | None = None
    psi_cpu_some_avg60: int | None = None
    psi_cpu_some_avg300: int | None = None
    psi_cpu_full_avg10: int | None = None
    psi_cpu_full_avg60: int | None = None
    psi_cpu_full_avg300: int | None = None
    psi_io_some_avg10: int | None = None
    psi_io_some_avg60: int | None = None
    psi_io_some_avg300: int | None = None
    psi_io_full_avg10: int | None = None
    psi_io_full_avg60: int | None = None
    psi_io_full_avg300: int | None = None
    memory_usage: int | None = None
    memory_max: int | None = None
    node_count: int = 1
    node_id: int = 0
    cgroup_id: int | None = None


_NUMA_ATTRIBUTES = (
    AttributeField("mm.rss", "mm_rss", "size", True),
    AttributeField("mm.size", "mm_size", "size", True),
    AttributeField("task.comm", "task_comm", "string", True),
    AttributeField("task.uid", "task_uid", "int", True),
    AttributeField("task.pid", "task_pid", "int", True),
    AttributeField("cgroup", "cgroup", "cgroup", True),
    AttributeField("cgroup.depth", "cgroup_depth", "int", True),
    AttributeField("cgroup.psi.memory.some.avg10", "cgroup_psi_memory_some_avg10", "percent", True),
    AttributeField("cgroup.psi.memory.some.avg60", "cgroup_psi_memory_some_avg60", "percent", True),
    AttributeField(
        "cgroup.psi.memory.some.avg300", "cgroup_psi_memory_some_avg300", "percent", True
    ),
    AttributeField("cgroup.psi.memory.full.avg10", "cgroup_psi_memory_full_avg10", "percent", True),
    AttributeField("cgroup.psi.memory.full.avg60", "cgroup_psi_memory_full_avg60", "percent", True),
    AttributeField(
        "cgroup.psi.memory.full.avg300", "cgroup_psi_memory_full_avg300", "percent", True
    ),
    AttributeField("cgroup.psi.cpu.some.avg10", "cgroup_psi_cpu_some_avg10", "percent", True),
    AttributeField("cgroup.psi.cpu.some.avg60", "cgroup_psi_cpu_some_avg60", "percent", True),
    AttributeField("cgroup.psi.cpu.some.avg300", "cgroup_psi_cpu_some_avg300", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg10", "cgroup_psi_cpu_full_avg10", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg60", "cgroup_psi_cpu_full_avg60", "percent", True),
    AttributeField("cgroup.psi.cpu.full.avg300", "cgroup_psi_cpu_full_avg300", "percent", True),
    AttributeField("cgroup.psi.io.some.avg10", "cgroup_psi_io_some_avg10", "percent", True),
    AttributeField("cgroup.psi.io.some.avg60", "cgroup_psi_io_some_avg60", "percent", True),
    AttributeField("cgroup.psi.io.some.avg300", "cgroup_psi_io_some_avg300", "percent", True),
    AttributeField("cgroup.psi.io.full.avg10", "cgroup_psi_io_full_avg10", "percent", True),
    AttributeField("cgroup.psi.io.full.avg60", "cgroup_psi_io_full_avg60", "percent", True),
    AttributeField("cgroup.psi.io.full.avg300", "cgroup_psi_io_full_avg300", "percent", True),
    AttributeField("psi.memory.some.avg10", "psi_memory_some_avg10", "percent", True),
    AttributeField("psi.memory.some.avg60", "psi_memory_some_avg60", "percent", True),
    AttributeField("psi.memory.some.avg300", "psi_memory_some_avg300", "percent", True),
    AttributeField("psi.memory.full.avg10", "psi_memory_full_avg10", "percent", True),
    AttributeField("psi.memory.full.avg60", "psi_memory_full_avg60", "percent", True),
    AttributeField("psi.memory.full.avg300", "psi_memory_full_avg300", "percent", True),
    AttributeField("psi.cpu.some.avg10", "psi_cpu_some_avg10", "percent", True),
    AttributeField("psi.cpu.some.avg60", "psi_cpu_some_avg60", "percent", True),
    AttributeField("psi.cpu.some.avg300", "psi_cpu_some_avg300", "percent", True),
    AttributeField("psi.cpu.full.avg10", "psi_cpu_full_avg10", "percent", True),
    AttributeField("psi.cpu.full.avg60", "psi_cpu_full_avg60", "percent", True),
    AttributeField("psi.cpu.full.avg300", "psi_cpu_full_avg300", "percent", True),
    AttributeField("psi.io.some.avg10", "psi_io_some_avg10", "percent", True),
    AttributeField("psi.io.some.avg60", "psi_io_some_avg60", "percent", True),
    AttributeField("psi.io.some.avg300", "psi_io_some_avg300", "percent", True),
    AttributeField("psi.io.full.avg10", "psi_io_full_avg10", "percent", True),
    AttributeField("psi.io.full.avg60", "psi_io_full_avg60", "percent", True),
    AttributeField("psi.io.full.avg300", "psi_io_full_avg300", "percent", True),
    AttributeField("memory.usage", "memory_usage", "size", True),
    AttributeField("memory.max", "memory_max", "size", True),
    AttributeField("node.count", "node_count", "int", False),
    AttributeField("node.id", "node_id", "int", False),
    AttributeField("cgroup.id", "cgroup_id", "int", True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaRequest(Request):
    """Is NUMA balancing on for this task?

    Sizes are in bytes, percents in hundredths of a percent, orders are a mask with bit N
    for order N. None stands for an absent value. `cgroup_id` is used by rollouts only.
    """

    attributes: ClassVar[tuple[AttributeField, ...]] = _NUMA_ATTRIBUTES

    mm_rss: int | None = None
    mm_size: int | None = None
    task_comm: bytes | str | None = None
    task_uid: int | None = None
    task_pid: int | None = None
    cgroup: str | None = None
    cgroup_depth: int | None = None
    cgroup_psi_memory_some_avg10: int | None = None
    cgroup_psi_memory_some_avg60: int | None = None
    cgroup_psi_memory_some_avg300: int | None = None
    cgroup_psi_memory_full_avg10: int | None = None
    cgroup_psi_memory_full_avg60: int | None = None
    cgroup_psi_memory_full_avg300: int | None = None
    cgroup_psi_cpu_some_avg10: int | None = None
    cgroup_psi_cpu_some_avg60: int | None = None
    cgroup_psi_cpu_some_avg300: int | None = None
    cgroup_psi_cpu_full_avg10: int | None = None
    cgroup_psi_cpu_full_avg60: int | None = None
    cgroup_psi_cpu_full_avg300: int | None = None
    cgroup_psi_io_some_avg10: int | None = None
    cgroup_psi_io_some_avg60: int | None = None
    cgroup_psi_io_some_avg300: int | None = None
    cgroup_psi_io_full_avg10: int | None = None
    cgroup_psi_io_full_avg60: int | None = None
    cgroup_psi_io_full_avg300: int | None = None
    psi_memory_some_avg10: int | None = None
    psi_memory_some_avg60: int | None = None
    psi_memory_some_avg300: int | None = None
    psi_memory_full_avg10: int | None = None
    psi_memory_full_avg60: int | None = None
    psi_memory_full_avg300: int | None = None
    psi_cpu_some_avg10: int | None = None
    psi_cpu_some_avg60: int | None = None
    psi_cpu_some_avg300: int | None = None
    psi_cpu_full_avg10: int | None = None
    psi_cpu_full_avg60: int | None = None
    psi_cpu_full_avg300: int | None = None
    psi_io_some_avg10: int | None = None
    psi_io_some_avg60: int | None = None
    psi_io_some_avg300: int | None = None
    psi_io_full_avg10: int | None = None
    psi_io_full_avg60: int | None = None
    psi_io_full_avg300: int | None = None
    memory_usage: int | None = None
    memory_max: int | None = None
    node_count: int = 1
    node_id: int = 0
    cgroup_id: int | None = None
