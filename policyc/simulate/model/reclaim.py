"""Reclaim of memory, for a cgroup at its limit or for the machine (mm/vmscan.c).

The loop is that of `do_try_to_free_pages`: from priority 12 to 0 it looks at a growing share
of the pages and of the queue of huge pages, until enough is freed. Page cache and slab are
not modelled, so what there is to reclaim is anonymous and shmem memory, by swap, and the
zero-filled pages of underused huge pages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from policyc.simulate.model import folios, underused
from policyc.simulate.model.area import Area
from policyc.simulate.model.cold import coldest
from policyc.simulate.model.host import CgroupState, Host, ProcessState
from policyc.simulate.model.pressure import HZ

__all__ = [
    "BATCH",
    "CLUSTER",
    "PRIORITY",
    "Work",
    "areas_of",
    "high_delay",
    "over_high",
    "reclaim",
    "shrink_lists",
    "shrink_queue",
    "swap_room",
]

#: SWAP_CLUSTER_MAX: the least that is reclaimed at once.
CLUSTER = 32

#: DEF_PRIORITY
PRIORITY = 12

#: MEMCG_CHARGE_BATCH, pages.
BATCH = 64

#: MEMCG_DELAY_PRECISION_SHIFT, MEMCG_DELAY_SCALING_SHIFT
PRECISION_SHIFT, SCALING_SHIFT = 20, 14

#: MEMCG_MAX_HIGH_DELAY_JIFFIES
LONGEST = 2 * HZ

#: MAX_RECLAIM_RETRIES
RETRIES = 16

#: Where the wait for a long charge is looked at.
POINTS = 32

#: Nanoseconds of a jiffy.
JIFFY = 1_000_000_000 // HZ


@dataclass(slots=True)
class Work:
    """What a call of reclaim is to free and what it did, in pages; `split` are folios."""

    wanted: int
    freed: int = 0
    swapped: int = 0
    split: int = 0


def reclaim(
    host: Host, cgroup: CgroupState | None, pages: int, *, process: ProcessState | None
) -> int:
    """Free pages of a cgroup and all below it (None: of the machine); how many.

    With a process it is direct reclaim: the process stands still for it. Counts pgscan,
    pgsteal, pswpout, thp_swpout_fallback, thp_underused_split_page.
    """
    top = cgroup or host.root
    work = Work(max(pages, CLUSTER))
    if any(each.lingering for each in top.below()):
        work.freed += folios.free_lingering(host, top)
    for priority in range(PRIORITY, -1, -1):
        if work.freed >= work.wanted:
            break
        shrink_lists(host, top, work, priority, None)
        for each in top.below():
            shrink_queue(host, each, work, priority)
    if process is not None:
        costs = host.costs
        process.stalled += (
            work.freed * costs.reclaim + work.swapped * costs.swap_out + work.split * costs.split
        )
    return work.freed


def areas_of(cgroup: CgroupState) -> list[Area]:
    """The areas charged to a cgroup and all below it."""
    return [
        area
        for each in cgroup.below()
        for process in each.processes
        for area in process.areas.values()
        if area.process is process and not area.freed
    ]


def swap_room(host: Host, cgroup: CgroupState) -> int:
    """Pages that may go to swap."""
    free = host.machine.swap // host.page_size - host.swap_used
    return max(0, min(free, *(each.swap_max - each.swap for each in cgroup.upwards())))


def shrink_lists(host: Host, top: CgroupState, work: Work, priority: int, node: int | None) -> None:
    """Swap out the coldest pages, of all or of a node, a share of them by the priority
    (`shrink_lruvec`). Cgroups without swap are passed over (`can_reclaim_anon_pages`).
    """
    room = swap_room(host, top)
    if not room:
        return
    areas = [area for area in areas_of(top) if swap_room(host, area.process.cgroup)]
    size = sum(area.resident if node is None else area.by_node[node] for area in areas)
    number = min(size >> priority, room, work.wanted - work.freed)
    if number <= 0:
        return
    for area, pages in coldest(host, areas, number, node):
        counters = area.process.cgroup.counters
        split = counters["thp_split_page"]
        swapped = folios.swap_out(host, area, pages)
        work.split += counters["thp_split_page"] - split
        area.process.cgroup.count("pgscan", len(pages))
        area.process.cgroup.count("pgsteal", swapped)
        work.swapped += swapped
        work.freed += swapped


def shrink_queue(host: Host, cgroup: CgroupState, work: Work, priority: int) -> None:
    """Let the shrinker look at a share of a queue (`do_shrink_slab`).

    With `seeks` at DEFAULT_SEEKS, 2, the share is twice that of the lists. Fewer folios than
    a batch are put off, unless they are all there is; what is put off adds up.
    """
    freeable = len(cgroup.queue)
    if not freeable:
        return
    total = (cgroup.deferred >> priority) + 4 * (freeable >> priority) // 2
    total = min(total, 2 * freeable)
    asked = cgroup.deferred + 4 * (freeable >> priority) // 2
    done = 0
    while total >= underused.BATCH or total >= freeable:
        found = underused.scan_queue(host, cgroup, min(underused.BATCH, total))
        if not found.folios:
            break
        work.freed += found.freed
        work.split += found.split
        total -= found.folios
        done += found.folios
    cgroup.deferred = min(max(0, asked - done), 2 * len(cgroup.queue))


def over_high(
    host: Host, cgroup: CgroupState, process: ProcessState | None, pages: int, folio: int = 1
) -> None:
    """A process has charged some pages, in folios of a size: where the cgroup or an ancestor
    is over memory.high, reclaim, then make the process wait. Counts memory_high.

    `mem_cgroup_handle_over_high` does so after each batch of 64 pages or large folio. Here
    the charges of a tick come at once: they are reclaimed at once, and the wait is the sum
    of those after each batch.
    """
    if not any(each.usage > each.high for each in cgroup.upwards()):
        return
    wanted = pages
    for retry in range(RETRIES + 1):
        freed = 0
        for each in cgroup.upwards():
            if each.parent is not None and each.usage > each.high:
                each.count("memory_high")
                freed += reclaim(host, each, wanted, process=process)
        if not _waits(high_delay(cgroup)):
            return
        if not freed and retry:
            break
        wanted = _too_much(cgroup)
    if process is not None:
        process.stalled += _all_waits(cgroup, pages, max(folio, BATCH))


def _waits(delay: int) -> bool:
    """A wait of up to a hundredth of a second is let go, jiffies."""
    return delay > HZ // 100


def _all_waits(cgroup: CgroupState, pages: int, batch: int) -> float:
    """The waits after each batch of a charge that has been made, nanoseconds."""
    number = -(-pages // batch)
    # The overage grew with each batch: that at some points of the way stands for all.
    points = min(number, POINTS)
    waits = 0.0
    for point in range(points):
        later = pages - pages * (2 * point + 1) // (2 * points)
        delay = high_delay(cgroup, batch, later if number > 1 else 0)
        waits += delay * JIFFY if _waits(delay) else 0
    return waits * number / points


def _too_much(cgroup: CgroupState) -> int:
    """Pages over the overage for which nobody waits: 1.4 % of memory.high. The kernel goes
    there in steps of SWAP_CLUSTER_MAX.
    """
    free = math.isqrt((HZ // 100 + 1 << PRECISION_SHIFT + SCALING_SHIFT) // HZ)
    return max(
        CLUSTER,
        *(
            each.usage - each.high - (each.high * free >> PRECISION_SHIFT)
            for each in cgroup.upwards()
            if each.parent is not None
        ),
    )


def high_delay(cgroup: CgroupState, pages: int = BATCH, later: int = 0) -> int:
    """Jiffies that a charge of some pages has to wait (`calculate_high_delay`): by the square
    of the largest overage, at most two seconds. `later` pages were charged after it.
    """
    overage = 0
    for each in cgroup.upwards():
        if each.parent is not None and each.usage - later > each.high:
            over = (each.usage - later - each.high) << PRECISION_SHIFT
            overage = max(overage, over // max(each.high, 1))
    delay = overage * overage * HZ >> PRECISION_SHIFT >> SCALING_SHIFT
    return min(delay * pages // BATCH, LONGEST)
