"""The watermarks of a node: when kswapd starts and stops (mm/page_alloc.c)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from policyc.simulate.model.host import Host

__all__ = ["Watermarks", "minimum_free", "watermarks"]

KIB = 1 << 10

#: Bounds of min_free_kbytes in calculate_min_free_kbytes(), KiB.
LEAST, MOST = 128, 262_144

#: vm.watermark_scale_factor, in 10,000ths of a node.
SCALE_FACTOR = 10

#: MIGRATE_PCPTYPES: the kinds of pageblocks that have per-CPU lists.
KINDS = 3

#: ZONE_DMA and ZONE_DMA32 of x86-64: a first node larger than this has three zones.
DMA32 = 4 << 30


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Pages. Below `low` kswapd wakes up, at `high` it sleeps again; below `min` allocations
    reclaim themselves; `promo` is what kswapd aims at in tiering mode.
    """

    min: int
    low: int
    high: int
    promo: int


def minimum_free(host: Host) -> int:
    """vm.min_free_kbytes, in KiB.

    `calculate_min_free_kbytes`: 4 * sqrt(memory in KiB). khugepaged raises it, where huge
    pages are not off, so that pageblocks of different kinds do not mix
    (`set_recommended_min_free_kbytes`): 67584 on a node with three zones.
    """
    page_kib = host.page_size // KIB
    pages = sum(node.free.pages for node in host.nodes)
    found = min(max(math.isqrt(pages * page_kib * 16), LEAST), MOST)
    if host.machine.thp.enabled == "never":
        return found
    zones = len(host.nodes) + (2 if host.nodes[0].free.pages * host.page_size > DMA32 else 0)
    recommended = host.block * zones * 2 + host.block * zones * KINDS * KINDS
    recommended = min(recommended, pages // 20)
    return max(found, recommended * page_kib)


def watermarks(host: Host, node: int) -> Watermarks:
    """The watermarks of a node, taken as one zone (`__setup_per_zone_wmarks`)."""
    own = host.nodes[node].free.pages
    every = sum(each.free.pages for each in host.nodes)
    least = minimum_free(host) * KIB // host.page_size * own // max(1, every)
    step = max(least >> 2, own * SCALE_FACTOR // 10_000)
    return Watermarks(least, least + step, least + 2 * step, least + 3 * step)
