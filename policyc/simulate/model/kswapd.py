"""Background reclaim of a node, with demotion to a slower tier (mm/vmscan.c, kswapd).

kswapd wakes up when a node has less free than its low watermark and works until the high
one, in tiering mode until the promotion one (`pgdat_balanced`).
"""

from __future__ import annotations

from policyc.simulate.model import folios, underused
from policyc.simulate.model.cold import coldest
from policyc.simulate.model.host import Host, NodeState
from policyc.simulate.model.reclaim import (
    CLUSTER,
    PRIORITY,
    Work,
    areas_of,
    shrink_lists,
    shrink_queue,
)
from policyc.simulate.model.watermarks import watermarks

__all__ = ["Kswapd", "demotion_target", "wake"]

#: numa_balancing: NUMA_BALANCING_MEMORY_TIERING
TIERING = 2


def wake(host: Host, node: int) -> None:
    """Have kswapd of a node work, even above its low watermark (`wakeup_kswapd`)."""
    host.nodes[node].woken = True


def demotion_target(host: Host, node: NodeState) -> NodeState | None:
    """The node of the next slower tier with the most free memory; None in the slowest."""
    slower = [each for each in host.nodes if each.spec.tier > node.spec.tier]
    if not slower:
        return None
    tier = min(each.spec.tier for each in slower)
    return max(
        (each for each in slower if each.spec.tier == tier),
        key=lambda each: (each.free.free_pages, -each.index),
    )


class Kswapd:
    """The kswapd threads of all nodes. Each has the time of one CPU."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = 0

    def advance(self, host: Host, until: int) -> None:
        """Work until a time of the clock, in nanoseconds."""
        span = until - self._until
        self._until = until
        if span <= 0:
            return
        for cgroup in host.cgroups.values():
            underused.tidy(cgroup)
        for node in host.nodes:
            marks = watermarks(host, node.index)
            if node.free.free_pages < marks.low:
                node.woken = True
            if node.woken:
                tiering = host.machine.numa.balancing & TIERING
                self._balance(host, node, marks.promo if tiering else marks.high, span)

    def _balance(self, host: Host, node: NodeState, mark: int, span: int) -> None:
        """Free memory until the mark is reached or the time is over (`balance_pgdat`)."""
        left = float(span)
        while left > 0:
            before = node.free.free_pages
            for priority in range(PRIORITY, 0, -1):
                missing = mark - node.free.free_pages
                if missing <= 0:
                    node.woken = False
                    return
                left -= self._round(host, node, missing, priority)
                if left <= 0:
                    return
            if node.free.free_pages <= before:
                # It gives up on a hopeless node until somebody wakes it again.
                node.woken = False
                return

    def _round(self, host: Host, node: NodeState, missing: int, priority: int) -> float:
        """One priority: demote or swap, then the shrinker; nanoseconds that it took."""
        costs = host.costs
        copy = costs.copy_byte * host.page_size
        used = node.free.pages - node.free.free_pages
        moved = self._demote(host, node, min(missing, max(CLUSTER, used >> priority)))
        work = Work(missing - moved)
        if not moved:
            shrink_lists(host, host.root, work, priority, node.index)
        for cgroup in host.root.below():
            if cgroup.lingering:
                work.freed += folios.free_lingering(host, cgroup)
            shrink_queue(host, cgroup, work, priority)
        return (
            moved * (costs.migrate + copy)
            + work.swapped * (costs.reclaim + copy)
            + work.split * costs.split
        )

    def _demote(self, host: Host, node: NodeState, number: int) -> int:
        """Move the coldest pages to the next tier (`demote_folio_list`)."""
        target = demotion_target(host, node) if host.machine.numa.demotion else None
        if target is None:
            return 0
        marks = watermarks(host, target.index)
        number = min(number, target.free.free_pages - marks.low)
        if number <= 0:
            wake(host, target.index)
            return 0
        moved = 0
        for area, pages in coldest(host, areas_of(host.root), number, node.index):
            got = folios.migrate(host, area, pages, target.index)
            area.process.cgroup.count("pgdemote_kswapd", got)
            area.process.cgroup.count("pgscan", len(pages))
            area.process.cgroup.count("pgsteal", got)
            moved += got
        return moved
