"""Marking pages for hint faults, and when the marks are hit (task_numa_work, change_prot_numa)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model import folios, patterns
from policyc.simulate.model.area import LARGEST, Area, Bools, Bytes, Pages
from policyc.simulate.model.host import Host, ProcessState, cpu_nodes
from policyc.simulate.model.tiering import NORMAL, TIERING
from policyc.simulate.workload.specification import MILLISECOND

__all__ = ["Due", "Marker", "Marks"]

#: Queues of one process, after which they are joined.
_MOST = 32


@dataclass(frozen=True, slots=True)
class Due:
    """Hint faults of an area, in order of `times`, nanoseconds. `heads` are first pages of
    folios, `orders` their orders when they were marked.
    """

    area: Area
    times: NDArray[np.float64]
    heads: Pages
    orders: Bytes

    def part(self, chosen: slice | NDArray[np.intp]) -> Due:
        """Some of them."""
        return Due(self.area, self.times[chosen], self.heads[chosen], self.orders[chosen])


@dataclass(slots=True, eq=False)
class Marks:
    """The marks of a process that were not hit yet."""

    queues: list[tuple[int, Due]] = field(default_factory=list[tuple[int, Due]])

    def add(self, due: Due) -> None:
        """Queue marks that were just made."""
        if len(due.heads):
            self.queues.append((due.area.version, due))

    def take(self, host: Host, until: int) -> list[Due]:
        """What is hit before a time, area by area; marks taken away meanwhile are dropped.

        Where what goes on in an area has changed, all times are drawn anew.
        """
        found: list[Due] = []
        kept: list[tuple[int, Due]] = []
        for version, queued in self.queues:
            area = queued.area
            if area.freed or not area.protected_count:
                continue
            due = queued
            if version != area.version:
                due = _drawn(host, area, due.heads, due.orders, host.now)
            count = int(np.searchsorted(due.times, until, side="right"))
            hit = due.part(np.flatnonzero(area.protected[due.heads[:count]]))
            if len(hit.heads):
                found.append(hit)
            if count < len(due.heads):
                kept.append((area.version, due.part(slice(count, None))))
        self.queues = kept if len(kept) <= _MOST else _joined(kept)
        return found


def _joined(queues: list[tuple[int, Due]]) -> list[tuple[int, Due]]:
    """One queue an area, without the marks that are gone."""
    by_area: dict[int, list[Due]] = {}
    for _, due in queues:
        by_area.setdefault(id(due.area), []).append(due)
    found: list[tuple[int, Due]] = []
    for parts in by_area.values():
        area = parts[0].area
        times = np.concatenate([part.times for part in parts])
        heads = np.concatenate([part.heads for part in parts])
        orders = np.concatenate([part.orders for part in parts])
        chosen = np.argsort(times)
        chosen = chosen[area.protected[heads[chosen]]]
        found.append((area.version, Due(area, times[chosen], heads[chosen], orders[chosen])))
    return found


def _drawn(host: Host, area: Area, heads: Pages, orders: Bytes, now: int) -> Due:
    """When each folio is touched next: the first touch of any of its pages."""
    times = np.empty(len(heads))
    for order in np.flatnonzero(np.bincount(orders)).tolist():
        chosen = np.flatnonzero(orders == order)
        pages = folios.whole(heads[chosen], order)
        inside = np.clip(pages, area.first, area.end - 1)
        drawn = patterns.next_access(area, inside, now, host.rng)
        times[chosen] = drawn.reshape(-1, 1 << order).min(axis=1)
    order_of_time = np.argsort(times)
    return Due(area, times[order_of_time], heads[order_of_time], orders[order_of_time])


@dataclass(frozen=True, slots=True)
class Marker:
    """What may be marked for a process at present.

    `mode` is the bits of kernel.numa_balancing that hold for it. `alone` is the node of its
    CPU if it has a single thread: pages of that node are left (`change_pte_range`).
    """

    host: Host
    mode: int
    alone: int | None

    @classmethod
    def make(cls, host: Host, process: ProcessState, mode: int) -> Marker:
        """For a process as it is."""
        nodes = cpu_nodes(host, process)
        alone = nodes[0] if process.threads == 1 and len(nodes) == 1 else None
        return cls(host, mode, alone)

    def _wanted_nodes(self) -> Bools:
        """By node, 256 of them: whether a page there is marked."""
        wanted = np.zeros(256, np.bool_)
        for node in self.host.nodes:
            # Without the normal mode nothing can come of faults on the fastest tier.
            wanted[node.index] = bool(self.mode & NORMAL) or not node.top_tier
        if self.alone is not None:
            wanted[self.alone] = False
        return wanted

    def mark(self, area: Area, start: int, end: int, now: int) -> tuple[int, int, Due | None]:
        """Mark the pages of a range; pages marked, PMD-sized folios of them, and when they
        are hit.
        """
        wanted = self._wanted_nodes()
        possible = sum(
            number for node, number in enumerate(area.by_node) if number and wanted[node]
        )
        if possible <= 0:
            return 0, 0, None
        part = slice(start, end)
        eligible = (area.folio[part] <= LARGEST) & wanted[area.node[part]]
        eligible &= ~area.protected[part]
        if area.cow is not None:
            eligible &= ~area.cow[part]
        pages = np.flatnonzero(eligible) + start
        if not len(pages):
            return 0, 0, None
        folios.protect(area, pages)
        self._stamp(area, pages, now)
        orders = area.folio[pages]
        heads = pages >> orders << orders if orders.any() else pages
        first = np.ones(len(heads), np.bool_)
        first[1:] = heads[1:] != heads[:-1]
        heads, orders = heads[first], orders[first]
        huge = int(np.count_nonzero(orders == area.order))
        return len(pages), huge, _drawn(self.host, area, heads, orders, now)

    def _stamp(self, area: Area, pages: Pages, now: int) -> None:
        """Keep the time on pages of slow tiers (`folio_xchg_access_time`)."""
        if not self.mode & TIERING:
            return
        if area.stamp is None:
            area.stamp = np.zeros(area.length, np.uint32)
        area.stamp[pages] = now // MILLISECOND & 0xFFFF_FFFF
