"""Background reclaim of a node, with demotion to a slower tier (mm/vmscan.c, kswapd).

kswapd wakes up when a node has less free than its low watermark and works until the high
one, in tiering mode until the promotion one (`pgdat_balanced`).
"""

from __future__ import annotations

from policyc.simulate.model import folios, underused
from policyc.simulate.model.cold import coldest
from policyc.simulate.model.host import Host, NodeState
from policyc.simulate.model.reclaim import CLUSTER, areas_of, swap_room
from policyc.simulate.model.watermarks import watermarks

__all__ = ["Kswapd", "demotion_target", "wake"]

#: numa_balancing: NUMA_BALANCING_MEMORY_TIERING
TIERING = 2

#: Pages that are looked for at once.
CHUNK = 4096


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
        for node in host.nodes:
            marks = watermarks(host, node.index)
            if node.free.free_pages < marks.low:
                node.woken = True
            if node.woken:
                tiering = host.machine.numa.balancing & TIERING
                self._balance(host, node, marks.promo if tiering else marks.high, span)

    def _balance(self, host: Host, node: NodeState, mark: int, span: int) -> None:
        """Free memory until the mark is reached or the time is over."""
        left = float(span)
        page = float(host.page_size)
        while left > 0:
            missing = mark - node.free.free_pages
            if missing <= 0:
                node.woken = False
                return
            moved = self._demote(host, node, min(missing, CHUNK))
            left -= moved * (host.costs.migrate + page * host.costs.copy_byte)
            if moved:
                continue
            freed = self._shrink(host, node, min(max(missing, CLUSTER), CHUNK))
            left -= freed * (host.costs.reclaim + page * host.costs.copy_byte)
            if not freed:
                # kswapd gives up on a hopeless node until somebody wakes it again.
                node.woken = False
                return

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

    def _shrink(self, host: Host, node: NodeState, number: int) -> int:
        """The shrinker of underused huge pages, then swap."""
        before = node.free.free_pages
        if any(each.lingering for each in host.cgroups.values()):
            folios.free_lingering(host, host.root)
        for cgroup in host.root.below():
            if node.free.free_pages - before >= number:
                break
            if cgroup.queue:
                underused.scan_queue(host, cgroup, underused.BATCH)
        number -= max(0, node.free.free_pages - before)
        number = min(number, swap_room(host, host.root))
        if number > 0:
            for area, pages in coldest(host, areas_of(host.root), number, node.index):
                swapped = folios.swap_out(host, area, pages)
                area.process.cgroup.count("pgscan", len(pages))
                area.process.cgroup.count("pgsteal", swapped)
        return max(0, node.free.free_pages - before)
