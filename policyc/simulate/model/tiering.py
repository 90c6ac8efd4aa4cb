"""Promotion in memory tiering mode: which pages are hot, and how many a second may move up.

should_numa_migrate_memory(), numa_promotion_adjust_threshold() and
numa_promotion_rate_limit() of kernel/sched/fair.c; bit 2 of kernel.numa_balancing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policyc.simulate.model.area import Bools
from policyc.simulate.model.host import Host
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload.specification import GIB, MIB, MILLISECOND

__all__ = [
    "NORMAL",
    "TIERING",
    "Promotion",
    "adjusted_threshold",
    "hint_fault_latency",
    "rate_limit_pages",
    "spare_pages",
]

#: Bits of kernel.numa_balancing.
NORMAL, TIERING = 1, 2

#: NUMA_MIGRATION_ADJUST_STEPS
STEPS = 16

#: LAST_CPUPID_MASK of a kernel with NR_CPUS=8192: 8 bits of the PID, 13 of the CPU. The time
#: of marking is kept there, in milliseconds.
TIME_MASK = (1 << 21) - 1

Milliseconds = NDArray[np.int64]


def rate_limit_pages(limit: int, page_size: int) -> int:
    """kernel.numa_balancing_promote_rate_limit_MBps, given as bytes a second, in pages."""
    return limit // MIB * (MIB // page_size)


def adjusted_threshold(threshold: int, reference: int, candidates: int, wanted: int) -> int:
    """The hot threshold after a period, ms (`numa_promotion_adjust_threshold`).

    `threshold` is the present one, 0 if there is none yet; `reference` the configured one;
    `candidates` the pages that were hot enough in the period, `wanted` as many as the rate
    limit lets through. It moves by an eighth of the reference, between that and its double.
    """
    unit = reference * 2 // STEPS
    threshold = threshold or reference
    if candidates > wanted * 11 // 10:
        return max(threshold - unit, unit)
    if candidates < wanted * 9 // 10:
        return min(threshold + unit, reference * 2)
    return threshold


def hint_fault_latency(now: Milliseconds, marked: NDArray[np.uint32]) -> Milliseconds:
    """Milliseconds between marking and fault (`numa_hint_fault_latency`)."""
    return (now - marked.astype(np.int64)) & TIME_MASK


def spare_pages(host: Host, node: int) -> int:
    """Pages that a node takes without being asked whether they are hot (`free_space_enough`).

    What is free beyond the promotion watermark and the larger of 1 GiB and a 16th of it.
    """
    free = host.nodes[node].free
    enough = max(GIB // host.page_size, free.pages >> 4)
    return max(0, free.free_pages - watermarks(host, node).promo - enough)


@dataclass(slots=True, eq=False)
class Promotion:
    """What the pgdat of a target node keeps. Times in ms, candidates in pages."""

    threshold: int = 0
    candidates: int = 0
    limit_start: int = 0
    limit_candidates: int = 0
    adjust_start: int = 0
    adjust_candidates: int = 0

    def hot(
        self,
        host: Host,
        node: int,
        *,
        now: Milliseconds,
        latency: Milliseconds,
        sizes: NDArray[np.int64],
        reference: int,
    ) -> Bools:
        """Which of the pages that fault, in the order of time `now`, may be promoted.

        `sizes` are the pages of their folios, `reference` is the hot threshold in ms that
        holds for the task.
        """
        wanted = np.zeros(len(now), np.bool_)
        if not len(now):
            return wanted
        before = np.cumsum(sizes)
        free = int(np.searchsorted(before, spare_pages(host, node), side="right"))
        wanted[:free] = True
        if free:
            self.threshold = 0
        settings = host.machine.numa
        limit = rate_limit_pages(settings.promote_rate_limit, host.page_size)
        period = settings.scan_period_max // MILLISECOND
        start = free
        while start < len(now):
            moment = int(now[start])
            self._adjust(moment, limit, period, reference)
            end = self._next_change(now, start, period)
            chosen = start + np.flatnonzero(latency[start:end] < (self.threshold or reference))
            wanted[chosen] = self._within_limit(now[chosen], sizes[chosen], limit)
            start = end
        return wanted

    def _adjust(self, moment: int, limit: int, period: int, reference: int) -> None:
        if moment - self.adjust_start <= period:
            return
        self.adjust_start = moment
        found = self.candidates - self.adjust_candidates
        self.adjust_candidates = self.candidates
        self.threshold = adjusted_threshold(
            self.threshold, reference, found, limit * period // 1000
        )

    def _next_change(self, now: Milliseconds, start: int, period: int) -> int:
        """The first fault behind `start` that adjusts the threshold again."""
        return max(start + 1, int(np.searchsorted(now, self.adjust_start + period, side="right")))

    def _within_limit(self, now: Milliseconds, sizes: NDArray[np.int64], limit: int) -> Bools:
        """Count candidates, in windows of a second, and take what the rate limit lets by."""
        allowed = np.zeros(len(now), np.bool_)
        start = 0
        while start < len(now):
            if int(now[start]) - self.limit_start > 1000:
                # The window starts behind this fault: it counts as one of the last second.
                self.limit_start = int(now[start])
                self.limit_candidates = self.candidates + int(sizes[start])
            end = int(np.searchsorted(now, self.limit_start + 1000, side="right"))
            end = max(end, start + 1)
            counted = self.candidates + np.cumsum(sizes[start:end])
            allowed[start:end] = counted - self.limit_candidates < limit
            self.candidates = int(counted[-1])
            start = end
        return allowed
