"""Page faults of anonymous and shared memory.

mm/memory.c (do_anonymous_page, alloc_anon_folio, do_swap_page, wp_page_copy),
mm/huge_memory.c (do_huge_pmd_anonymous_page), mm/shmem.c (shmem_alloc_and_add_folio).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model import folios, oom, reclaim
from policyc.simulate.model.allowed import allowed_orders
from policyc.simulate.model.area import HUGE_ZERO, LARGEST, NONE, SWAPPED, ZERO, Area, Bools, Pages
from policyc.simulate.model.fork import copy_on_write
from policyc.simulate.model.limits import limiting, room

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, NodeState, ProcessState

__all__ = ["Bill", "touch"]

#: The most pages that are reclaimed for one batch of faults.
_RECLAIM_BATCH = 2048


@dataclass(slots=True)
class Bill:
    """What some touches cost beside the accesses: nanoseconds, the number of faults, and the
    pages that were charged in a number of folios.
    """

    time: float = 0.0
    faults: int = 0
    charged: int = 0
    folios: int = 0


@dataclass(slots=True)
class _Fault:
    """A batch of faults of one area."""

    host: Host
    process: ProcessState
    area: Area
    bill: Bill = field(default_factory=Bill)

    def count(self, name: str, number: int = 1) -> None:
        self.area.process.cgroup.count(name, number)

    def pay(self, number: int, each: float, order: int | None = None) -> None:
        """Account faults that took a time each; `order` is what they allocated, if anything."""
        if number <= 0:
            return
        self.bill.time += number * each
        self.bill.faults += number
        self.process.fault_times.add(each, number)
        if order is not None:
            self.process.fault_orders[order] += number
            self.bill.charged += number << order
            self.bill.folios += number
        self.process.cgroup.count("pgfault", number)

    def cost(self, order: int, *, asked: bool = True) -> float:
        """Of a fault that zeroes a folio."""
        costs = self.host.costs
        hook = costs.hook if asked and self.host.hook.attached else 0.0
        return costs.fault + hook + costs.zero_byte * (self.host.page_size << order)

    @property
    def zonelist(self) -> list[NodeState]:
        preferred = self.area.vma.node
        return self.host.zonelist(self.process.node if preferred is None else preferred)

    def allocate(self, heads: Pages, order: int) -> int:
        """Map new folios at the first of `heads`, as far as there are some; how many."""
        done = 0
        for node in self.zonelist:
            got = node.free.allocate(order, len(heads) - done)
            folios.install(self.host, self.area, heads[done : done + got], order, node.index)
            done += got
            if done == len(heads):
                break
        return done


def touch(
    host: Host,
    process: ProcessState,
    area: Area,
    pages: Pages,
    *,
    written: Bools,
    zeros: bool = False,
) -> Bill:
    """Handle the faults of touches of pages (sorted, each once), and note what was written.

    `written` says for each page whether it is written, `zeros` that only zeros are. May kill
    processes, this one too: the caller looks whether it is alive.
    """
    fault = _Fault(host, process, area)
    if not zeros:
        # Before the faults: the shrinker may look at a page as soon as the next one faults.
        folios.fill(area, pages[written])
    state = area.folio[pages]
    swapped = pages[state == SWAPPED]
    if len(swapped):
        _swap_in(fault, swapped)
    none = state == NONE
    if none.any() and process.alive:
        _populate(fault, pages[none], written[none])
    if area.zero_mapped and process.alive:
        _replace_zero(fault, pages[written & ((state == ZERO) | (state == HUGE_ZERO))])
    if area.cow_count and area.cow is not None and process.alive:
        shared = pages[written & (area.folio[pages] <= LARGEST)]
        _copy(fault, shared[area.cow[shared]])
    bill = fault.bill
    if process.alive and bill.charged:
        # On the way back to user space.
        reclaim.over_high(
            host, area.process.cgroup, process, bill.charged, bill.charged // bill.folios
        )
    return bill


def _populate(fault: _Fault, pages: Pages, written: Bools) -> None:
    """Faults of pages that were never touched, block by block in address order."""
    area, host = fault.area, fault.host
    blocks, firsts = np.unique(pages // area.block, return_index=True)
    ends = np.append(firsts[1:], len(pages))
    huge = _could_be_huge(area, blocks)
    allowed = 0
    if huge.any():
        allowed = allowed_orders(
            host, area, "pagefault", 1 << area.order, int(np.count_nonzero(huge))
        )
    if not allowed:
        _small(fault, pages, written)
        return
    if host.machine.thp.use_zero_page and area.vma.kind == "anon":
        read = huge & ~written[firsts]
        if read.any():
            _huge_zero(fault, blocks[read])
            rest = np.repeat(~read, ends - firsts)
            later = pages[~rest & written]
            _replace_zero(fault, later)
            pages, written = pages[rest], written[rest]
            if not len(pages):
                return
            blocks = np.unique(pages // area.block)
            huge = _could_be_huge(area, blocks)
    _huge_in_order(fault, pages, written, blocks, huge)


def _could_be_huge(area: Area, blocks: Pages) -> Bools:
    """Blocks that are inside the mapping and "pmd_none": no page and no page table."""
    inside = (blocks * area.block >= area.first) & ((blocks + 1) * area.block <= area.end)
    empty = (area.rows(area.folio)[blocks] == NONE).all(axis=1)
    return inside & empty & ~area.tables[blocks]


def _huge_zero(fault: _Fault, blocks: Pages) -> None:
    if not any(area.zero_mapped for area in fault.host.areas()):
        # There is one for all; it is freed when nobody maps it (get_huge_zero_folio).
        fault.count("thp_zero_page_alloc")
    folios.map_huge_zero(fault.area, blocks)
    fault.pay(len(blocks), fault.host.costs.fault)


def _huge_in_order(fault: _Fault, pages: Pages, written: Bools, blocks: Pages, huge: Bools) -> None:
    """PMD-sized folios as long as there are some, base pages where one could not be had."""
    bounds = np.append(np.searchsorted(pages, blocks * fault.area.block), len(pages))
    number = 0
    while number < len(blocks) and fault.process.alive:
        run = number
        while run < len(blocks) and huge[run] == huge[number]:
            run += 1
        if not huge[number]:
            part = slice(bounds[number], bounds[run])
            _small(fault, pages[part], written[part])
            number = run
            continue
        wanted = blocks[number:run]
        got, limited = _huge(fault, wanted)
        number += got
        if got == len(wanted) or (got and limited):
            continue  # where a limit is in the way, the next one reclaims for itself
        # Out of huge pages all others fall back too; out of a limit, the next one may not,
        # since the base pages of this one make reclaim free some.
        failed = 1 if limited else run - number
        fault.count("thp_fault_fallback", failed)
        if limited:
            fault.count("thp_fault_fallback_charge", failed)
        part = slice(bounds[number], bounds[number + failed])
        _small(fault, pages[part], written[part])
        number += failed


def _huge(fault: _Fault, blocks: Pages) -> tuple[int, bool]:
    """Map PMD-sized folios; how many, and whether a limit was in the way of the others."""
    area, host = fault.area, fault.host
    cgroup = area.process.cgroup
    if room(cgroup) < len(blocks) * area.block and _may_reclaim(host, area):
        needed = len(blocks) * area.block - room(cgroup)
        reclaim.reclaim(host, limiting(cgroup), needed, process=fault.process)
    allowed = min(len(blocks), max(0, room(cgroup)) >> area.order)
    got = fault.allocate(blocks[:allowed] * area.block, area.order)
    if got < allowed and _may_reclaim(host, area):
        got += _compacted(fault, blocks[got:allowed])
    if area.vma.kind == "anon":  # shmem has thp_file_alloc (shmem_alloc_and_add_folio)
        fault.count("thp_fault_alloc", got)
    fault.pay(got, fault.cost(area.order), area.order)
    return got, got == allowed < len(blocks)


def _may_reclaim(host: Host, area: Area) -> bool:
    """Whether a fault may reclaim and compact directly (mm/huge_memory.c, vma_thp_gfp_mask)."""
    match host.machine.thp.defrag:
        case "always":
            return True
        case "madvise" | "defer+madvise":
            return area.advised
        case _:
            return False


def _compacted(fault: _Fault, blocks: Pages) -> int:
    """Compact directly, then try again."""
    node = fault.zonelist[0]
    moved = node.free.compact(fault.area.order, len(blocks))
    costs = fault.host.costs
    time = moved * (costs.migrate + costs.copy_byte * fault.host.page_size)
    fault.process.stalled += time
    return fault.allocate(blocks * fault.area.block, fault.area.order)


def _small(fault: _Fault, pages: Pages, written: Bools) -> None:
    """Folios below the PMD order, the largest that fit first (alloc_anon_folio)."""
    area, host = fault.area, fault.host
    request = (1 << area.order) - 1
    mask = allowed_orders(host, area, "pagefault", request, 0)
    if area.vma.kind == "anon" and host.machine.thp.use_zero_page and not written.all():
        read = pages[~written]
        folios.map_zero(area, read)
        fault.pay(len(read), host.costs.fault)
        pages = pages[written]
    before = fault.bill.faults
    for order in reversed(range(1, area.order)):
        if mask >> order & 1 and len(pages):
            pages = _sized(fault, pages, order)
    _base(fault, pages)
    allowed_orders(host, area, "pagefault", request, fault.bill.faults - before)


def _sized(fault: _Fault, pages: Pages, order: int) -> Pages:
    """Folios of one order wherever a whole one fits; the pages that are left."""
    area = fault.area
    heads = np.unique(pages >> order)
    empty = (area.folio.reshape(-1, 1 << order)[heads] == NONE).all(axis=1)
    heads = heads[empty] << order
    if not len(heads):
        return pages
    allowed = min(len(heads), max(0, room(area.process.cgroup)) >> order)
    got = fault.allocate(heads[:allowed], order)
    fault.count("anon_fault_alloc", got)
    fault.count("anon_fault_fallback", len(heads) - got)
    fault.count("anon_fault_fallback_charge", len(heads) - allowed)
    fault.pay(got, fault.cost(order), order)
    return pages[area.folio[pages] == NONE]


def _base(fault: _Fault, pages: Pages) -> None:
    """Base pages; what limits them is reclaimed, then somebody is killed."""
    done = 0
    while done < len(pages) and fault.process.alive:
        wanted = pages[done : done + max(0, room(fault.area.process.cgroup))]
        got = fault.allocate(wanted, 0)
        fault.pay(got, fault.cost(0), 0)
        done += got
        if done < len(pages):
            _make_room(fault, len(pages) - done, limited=got == len(wanted))


def _make_room(fault: _Fault, pages: int, *, limited: bool) -> None:
    """Reclaim for base pages in the limiting cgroup, or on the whole host; else kill."""
    host = fault.host
    cgroup = limiting(fault.area.process.cgroup) if limited else None
    if cgroup is not None:
        cgroup.count("memory_max")
    wanted = min(max(pages, 32), _RECLAIM_BATCH)
    if reclaim.reclaim(host, cgroup, wanted, process=fault.process):
        return
    oom.kill(host, cgroup)


def _replace_zero(fault: _Fault, pages: Pages) -> None:
    """Writes to the zero pages: a copy of the small one, a new folio for the huge one.

    The huge zero page is replaced by a huge page if one is allowed and to be had
    (do_huge_zero_wp_pmd), else its table is filled with small ones.
    """
    area = fault.area
    if not len(pages):
        return
    blocks = np.unique(pages[area.folio[pages] == HUGE_ZERO] // area.block)
    if len(blocks):
        every = folios.whole(blocks * area.block, area.order)
        area.folio[every] = NONE
        area.zero_mapped -= len(every)
        area.missing += len(every)
        got, _ = _huge(fault, blocks)
        rest = folios.whole(blocks[got:] * area.block, area.order)
        folios.map_zero(area, rest)
    _base(fault, pages[area.folio[pages] == ZERO])


def _copy(fault: _Fault, pages: Pages) -> None:
    """Writes to pages that are shared since a fork (wp_page_copy)."""
    area, costs = fault.area, fault.host.costs
    while len(pages) and fault.process.alive:
        wanted = pages[: max(0, room(area.process.cgroup))]
        taken = 0
        for node in fault.zonelist:
            got = node.free.allocate(0, len(wanted) - taken)
            if got:
                copy_on_write(fault.host, area, wanted[taken : taken + got], node.index)
            taken += got
            if taken == len(wanted):
                break
        fault.pay(taken, costs.fault + costs.copy_byte * fault.host.page_size, 0)
        pages = pages[taken:]
        if len(pages):
            _make_room(fault, len(pages), limited=taken == len(wanted))
            # Reclaim may have swapped some of them out.
            assert area.cow is not None
            pages = pages[(area.folio[pages] <= LARGEST) & area.cow[pages]]


def _swap_in(fault: _Fault, pages: Pages) -> None:
    """Read pages back, each on its own: large folios are swapped in from zram only."""
    _base(fault, pages)
    read = int(np.count_nonzero(fault.area.folio[pages] <= LARGEST))
    fault.count("pgmajfault", read)
    fault.count("pswpin", read)
    fault.process.stalled += read * fault.host.costs.swap_in
    fault.process.fault_times.add(fault.host.costs.swap_in, read)
