"""khugepaged: collapses small pages to huge ones in the background (mm/khugepaged.c).

It wakes up every scan_sleep, looks at pages_to_scan pages of page tables in the order of the
registered mappings, and collapses each PMD-sized block that passes the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from policyc.simulate.model import folios
from policyc.simulate.model.allowed import allowed_orders
from policyc.simulate.model.area import HUGE_ZERO, LARGEST, NONE, NOWHERE, SWAPPED, ZERO, Area
from policyc.simulate.model.host import CgroupState, Host
from policyc.simulate.model.limits import limiting, room
from policyc.simulate.model.reclaim import reclaim

__all__ = ["Block", "Khugepaged", "collapse_range", "look", "passes", "plan_orders"]

#: KHUGEPAGED_MIN_MTHP_ORDER: the smallest order it collapses to.
SMALLEST = 2


class _Result(Enum):
    """What became of a collapse; the names are those of enum scan_result."""

    SUCCEED = auto()
    FAIL = auto()
    ALLOC_HUGE_PAGE_FAIL = auto()
    CGROUP_CHARGE_FAIL = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """The page table of a PMD-sized block: how many entries of each kind.

    `none` counts empty entries and zero pages, `shared` pages that a fork shares; `largest`
    is the order of the largest folio, -1 without any.
    """

    none: int
    swapped: int
    shared: int
    largest: int
    tables: bool
    huge_zero: bool


def look(area: Area, start: int, order: int) -> Block:
    """The entries of the aligned pages from `start`."""
    end = start + (1 << order)
    state = area.folio[start:end]
    mapped = state[state <= LARGEST]
    shared = 0
    if area.cow_count and area.cow is not None:
        shared = int(np.count_nonzero(area.cow[start:end]))
    return Block(
        none=int(np.count_nonzero((state == NONE) | (state == ZERO))),
        swapped=int(np.count_nonzero(state == SWAPPED)),
        shared=shared,
        largest=int(mapped.max()) if len(mapped) else -1,
        tables=bool(area.tables[start // area.block]),
        huge_zero=bool((state == HUGE_ZERO).any()),
    )


def passes(found: Block, order: int, *, none: int, swap: int, shared: int) -> bool:
    """Whether the entries can become one folio of an order (`hpage_collapse_scan_pmd`).

    `none`, `swap` and `shared` are the limits. Where pages are swapped out, half of all
    entries must have been accessed; the model takes every mapped page for accessed.
    """
    if not found.tables or found.huge_zero or found.largest >= order:
        return False
    if found.none > none or found.swapped > swap or found.shared > shared:
        return False
    size = 1 << order
    mapped = size - found.none - found.swapped
    return mapped > 0 and (not found.swapped or mapped >= size // 2)


def plan_orders(limit: int, order: int, pmd_order: int) -> int | None:
    """How many empty entries a collapse to an order accepts, None: none is tried.

    The PMD order takes the setting as it is; smaller ones know "none" (0) and "any" (511,
    then all but one), since what lies between makes folios creep to the largest size
    (mm/khugepaged.c with mTHP collapse, collapse_max_ptes_none).
    """
    if order == pmd_order:
        return limit
    if limit == (1 << pmd_order) - 1:
        return (1 << order) - 1
    return 0 if limit == 0 else None


class Khugepaged:
    """The daemon. `register` is called with each mapping that comes into being."""

    __slots__ = ("_areas", "_at", "_block", "_next", "collapsed")

    def __init__(self, host: Host) -> None:
        self._areas: list[Area] = []
        #: Where it goes on: the index of a mapping, and of a block of it.
        self._at = 0
        self._block = 0
        self._next = host.now + host.machine.khugepaged.scan_sleep
        #: Collapses by order.
        self.collapsed = [0] * (host.pmd_order + 1)
        host.watchers.append(self.register)

    def register(self, area: Area) -> None:
        """`khugepaged_enter_vma`; what may not have huge pages is passed over later."""
        if not area.registered:
            area.registered = True
            self._areas.append(area)

    def advance(self, host: Host, until: int) -> None:
        """Wake up as often as is due until a time of the clock, in nanoseconds."""
        settings = host.machine.khugepaged
        while self._next <= until:
            self._next += max(1, settings.scan_sleep)
            if settings.pages_to_scan:
                self._next += self._scan(host)

    def _scan(self, host: Host) -> int:
        """One wake-up (`khugepaged_do_scan`); how much longer it took, in nanoseconds."""
        settings = host.machine.khugepaged
        progress, took = 0, 0.0
        waited = False
        self._forget_ended()
        # It passes the head of the list once, when it does not start there (pass_through_head).
        passed = self._at == self._block == 0
        while self._areas and progress < settings.pages_to_scan:
            if self._at >= len(self._areas):
                self._at = self._block = 0
                if passed:
                    break
                passed = True
            area = self._areas[self._at]
            orders = self._orders(host, area)
            left = settings.pages_to_scan - progress
            result, looked, time = self._scan_area(host, area, orders, left)
            progress += looked
            took += time
            if result is _Result.ALLOC_HUGE_PAGE_FAIL:
                if waited:
                    break
                waited = True
                took += settings.alloc_sleep
        return int(took)

    def _forget_ended(self) -> None:
        """Take out the mappings of processes that have ended, and keep the place."""
        if not any(area.freed for area in self._areas):
            return
        before = sum(not area.freed for area in self._areas[: self._at])
        if self._at < len(self._areas) and self._areas[self._at].freed:
            self._block = 0
        self._areas = [area for area in self._areas if not area.freed]
        self._at = before

    def _orders(self, host: Host, area: Area) -> int:
        wanted = 1 << area.order
        if host.machine.khugepaged.mthp and area.vma.kind == "anon":
            wanted = (2 << area.order) - (1 << SMALLEST)
        return allowed_orders(host, area, "khugepaged", wanted)

    def _scan_area(
        self, host: Host, area: Area, orders: int, left: int
    ) -> tuple[_Result, int, float]:
        """Go on in a mapping; the last result, the progress made and the time it took.

        A block counts all its pages, a mapping that may have no huge pages one page.
        """
        first, last = -(-area.first // area.block), area.end // area.block
        block = max(self._block, first)
        if not orders or block >= last:
            self._at, self._block = self._at + 1, 0
            return _Result.FAIL, 1, 0.0
        stop = min(last, block - (-left // area.block))
        result, time, reached = _Result.FAIL, 0.0, stop
        heads = area.folio[block * area.block : stop * area.block : area.block]
        small = area.tables[block:stop] & (heads != area.order)
        for each in (np.flatnonzero(small) + block).tolist():
            result = self._collapse_block(host, area, each, orders)
            time += host.costs.collapse if result is _Result.SUCCEED else 0.0
            if result is _Result.ALLOC_HUGE_PAGE_FAIL:
                reached = each + 1
                break
        self._block = reached
        if reached == last:
            self._at, self._block = self._at + 1, 0
        return result, (reached - block) * area.block, time

    def _collapse_block(self, host: Host, area: Area, block: int, orders: int) -> _Result:
        """Collapse a block to the PMD order, or parts of it to the largest that pass."""
        settings = host.machine.khugepaged
        found = look(area, block * area.block, area.order)
        if found.swapped > settings.max_ptes_swap or found.shared > settings.max_ptes_shared:
            return _Result.FAIL
        result = _Result.FAIL
        stack = [(block * area.block, area.order)]
        while stack:
            start, order = stack.pop()
            if orders >> order & 1 and _suitable(host, area, start, order):
                tried = _collapse(host, area, start, order)
                if tried is _Result.SUCCEED:
                    self.collapsed[order] += 1
                    result = tried
                    continue
                if tried is _Result.ALLOC_HUGE_PAGE_FAIL and order == area.order:
                    return tried
            if order > SMALLEST and orders & ((1 << order) - 1):
                half = 1 << (order - 1)
                stack += [(start + half, order - 1), (start, order - 1)]
        return result


def _suitable(host: Host, area: Area, start: int, order: int) -> bool:
    settings = host.machine.khugepaged
    none = plan_orders(settings.max_ptes_none, order, area.order)
    if none is None:
        return False
    huge = order == area.order
    return passes(
        look(area, start, order),
        order,
        none=none,
        swap=settings.max_ptes_swap if huge else 0,
        shared=settings.max_ptes_shared if huge else 0,
    )


def _collapse(host: Host, area: Area, start: int, order: int) -> _Result:
    """Allocate, charge, read what is swapped out, and put the folio in (`collapse_huge_page`).

    Counts thp_collapse_alloc, thp_collapse_alloc_failed, for the PMD order only.
    """
    cgroup = area.process.cgroup
    huge = order == area.order
    node = _target_node(host, area, start, order)
    free = host.nodes[node].free
    if not free.available(order):
        free.compact(order, 1)
    if not free.available(order):
        if huge:
            cgroup.count("thp_collapse_alloc_failed")
        return _Result.ALLOC_HUGE_PAGE_FAIL
    size = 1 << order
    swapped = np.flatnonzero(area.folio[start : start + size] == SWAPPED) + start
    if not _charged(host, cgroup, size + len(swapped)):
        if huge:
            # The folio was there, so /proc/vmstat counts it, and memory.stat does not.
            host.root.count("thp_collapse_alloc")
        return _Result.CGROUP_CHARGE_FAIL
    if len(swapped):
        got = free.allocate(0, len(swapped))
        folios.install(host, area, swapped[:got], 0, node)
        cgroup.count("pswpin", got)
        if got < len(swapped):
            return _Result.FAIL
    if not folios.collapse(host, area, start, order, node):
        return _Result.FAIL
    if huge:
        cgroup.count("thp_collapse_alloc")
    return _Result.SUCCEED


def _charged(host: Host, cgroup: CgroupState, pages: int) -> bool:
    """Whether there is room for pages, which reclaim may make; nobody is killed for it."""
    missing = pages - room(cgroup)
    if missing > 0:
        reclaim(host, limiting(cgroup), missing, process=None)
    return room(cgroup) >= pages


def _target_node(host: Host, area: Area, start: int, order: int) -> int:
    """The node with most of the pages (`hpage_collapse_find_target_node`)."""
    nodes = area.node[start : start + (1 << order)]
    nodes = nodes[nodes != NOWHERE]
    if not len(nodes):
        return area.process.node
    return int(np.bincount(nodes).argmax())


def collapse_range(host: Host, area: Area, first: int, last: int) -> int:
    """madvise(MADV_COLLAPSE) on the pages from `first` to `last`; blocks collapsed.

    The limits of khugepaged do not hold for it (`madvise_collapse`). The caller's time goes
    to `ProcessState.kernel_time`.
    """
    if not allowed_orders(host, area, "forced_collapse", 1 << area.order) >> area.order & 1:
        return 0
    done = 0
    low = max(-(-first // area.block), -(-area.first // area.block))
    high = min(last, area.end) // area.block
    for block in range(low, high):
        found = look(area, block * area.block, area.order)
        every = area.block
        if not passes(found, area.order, none=every, swap=every, shared=every):
            continue
        if _collapse(host, area, block * area.block, area.order) is _Result.SUCCEED:
            done += 1
            area.process.kernel_time += host.costs.collapse
    return done
