"""Every change of what maps a page, with the accounts of areas, nodes and cgroups.

A page that is resident is charged to the cgroup of its area's process and lies on a node,
unless it is borrowed from a relative of a fork. A mechanism decides, a function here does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model.area import (
    HUGE_ZERO,
    LARGEST,
    NONE,
    NOWHERE,
    SWAPPED,
    ZERO,
    Area,
    Bools,
    Pages,
)
from policyc.simulate.model.limits import charge, room, uncharge

if TYPE_CHECKING:
    from policyc.simulate.model.host import CgroupState, Host

__all__ = [
    "check",
    "collapse",
    "fill",
    "forget",
    "free_lingering",
    "install",
    "map_huge_zero",
    "map_zero",
    "migrate",
    "protect",
    "release",
    "split",
    "swap_out",
    "to_base",
    "unprotect",
    "whole",
]


def whole(heads: Pages, order: int) -> Pages:
    """The pages of folios of an order, by their first pages."""
    if order == 0:
        return heads
    return (heads[:, None] + np.arange(1 << order)).ravel()


def install(host: Host, area: Area, heads: Pages, order: int, node: int) -> None:
    """Map new folios, which the caller has taken from the node's free lists.

    Charges them. Pages of a large folio must have been NONE; base pages may take the place
    of SWAPPED, ZERO or NONE. An area's PMD-sized folio is queued for the shrinker if
    shrink_underused is set (mm/huge_memory.c, map_anon_folio_pmd).
    """
    if not len(heads):
        return
    pages = whole(heads, order)
    _vacate(host, area, pages)
    area.folio[pages] = order
    area.node[pages] = node
    area.by_order[order] += len(pages)
    area.by_node[node] += len(pages)
    area.unfilled += len(pages) - int(np.count_nonzero(area.filled[pages]))
    blocks = heads // area.block
    if order < area.order:
        area.tables[blocks] = True
    elif area.vma.kind == "anon" and host.machine.thp.shrink_underused:
        area.process.cgroup.queue.extend((area, int(block)) for block in blocks)
    charge(area.process.cgroup, len(pages))


def _vacate(host: Host, area: Area, pages: Pages) -> None:
    """Take pages without memory out of the counts of what they were."""
    before = area.folio[pages]
    swapped = int(np.count_nonzero(before == SWAPPED))
    zero = int(np.count_nonzero((before == ZERO) | (before == HUGE_ZERO)))
    if swapped:
        area.swapped -= swapped
        _swap(host, area.process.cgroup, -swapped)
    area.zero_mapped -= zero
    area.missing -= len(pages) - zero


def map_zero(area: Area, pages: Pages) -> None:
    """Map the shared zero page at pages that were NONE (a read fault)."""
    area.folio[pages] = ZERO
    area.missing -= len(pages)
    area.zero_mapped += len(pages)
    area.tables[pages // area.block] = True


def map_huge_zero(area: Area, blocks: Pages) -> None:
    """Map the huge zero page at blocks that were NONE."""
    area.folio[whole(blocks * area.block, area.order)] = HUGE_ZERO
    area.missing -= len(blocks) * area.block
    area.zero_mapped += len(blocks) * area.block


def fill(area: Area, pages: Pages) -> None:
    """Something other than zeros was written to resident pages."""
    new = pages[~area.filled[pages]]
    area.filled[new] = True
    area.unfilled -= int(np.count_nonzero(area.folio[new] <= LARGEST))


def release(host: Host, area: Area, pages: Pages) -> int:
    """Unmap pages (MADV_DONTNEED, munmap, exit); how many were freed.

    A PMD-sized folio of which only a part goes keeps its memory until reclaim finds it on
    the deferred split queue: that part is lingering. Smaller ones are split at once.
    """
    pages = pages[(area.folio[pages] != NONE) & (pages >= area.first) & (pages < area.end)]
    if not len(pages):
        return 0
    unprotect(area, pages)
    _break_huge_zero(area, pages)
    lingering = _break_folios(host, area, pages)
    state = area.folio[pages]
    resident = pages[state <= LARGEST]
    freed = forget(host, area, resident)
    _linger(host, area, lingering)
    rest = pages[state > LARGEST]
    swapped = int(np.count_nonzero(area.folio[rest] == SWAPPED))
    area.swapped -= swapped
    _swap(host, area.process.cgroup, -swapped)
    area.zero_mapped -= len(rest) - swapped
    area.missing += len(rest) - swapped
    area.folio[pages] = NONE
    area.filled[pages] = False
    _free_whole_lingering(host, area, pages)
    return freed


def _break_huge_zero(area: Area, pages: Pages) -> None:
    blocks = np.unique(pages[area.folio[pages] == HUGE_ZERO] // area.block)
    if len(blocks):
        area.folio[whole(blocks * area.block, area.order)] = ZERO
        area.tables[blocks] = True


def _break_folios(host: Host, area: Area, pages: Pages) -> dict[int, int]:
    """Make base pages of folios that are freed in part; of PMD ones, the parts by block."""
    chosen = np.zeros(area.length, np.bool_)
    chosen[pages] = True
    owned = chosen if area.borrowed is None else chosen & ~area.borrowed
    lingering: dict[int, int] = {}
    for order in range(1, area.order + 1):
        if not area.by_order[order]:
            continue
        heads = np.unique(pages[area.folio[pages] == order] >> order)
        parts = chosen.reshape(-1, 1 << order)[heads].sum(axis=1)
        broken = heads[parts < 1 << order]
        if not len(broken):
            continue
        to_base(area, broken << order, order)
        if order == area.order:
            area.process.cgroup.count("thp_split_pmd", len(broken))
            area.process.cgroup.count("thp_deferred_split_page", len(broken))
            parts = area.rows(owned)[broken].sum(axis=1)
            lingering.update(zip(broken.tolist(), parts.tolist(), strict=True))
    return lingering


def to_base(area: Area, heads: Pages, order: int) -> None:
    """Map the pages of folios one by one from now on."""
    pages = whole(heads, order)
    area.folio[pages] = 0
    area.by_order[order] -= len(pages)
    area.by_order[0] += len(pages)
    area.tables[heads // area.block] = True


def forget(host: Host, area: Area, pages: Pages, *, scattered: bool = False) -> int:
    """Free resident pages, whole folios only; the caller says what they are then.

    `scattered`: they lie among pages that stay. How many were owned, and are free now.
    """
    if not len(pages):
        return 0
    owned = pages
    if area.borrowed is not None:
        owned = pages[~area.borrowed[pages]]
        area.borrowed[pages] = False
    if area.cow is not None:
        area.cow_count -= int(np.count_nonzero(area.cow[pages]))
        owned = _hand_over(area, owned)
        area.cow[pages] = False
    _give_back(host, area, owned, scattered=scattered)
    orders = np.bincount(area.folio[pages], minlength=area.order + 1)
    nodes = np.bincount(area.node[pages], minlength=len(area.by_node))
    for order, number in enumerate(orders.tolist()):
        area.by_order[order] -= number
    for node, number in enumerate(nodes.tolist()):
        area.by_node[node] -= number
    area.unfilled -= len(pages) - int(np.count_nonzero(area.filled[pages]))
    area.missing += len(pages)
    area.node[pages] = NOWHERE
    return len(owned)


def _hand_over(area: Area, owned: Pages) -> Pages:
    """Pages that a relative still borrows become its own; the others are returned."""
    for relative in area.relatives:
        if relative.borrowed is None or relative.freed or not len(owned):
            continue
        theirs = relative.borrowed[owned]
        given = owned[theirs]
        relative.borrowed[given] = False
        _follow(relative, area, given)
        if relative.process.cgroup is not area.process.cgroup:
            charge(relative.process.cgroup, len(given))
            uncharge(area.process.cgroup, len(given))
        owned = owned[~theirs]
    return owned


def _follow(area: Area, owner: Area, pages: Pages) -> None:
    """Pages that are taken over lie where their owner had them moved meanwhile."""
    for old in np.unique(area.node[pages]).tolist():
        area.by_node[old] -= int(np.count_nonzero(area.node[pages] == old))
    area.node[pages] = owner.node[pages]
    for new in np.unique(area.node[pages]).tolist():
        area.by_node[new] += int(np.count_nonzero(area.node[pages] == new))


def _give_back(host: Host, area: Area, pages: Pages, *, scattered: bool) -> None:
    """Uncharge pages, and put them on the free lists of their nodes."""
    if not len(pages):
        return
    width = area.order + 1
    kinds = np.bincount(area.node[pages].astype(np.int64) * width + area.folio[pages])
    for kind in np.flatnonzero(kinds).tolist():
        node, order = divmod(kind, width)
        # After a fork a folio may be given back page by page, by whoever had it last.
        whole_folios, rest = divmod(int(kinds[kind]), 1 << order)
        host.nodes[node].free.release(order, whole_folios, scattered=scattered)
        host.nodes[node].free.release(0, rest)
    uncharge(area.process.cgroup, len(pages))


def _linger(host: Host, area: Area, parts: dict[int, int]) -> None:
    """The freed parts of PMD folios are still there: charge them again."""
    cgroup = area.process.cgroup
    for block, part in parts.items():
        rest = area.node[block * area.block : (block + 1) * area.block]
        node = int(rest[rest != NOWHERE][0]) if (rest != NOWHERE).any() else area.process.node
        got = host.nodes[node].free.allocate(0, part)
        before = area.lingering.get(block, (node, 0))[1]
        area.lingering[block] = (node, before + got)
        charge(cgroup, got)
        cgroup.lingering += got


def _free_whole_lingering(host: Host, area: Area, pages: Pages) -> None:
    """When nothing of a folio is mapped any more, all of it is freed."""
    if not area.lingering:
        return
    for block in np.unique(pages // area.block).tolist():
        rows = area.folio[block * area.block : (block + 1) * area.block]
        if block in area.lingering and not (rows <= LARGEST).any():
            _drop_lingering(host, area, block)


def _drop_lingering(host: Host, area: Area, block: int) -> int:
    node, number = area.lingering.pop(block)
    host.nodes[node].free.release(0, number)
    uncharge(area.process.cgroup, number)
    area.process.cgroup.lingering -= number
    return number


def free_lingering(host: Host, cgroup: CgroupState) -> int:
    """Free the unmapped parts of the folios of a cgroup and below; how many pages."""
    freed = 0
    for each in cgroup.below():
        if not each.lingering:
            continue
        for process in each.processes:
            for area in process.areas.values():
                if area.process is process:
                    blocks = list(area.lingering)
                    process.cgroup.count("thp_split_page", len(blocks))
                    freed += sum(_drop_lingering(host, area, block) for block in blocks)
    return freed


def split(host: Host, area: Area, blocks: Pages, *, drop_zeros: bool = False) -> int:
    """Split PMD-sized folios to base pages; how many pages were freed.

    With `drop_zeros` the zero-filled pages are replaced by the shared zero page
    (mm/migrate.c, try_to_map_unused_to_zeropage). Counts thp_split_page, thp_split_pmd.
    """
    if not len(blocks):
        return 0
    to_base(area, blocks * area.block, area.order)
    area.process.cgroup.count("thp_split_page", len(blocks))
    area.process.cgroup.count("thp_split_pmd", len(blocks))
    if not drop_zeros:
        return 0
    pages = whole(blocks * area.block, area.order)
    pages = pages[~area.filled[pages]]
    unprotect(area, pages)
    freed = forget(host, area, pages, scattered=True)
    area.folio[pages] = ZERO
    area.missing -= len(pages)
    area.zero_mapped += len(pages)
    return freed


def collapse(host: Host, area: Area, start: int, order: int, node: int) -> bool:
    """Put one new folio in the place of the pages from `start`; False if there is no memory.

    Holes and zero pages become part of it (mm/khugepaged.c, collapse_huge_page). Swapped
    pages have to be read before.
    """
    pages = np.arange(start, start + (1 << order))
    state = area.folio[pages]
    resident = pages[state <= LARGEST]
    if area.borrowed is not None and area.borrowed[resident].any():
        return False
    cgroup = area.process.cgroup
    if room(cgroup) < len(pages) or not host.nodes[node].free.allocate(order, 1):
        return False
    unprotect(area, pages)
    block = start // area.block
    filled = area.filled[pages].copy()
    forget(host, area, resident)
    area.folio[resident] = NONE
    if block in area.lingering and order == area.order:
        _drop_lingering(host, area, block)
    area.filled[pages] = filled
    install(host, area, np.array([start]), order, node)
    if order == area.order:
        area.tables[block] = False
    return True


def migrate(host: Host, area: Area, pages: Pages, node: int) -> int:
    """Move pages, each named once, to a node, large folios as a whole; how many were moved.

    As many as there is room for. Pages that are there already are passed over.
    """
    pages = pages[(area.folio[pages] <= LARGEST) & (area.node[pages] != node)]
    if area.borrowed is not None:
        pages = pages[~area.borrowed[pages]]
    moved = 0
    orders = area.folio[pages]
    for order in np.flatnonzero(np.bincount(orders)).tolist():
        heads = pages[orders == order]
        if order:
            heads = np.unique(heads >> order) << order
        got = host.nodes[node].free.allocate(order, len(heads))
        every = whole(heads[:got], order)
        sources = np.bincount(area.node[every], minlength=len(area.by_node))
        for source, number in enumerate(sources.tolist()):
            if number:
                host.nodes[source].free.release(order, number >> order)
                area.by_node[source] -= number
        area.by_node[node] += len(every)
        area.node[every] = node
        moved += len(every)
    return moved


def swap_out(host: Host, area: Area, pages: Pages) -> int:
    """Write pages to swap as far as there is some; how many. PMD folios are split first."""
    pages = pages[area.folio[pages] <= LARGEST]
    if area.borrowed is not None:
        pages = pages[~area.borrowed[pages]]
    cgroup = area.process.cgroup
    left = min(
        host.machine.swap // host.page_size - host.swap_used,
        *(each.swap_max - each.swap for each in cgroup.upwards()),
    )
    pages = pages[: max(0, left)]
    huge = np.unique(pages[area.folio[pages] == area.order] // area.block)
    if len(huge):
        cgroup.count("thp_swpout_fallback", len(huge))
        split(host, area, huge)
    for order in range(1, area.order):
        heads = np.unique(pages[area.folio[pages] == order] >> order) << order
        if len(heads):
            to_base(area, heads, order)
    unprotect(area, pages)
    forget(host, area, pages)
    area.folio[pages] = SWAPPED
    area.swapped += len(pages)
    _swap(host, cgroup, len(pages))
    cgroup.count("pswpout", len(pages))
    return len(pages)


def _swap(host: Host, cgroup: CgroupState, pages: int) -> None:
    if pages:
        host.swap_used += pages
        for each in cgroup.upwards():
            each.swap += pages


def protect(area: Area, pages: Pages) -> Pages:
    """Mark resident pages for hint faults; those that were not yet."""
    new = pages[(area.folio[pages] <= LARGEST) & ~area.protected[pages]]
    area.protected[new] = True
    area.protected_count += len(new)
    return new


def unprotect(area: Area, pages: Pages) -> None:
    """Take the marks away."""
    if area.protected_count:
        area.protected_count -= int(np.count_nonzero(area.protected[pages]))
        area.protected[pages] = False


def check(host: Host) -> None:
    """Assert that areas, nodes and cgroups tell the same; for tests."""
    on_nodes = [0] * len(host.nodes)
    charged: dict[str, int] = {}
    for area in host.areas():
        resident: Bools = area.folio <= LARGEST
        assert area.resident == np.count_nonzero(resident), "by_order"
        assert sum(area.by_node) == area.resident, "by_node"
        assert area.missing == np.count_nonzero((area.folio == NONE) | (area.folio == SWAPPED)), (
            "missing"
        )
        assert area.zero_mapped == np.count_nonzero(
            (area.folio == ZERO) | (area.folio == HUGE_ZERO)
        ), "zero_mapped"
        assert area.swapped == np.count_nonzero(area.folio == SWAPPED), "swapped"
        assert area.unfilled == np.count_nonzero(resident & ~area.filled), "unfilled"
        assert area.protected_count == np.count_nonzero(area.protected), "protected"
        owned = resident if area.borrowed is None else resident & ~area.borrowed
        for node, number in enumerate(
            np.bincount(area.node[owned], minlength=len(host.nodes)).tolist()
        ):
            on_nodes[node] += number
        lingering = sum(number for _, number in area.lingering.values())
        for node, number in area.lingering.values():
            on_nodes[node] += number
        path = area.process.cgroup.path
        charged[path] = charged.get(path, 0) + int(np.count_nonzero(owned)) + lingering
    for node, number in zip(host.nodes, on_nodes, strict=True):
        assert node.free.pages - node.free.free_pages == number, f"node {node.index}"
    for path, cgroup in host.cgroups.items():
        below = sum(charged.get(each.path, 0) for each in cgroup.below())
        assert cgroup.usage == below, f"usage of {path}"
