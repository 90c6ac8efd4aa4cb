"""Memory that processes share after a fork until one of them writes (mm/memory.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model.area import LARGEST, NONE, SWAPPED, Area, Pages
from policyc.simulate.model.folios import forget, install, to_base, unprotect

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState

__all__ = ["copy_on_write", "fork"]


def fork(host: Host, parent: Area, child: ProcessState) -> Area:
    """The area of a child that shares all pages of the parent's until one of them writes."""
    area = Area.make(child, parent.vma, host.page_size, host.pmd_order, len(host.nodes))
    resident = parent.folio <= LARGEST
    number = int(np.count_nonzero(resident))
    for name in ("folio", "node", "filled", "tables"):
        getattr(area, name)[:] = getattr(parent, name)
    swapped = area.folio == SWAPPED
    area.folio[swapped] = NONE  # its swap entries are shared; it does not read them again
    area.by_order, area.by_node = list(parent.by_order), list(parent.by_node)
    area.missing, area.zero_mapped = parent.missing, parent.zero_mapped
    area.unfilled = parent.unfilled
    area.borrowed, area.cow = resident.copy(), resident.copy()
    parent.cow = resident.copy() if parent.cow is None else parent.cow | resident
    parent.cow_count = int(np.count_nonzero(parent.cow))
    area.cow_count = number
    area.relatives.append(parent)
    parent.relatives.append(area)
    return area


def copy_on_write(host: Host, area: Area, pages: Pages, node: int) -> None:
    """Give shared pages copies of their own, which the caller took from the node.

    A PMD mapping is split first (mm/huge_memory.c, do_huge_pmd_wp_page).
    """
    assert area.cow is not None
    huge = np.unique(pages[area.folio[pages] == area.order] // area.block)
    if len(huge):
        to_base(area, huge * area.block, area.order)
        area.process.cgroup.count("thp_split_pmd", len(huge))
    for order in range(1, area.order):
        heads = np.unique(pages[area.folio[pages] == order] >> order) << order
        if len(heads):
            to_base(area, heads, order)
    unprotect(area, pages)
    filled = area.filled[pages].copy()
    forget(host, area, pages)
    area.folio[pages] = NONE
    area.filled[pages] = filled
    install(host, area, pages, 0, node)
    for relative in area.relatives:
        _settle(relative, pages)


def _settle(area: Area, pages: Pages) -> None:
    """A page that nobody shares any more is not copied when it is written."""
    if area.cow is None or area.freed:
        return
    alone = pages[area.cow[pages]]
    if area.borrowed is not None:
        alone = alone[~area.borrowed[alone]]
    others = np.zeros(len(alone), np.bool_)
    for relative in area.relatives:
        if not relative.freed and relative.borrowed is not None:
            others |= relative.borrowed[alone]
    area.cow[alone[~others]] = False
    area.cow_count -= int(np.count_nonzero(~others))
