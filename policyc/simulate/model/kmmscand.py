"""kmmscand: a daemon that scans accessed bits and promotes what was touched.

The series "mm: slowtier page promotion based on PTE A bit", V1 of 19 March 2025,
mm/kmmscand.c: one thread scans all address spaces, another one migrates.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from policyc.simulate.model import folios, kswapd, patterns
from policyc.simulate.model.area import LARGEST, Area, Bools, Pages
from policyc.simulate.model.tiering import TIERING
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload.specification import GIB, MIB, MILLISECOND

if TYPE_CHECKING:
    from policyc.simulate.model.host import Host, ProcessState

__all__ = ["KmmscanDaemon", "ScanRate", "adapted"]

#: Bounds of the scan period, ms, and of the scan size, bytes.
PERIOD_MIN, PERIOD_MAX = 500, 5000
SIZE_MIN, SIZE_MAX = 256 * MIB, 4 * GIB

#: KMMSCAND_IGNORE_SCAN_THR: fewer accessed pages count as none.
IGNORED = 256

#: Percent by which the period changes while things stay as they are, and the power of two
#: where they do not.
TUNE_PERCENT, CHANGE_SHIFT = 15, 3

#: Pages that are looked at to say how many of a larger number were touched.
_SAMPLE = 4096

#: Entries of the migration list that are moved in one go.
_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class ScanRate:
    """How an address space is scanned: period in ms, size in bytes, and `found`, the
    accessed pages of slow tiers, smoothed over scans.
    """

    period: int
    size: int
    found: int = 0


def adapted(rate: ScanRate, accessed: int) -> ScanRate:
    """The rate after a scan that found pages of slow tiers accessed.

    `kmmscand_update_mmslot_info`: faster and more while there is something to promote,
    slower and less while there is not, by a power of two where that has just changed.
    """
    found = (rate.found >> 4) + accessed
    if found < IGNORED:
        found = 0
    period, size = rate.period, rate.size
    match bool(rate.found), bool(found):
        case False, False:
            period, size = period * (100 + TUNE_PERCENT) // 100, size >> 1
        case True, True:
            period, size = period * (100 - TUNE_PERCENT) // 100, size << 1
        case True, False:
            period <<= CHANGE_SHIFT
        case _:
            period, size = period >> CHANGE_SHIFT, SIZE_MAX
    return ScanRate(
        min(max(period, PERIOD_MIN), PERIOD_MAX), min(max(size, SIZE_MIN), SIZE_MAX), found
    )


@dataclass(slots=True, eq=False)
class _Scanned:
    """What the daemon keeps of an area: pages that it has seen (their folios are idle until
    touched) and pages that wait for migration.
    """

    seen: Bools
    queued: Bools
    last: int = 0


@dataclass(slots=True, eq=False)
class _Slot:
    """What the daemon keeps of an address space; `next` is when it is scanned, ns."""

    rate: ScanRate
    next: int
    target: int
    position: int = 0
    pending: deque[tuple[Area, Pages]] = field(default_factory=deque[tuple[Area, Pages]])


class KmmscanDaemon:
    """kmmscand and kmmmigrated."""

    __slots__ = ("_free_at", "_migrated", "host")

    def __init__(self, host: Host) -> None:
        self.host = host
        self._free_at = 0
        self._migrated = 0.0

    def advance(self, host: Host, until: int) -> None:
        """Scan what is due and migrate what was found up to a time, in nanoseconds."""
        settings = host.machine.kmmscand
        if not settings.scan_enabled or len(host.nodes) < 2:
            self._migrated = float(until)
            return
        slots = [
            (process, self._slot(host, process))
            for process in host.living()
            if process.spec.scan_scale
        ]
        while slots:
            process, slot = min(slots, key=lambda each: each[1].next)
            now = max(slot.next, self._free_at)
            if now > until:
                break
            idle = not any(each.pending for _, each in slots)
            self._free_at = now + round(self._scan(host, process, slot, now))
            if idle:  # the other thread sleeps until there is something to migrate
                self._migrated = max(self._migrated, float(self._free_at))
            slot.next = self._free_at + slot.rate.period * MILLISECOND
            # The daemon sleeps between its rounds.
            slot.next = -(-slot.next // settings.scan_sleep) * settings.scan_sleep
        self._migrate(host, slots, until)

    def _slot(self, host: Host, process: ProcessState) -> _Slot:
        found = process.notes.get("kmmscand")
        if isinstance(found, _Slot):
            return found
        settings = host.machine.kmmscand
        rate = ScanRate(settings.scan_period // MILLISECOND, settings.scan_size)
        slot = _Slot(rate, host.now + settings.scan_delay, settings.target_node)
        process.notes["kmmscand"] = slot
        return slot

    # Scanning.

    def _scan(self, host: Host, process: ProcessState, slot: _Slot, now: int) -> float:
        """Scan an address space, whole mappings at a time; the CPU time it took."""
        areas = list(process.areas.values())
        count = process.cgroup.count
        if not areas:
            return 0.0
        size, scanned, accessed, pages = slot.rate.size, 0, 0, 0
        by_node = [0] * len(host.nodes)
        index = slot.position if slot.position < len(areas) else 0
        while index < len(areas):
            area = areas[index]
            accessed += self._walk(host, process, slot, area, now)
            pages += area.resident
            for node in host.nodes:
                if node.top_tier:
                    by_node[node.index] += area.by_node[node.index]
            count("kmmscand_vma_scans")
            scanned += area.pages * host.page_size
            index += 1
            if scanned >= size:
                if accessed <= IGNORED:
                    break
                size = SIZE_MAX  # there is something here: go on
        slot.position = 0 if index == len(areas) else index
        count("kmmscand_mm_scans")
        slot.target = self._target(host, by_node)
        slot.rate = adapted(slot.rate, accessed)
        return pages * host.costs.scan_page

    def _target(self, host: Host, by_node: list[int]) -> int:
        """The top-tier node where most pages were seen, else target_node of sysfs."""
        most = max(by_node)
        return by_node.index(most) if most else host.machine.kmmscand.target_node

    def _walk(self, host: Host, process: ProcessState, slot: _Slot, area: Area, now: int) -> int:
        """Look at the accessed bits of a mapping (`hot_vma_idle_pte_entry`); how many pages
        of slow tiers were accessed.
        """
        kept = area.notes.get("kmmscand")
        if not isinstance(kept, _Scanned):
            kept = _Scanned(np.zeros(area.length, np.bool_), np.zeros(area.length, np.bool_))
            area.notes["kmmscand"] = kept
        count = process.cgroup.count
        fast = sum(area.by_node[node.index] for node in host.nodes if node.top_tier)
        count("kmmscand_toptier", fast)
        if fast == area.resident:
            kept.last = now
            return 0
        present = area.folio <= LARGEST
        slow = np.zeros(area.length, np.bool_)
        for node in host.nodes:
            if not node.top_tier and area.by_node[node.index]:
                slow |= area.node == node.index
        slow &= present
        number = area.resident - fast
        hot = np.flatnonzero(slow & ~kept.queued)
        waiting = number - len(hot)
        # A folio that was never made idle counts as accessed.
        old = kept.seen[hot]
        if old.any():
            touched = patterns.accessed_since(area, hot[old], kept.last, now, host.rng)
            hot = np.sort(np.concatenate([hot[~old], hot[old][touched]]))
        accessed = len(hot)
        if waiting:
            sample = np.arange(area.first, area.end, max(1, area.pages // _SAMPLE))
            sample = sample[slow[sample] & kept.queued[sample]]
            if len(sample):
                share = patterns.accessed_since(area, sample, kept.last, now, host.rng).mean()
                accessed += round(float(share) * waiting)
        kept.seen |= slow
        kept.last = now
        kept.queued[hot] = True
        count("kmmscand_slowtier", accessed)
        count("kmmscand_migadded", len(hot))
        count("kmmscand_idlepage", number - accessed)
        if len(hot):
            slot.pending.append((area, hot))
        return accessed

    # Migration.

    def _migrate(self, host: Host, slots: list[tuple[ProcessState, _Slot]], until: int) -> None:
        """Move what the lists hold, as far as one CPU gets; then sleep 20 ms."""
        settings = host.machine.kmmscand
        if not any(slot.pending for _, slot in slots):
            self._migrated = max(self._migrated, float(until))
            return
        left = until - self._migrated
        for process, slot in slots:
            while slot.pending and left > 0:
                area, pages = slot.pending.popleft()
                number = max(1, min(len(pages), _BATCH, int(left / host.costs.daemon_migrate)))
                if number < len(pages):
                    slot.pending.appendleft((area, pages[number:]))
                left -= self._promote(host, process, slot, area, pages[:number])
        done = not any(slot.pending for _, slot in slots)
        self._migrated = until - left + (settings.migrate_sleep if done else 0)

    def _promote(
        self, host: Host, process: ProcessState, slot: _Slot, area: Area, pages: Pages
    ) -> float:
        """Move pages to the target node (`kmmscand_promote_folio`); the time it took."""
        kept = area.notes["kmmscand"]
        assert isinstance(kept, _Scanned)
        kept.queued[pages] = False
        if area.freed:
            return 0.0
        count, costs = process.cgroup.count, host.costs
        node = slot.target
        slow = np.ones(256, np.bool_)
        slow[[each.index for each in host.nodes if each.top_tier]] = False
        orders = area.folio[pages]
        still = (orders <= LARGEST) & slow[area.node[pages]]
        heads = pages[still] >> orders[still] << orders[still]
        heads = heads[np.flatnonzero(np.diff(heads, prepend=-1))]
        sizes = np.cumsum(np.left_shift(1, area.folio[heads].astype(np.int64)))
        room = max(0, host.nodes[node].free.free_pages - watermarks(host, node).high)
        fit = int(np.searchsorted(sizes, room, side="right"))
        if fit < len(heads):
            kswapd.wake(host, node)
        moved = folios.migrate(host, area, heads[:fit], node)
        failed = (int(sizes[-1]) if len(sizes) else 0) - moved
        count("kmmscand_migrated", moved)
        count("kmmscand_migrate_failed", failed)
        count("numa_pages_migrated", moved)
        if host.machine.numa.balancing & TIERING:
            count("pgpromote_success", moved)
        process.kernel_time += fit * process.threads * costs.shootdown
        small = len(heads[:fit])
        return (
            len(pages) * costs.mark
            + small * costs.daemon_migrate
            + ((moved - small) * host.page_size * costs.copy_byte)
        )
