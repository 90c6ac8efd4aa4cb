"""Which pages reclaim takes: those that are touched least, folio by folio.

It stands for the lists of mm/vmscan.c. What they find out by accessed bits, the model knows
from the accesses that go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model import patterns
from policyc.simulate.model.area import LARGEST, Area, Pages
from policyc.simulate.model.host import Host
from policyc.simulate.workload.specification import SECOND

__all__ = ["coldest"]

#: How long a list is used before it is made again, nanoseconds for each 2**20 pages.
STALE = 5 * SECOND

#: A list has this share of the pages of an area, and at least so many.
SHARE, LEAST = 8, 4096


@dataclass(slots=True, eq=False)
class _List:
    """Pages of an area, the coldest first, and how hot the folio of each is."""

    pages: Pages
    heat: NDArray[np.float64]
    version: int
    made: int
    taken: int = 0


def coldest(
    host: Host, areas: list[Area], number: int, node: int | None = None
) -> list[tuple[Area, Pages]]:
    """The coldest pages of some areas, about `number` of them, by area.

    A PMD-sized folio is given as a whole. `node`: only pages of a node. The pages are taken
    off the lists: another call returns others.
    """
    offers = [(area, _offer(host, area, number, node)) for area in areas]
    offers = [(area, found) for area, found in offers if found is not None]
    if not offers:
        return []
    heats = np.concatenate([found.heat[found.taken : found.taken + number] for _, found in offers])
    limit = np.inf
    if len(heats) > number:
        limit = float(np.partition(heats, number - 1)[number - 1])
    result: list[tuple[Area, Pages]] = []
    left = number
    for area, found in offers:
        count = int(np.searchsorted(found.heat[found.taken : found.taken + left], limit, "right"))
        if count:
            pages = _take(area, found, count)
            result.append((area, pages))
            left -= len(pages)
        if left <= 0:
            break
    return result


def _offer(host: Host, area: Area, number: int, node: int | None) -> _List | None:
    """The list of an area with something left on it; None where there is nothing."""
    if not (area.resident if node is None else area.by_node[node]):
        return None
    note = "cold" if node is None else f"cold {node}"
    found = area.notes.get(note)
    if (
        not isinstance(found, _List)
        or found.version != area.version
        or found.made + STALE * max(1, area.resident >> 20) < host.now
        or not _skip_gone(area, found, node)
    ):
        found = _rank(host, area, node)
        area.notes[note] = found
    return found if found.taken < len(found.pages) else None


def _skip_gone(area: Area, found: _List, node: int | None) -> bool:
    """Pass over pages that are not there any more; whether one is left."""
    step = 1024
    while found.taken < len(found.pages):
        ahead = found.pages[found.taken : found.taken + step]
        here = area.folio[ahead] <= LARGEST
        if node is not None:
            here &= area.node[ahead] == node
        if here.any():
            found.taken += int(np.argmax(here))
            return True
        found.taken += len(ahead)
    return False


def _rank(host: Host, area: Area, node: int | None) -> _List:
    """Order the pages of an area by the heat of their folios."""
    here = area.folio <= LARGEST
    if node is not None:
        here &= area.node == node
    if area.borrowed is not None:
        here &= ~area.borrowed
    pages = np.flatnonzero(here)
    heat = patterns.heat(area, pages)
    for order in range(1, area.order + 1):
        if area.by_order[order]:
            heat = _by_folio(area, pages, heat, order)
    wanted = max(LEAST, len(pages) // SHARE)
    if len(pages) > wanted:
        limit = np.partition(heat, wanted - 1)[wanted - 1]
        # Ties at the limit would be all pages of a uniform pattern: the first of them do.
        chosen = np.concatenate(
            (np.flatnonzero(heat < limit), np.flatnonzero(heat == limit)[:wanted])
        )
        pages, heat = pages[chosen], heat[chosen]
    order_of = np.lexsort((pages, heat))
    return _List(pages[order_of], heat[order_of], area.version, host.now)


def _by_folio(
    area: Area, pages: Pages, heat: NDArray[np.float64], order: int
) -> NDArray[np.float64]:
    """A page of a large folio is as hot as all of the folio."""
    inside = area.folio[pages] == order
    folio = pages[inside] >> order
    total = np.bincount(folio, heat[inside], minlength=1)
    heat[inside] = total[folio]
    return heat


def _take(area: Area, found: _List, count: int) -> Pages:
    """The next pages off a list, to the end of a PMD-sized folio, without those gone."""
    end = min(found.taken + count, len(found.pages))
    last = int(found.pages[end - 1])
    if area.folio[last] == area.order:
        block = found.pages[end : end + area.block] // area.block == last // area.block
        end += int(np.argmin(block)) if not block.all() else len(block)
    pages = found.pages[found.taken : end]
    found.taken = end
    return pages[area.folio[pages] <= LARGEST]
