"""The OOM killer (mm/oom_kill.c)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyc.simulate.model.area import LARGEST, SWAPPED
from policyc.simulate.model.exit import end_process
from policyc.simulate.model.host import UNLIMITED, CgroupState, Host, ProcessState

__all__ = ["badness", "kill", "page_tables", "total_pages"]

#: OOM_SCORE_ADJ_MIN: never killed.
NEVER = -1000


def total_pages(host: Host, cgroup: CgroupState | None) -> int:
    """What oom_score_adj is a share of (`constrained_alloc`): the limit of the cgroup, or all
    memory, and swap.
    """
    memory = sum(node.free.pages for node in host.nodes)
    swap = host.machine.swap // host.page_size
    if cgroup is None or cgroup.max >= UNLIMITED:
        return memory + swap
    return min(memory, cgroup.max) + min(swap, cgroup.swap_max)


def page_tables(host: Host, process: ProcessState) -> int:
    """Pages of page tables: one for each PMD-sized block with anything mapped. A huge page
    has one too, deposited for the time when it is split. Upper levels are left out.
    """
    tables = 0
    for area in process.areas.values():
        if area.resident or area.swapped or area.zero_mapped:
            mapped = (area.folio <= LARGEST) | (area.folio == SWAPPED)
            tables += int(np.count_nonzero(area.rows(mapped).any(axis=1)))
    return tables


def badness(host: Host, process: ProcessState, total: int) -> int | None:
    """The points of a process, in pages; None: it must not be killed (`oom_badness`)."""
    adjust = process.spec.oom_score_adj
    if adjust == NEVER or not process.alive:
        return None
    swapped = sum(area.swapped for area in process.areas.values())
    return process.resident + swapped + page_tables(host, process) + adjust * total // 1000


def kill(host: Host, cgroup: CgroupState | None) -> ProcessState | None:
    """Kill the worst process of a cgroup and all below (None: of all) and free its memory.

    None if there is no process that may be killed. Counts oom_kill.
    """
    total = total_pages(host, cgroup)
    worst: ProcessState | None = None
    most = 0
    for process in _candidates(host, cgroup):
        points = badness(host, process, total)
        if points is not None and (worst is None or points > most):
            worst, most = process, points
    if worst is None:
        return None
    worst.cgroup.count("oom_kill")
    worst.killed = True
    worst.ended = host.now
    end_process(host, worst)
    return worst


def _candidates(host: Host, cgroup: CgroupState | None) -> Iterator[ProcessState]:
    if cgroup is None:
        yield from host.living()
        return
    for each in cgroup.below():
        yield from (process for process in each.processes if process.alive)
