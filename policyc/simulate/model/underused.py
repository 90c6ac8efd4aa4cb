"""The shrinker of underused huge pages (mm/huge_memory.c, deferred_split_scan; Linux 6.12).

A PMD-sized folio that a fault or khugepaged made is on a queue of its cgroup. Under memory
pressure the queue is walked: a folio with more than max_ptes_none zero-filled pages is split,
and the shared zero page takes the place of those pages. A folio that is not underused leaves
the queue for good. With max_ptes_none at its default, 511, none is ever underused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyc.simulate.model import folios
from policyc.simulate.model.area import Area, Pages
from policyc.simulate.model.host import CgroupState, Host

__all__ = ["BATCH", "Scanned", "queued", "scan", "scan_queue", "tidy"]

#: SHRINK_BATCH: folios that one call of the shrinker looks at.
BATCH = 128

#: From how many folios on a queue is looked through for those that are gone.
LONG = 4096


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a walk of the queue did: folios looked at, folios split, pages freed."""

    folios: int = 0
    split: int = 0
    freed: int = 0

    def __add__(self, other: Scanned) -> Scanned:
        return Scanned(
            self.folios + other.folios, self.split + other.split, self.freed + other.freed
        )


def queued(cgroup: CgroupState) -> int:
    """Folios on the queues of a cgroup and all below it (`deferred_split_count`)."""
    return sum(len(each.queue) for each in cgroup.below())


def tidy(cgroup: CgroupState) -> None:
    """Forget folios of a queue that were freed since, if it is long; the order stays.

    A folio that is freed leaves the kernel's queue at once (`folio_unqueue_deferred_split`).
    """
    if len(cgroup.queue) < LONG or len(cgroup.queue) < 2 * _huge(cgroup):
        return
    last = {(id(area), block): (area, block) for area, block in reversed(cgroup.queue)}
    cgroup.queue.clear()
    cgroup.queue.extend(
        (area, block) for area, block in reversed(last.values()) if _there(area, block)
    )


def _huge(cgroup: CgroupState) -> int:
    """PMD-sized folios of a cgroup itself."""
    return sum(
        area.by_order[area.order] >> area.order
        for process in cgroup.processes
        for area in process.areas.values()
        if area.process is process and not area.freed
    )


def _there(area: Area, block: int) -> bool:
    """Whether a block is mapped by a PMD-sized folio."""
    return not area.freed and area.folio[block * area.block] == area.order


def scan(host: Host, cgroup: CgroupState | None, wanted: int) -> int:
    """Walk the queues of a cgroup (None: all) and those below until pages are freed.

    Returns how many pages were freed, which may be more than `wanted`.
    """
    freed = 0
    for each in (cgroup or host.root).below():
        while each.queue and freed < wanted:
            freed += scan_queue(host, each, BATCH).freed
    return freed


def scan_queue(host: Host, cgroup: CgroupState, number: int) -> Scanned:
    """Look at the first folios of one cgroup's queue (`deferred_split_scan`).

    All that are looked at leave the queue. Folios that were freed or split since they were
    put there are passed over.
    """
    looked = 0
    chosen: dict[int, tuple[Area, list[int]]] = {}
    while cgroup.queue and looked < number:
        area, block = cgroup.queue.popleft()
        if not _there(area, block):
            continue
        looked += 1
        chosen.setdefault(id(area), (area, []))[1].append(block)
    result = Scanned(looked)
    for area, blocks in chosen.values():
        result += _split_underused(host, area, np.unique(np.array(blocks, np.int64)))
    return result


def _split_underused(host: Host, area: Area, blocks: Pages) -> Scanned:
    """Split those of an area's folios that are underused (`thp_underused`)."""
    ceiling = host.machine.khugepaged.max_ptes_none
    if ceiling == host.block - 1:
        return Scanned()
    filled = np.count_nonzero(area.rows(area.filled)[blocks], axis=1)
    underused = blocks[host.block - filled > ceiling]
    if not len(underused):
        return Scanned()
    freed = folios.split(host, area, underused, drop_zeros=True)
    area.process.cgroup.count("thp_underused_split_page", len(underused))
    return Scanned(0, len(underused), freed)
