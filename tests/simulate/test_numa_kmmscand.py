"""kmmscand: how it adapts, what it finds, where it moves pages (the RFC's V1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policyc.simulate.model import folios
from policyc.simulate.model.area import Area
from policyc.simulate.model.host import Host, ProcessState
from policyc.simulate.model.kmmscand import KmmscanDaemon, ScanRate, adapted
from policyc.simulate.model.patterns import stream_of
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.specification import GIB, MIB, MILLISECOND, SECOND
from tests.simulate import hosts

TICK = 20 * MILLISECOND


@pytest.mark.parametrize(
    ("before", "accessed", "after"),
    [
        # nothing, and nothing before: 15 % slower, half as much
        (ScanRate(2000, GIB), 0, ScanRate(2300, 512 * MIB)),
        (ScanRate(2000, GIB), 255, ScanRate(2300, 512 * MIB)),  # fewer than 256 are none
        # something, as before: 15 % faster, twice as much
        (ScanRate(2000, GIB, 4096), 1000, ScanRate(1700, 2 * GIB, 1256)),
        # nothing any more: 8 times slower, as much
        (ScanRate(600, GIB, 4080), 0, ScanRate(4800, GIB)),  # 4080 >> 4 is 255
        # 4096 >> 4 is 256: what was found counts for some scans more
        (ScanRate(2000, GIB, 4096), 0, ScanRate(1700, 2 * GIB, 256)),
        # something for the first time: 8 times faster, the most
        (ScanRate(4800, 256 * MIB), 256, ScanRate(600, 4 * GIB, 256)),
        # bounds
        (ScanRate(2000, GIB), 256, ScanRate(500, 4 * GIB, 256)),
        (ScanRate(2000, GIB, 300), 0, ScanRate(5000, GIB)),
        (ScanRate(5000, 256 * MIB), 0, ScanRate(5000, 256 * MIB)),
        (ScanRate(500, 4 * GIB, 999), 999, ScanRate(500, 4 * GIB, 1061)),
    ],
)
def test_the_rate_follows_what_is_found(before: ScanRate, accessed: int, after: ScanRate) -> None:
    assert adapted(before, accessed) == after


class Case:
    """Memory on node 2, which is slow, beside two fast nodes; the process runs on node 0."""

    def __init__(
        self, *, size: int = 128 * MIB, fast: int = 4 * GIB, scale: int = 1, **settings: Any
    ) -> None:
        self.host: Host = hosts.host(
            fast,
            fast,
            4 * GIB,
            tiers=(0, 0, 1),
            kmmscand=spec.Kmmscand(scan_enabled=True, **settings),
        )
        self.process: ProcessState = hosts.process(self.host, scan_scale=scale)
        self.area: Area = hosts.area(self.host, self.process, size)
        hosts.small(self.host, self.area, range(size >> 12), node=2)
        self.daemon = KmmscanDaemon(self.host)

    def touch(self, length: int, rate: float = 1e9) -> None:
        """Touch the start of the memory at random."""
        phase = spec.Phase(pattern=spec.Pattern.UNIFORM, vma="heap", length=length, touches=1 << 60)
        stream = stream_of(phase, self.area, hosts.PAGE, self.host.now)
        stream.rate = rate
        self.area.streams.append(stream)
        self.area.version += 1

    def run(self, seconds: float) -> Case:
        """Let time pass."""
        end = self.host.now + round(seconds * SECOND)
        while self.host.now < end:
            until = min(end, self.host.now + TICK)
            self.daemon.advance(self.host, until)
            self.host.now = until
        folios.check(self.host)
        return self

    def count(self, name: str) -> int:
        """A counter of the machine."""
        return self.host.root.counters["kmmscand_" + name]


PAGES = 128 * MIB // 4096


def test_the_first_scan_takes_all_that_is_mapped() -> None:
    case = Case().run(0.98)
    assert case.count("mm_scans") == 0
    case.run(1.02)
    # No folio was idle yet: all count as accessed. Nobody runs on a fast node: node 0 of sysfs.
    assert case.count("migadded") == case.count("slowtier") == PAGES
    assert case.area.by_node == [PAGES, 0, 0]
    assert case.count("migrated") == case.host.root.counters["numa_pages_migrated"] == PAGES
    assert case.host.root.counters["pgpromote_success"] == 0  # counted in tiering mode only


def test_one_thread_migrates() -> None:
    case = Case().run(1.1)
    moved = case.count("migrated")
    # 5.3 us a page: less than 100 ms of it, and more than half of them
    assert 0 < moved <= 0.1 * SECOND / case.host.costs.daemon_migrate
    assert moved > 0.05 * SECOND / case.host.costs.daemon_migrate


def test_pages_go_where_most_of_the_process_is() -> None:
    case = Case()
    hosts.small(case.host, hosts.area(case.host, case.process, MIB, "stack"), range(9), node=1)
    case.run(3)
    assert case.area.by_node == [0, PAGES, 0]


def test_later_only_what_was_touched_moves() -> None:
    case = Case(fast=300 * MIB, target_node=1)
    # The first scan finds no room; then room comes back.
    hog = hosts.process(case.host, name="hog", scan_scale=0)
    heap = hosts.area(case.host, hog, 300 * MIB)
    number = case.host.nodes[1].free.free_pages - watermarks(case.host, 1).high
    hosts.small(case.host, heap, range(number), node=1)
    case.run(1.5)
    assert case.count("migrate_failed") == PAGES
    assert case.host.nodes[1].woken
    folios.release(case.host, heap, np.arange(number))
    case.touch(32 * MIB)
    case.run(8)
    assert case.area.by_node == [0, 32 * MIB // 4096, PAGES - 32 * MIB // 4096]


def test_huge_pages_move_as_a_whole() -> None:
    case = Case()
    heap = hosts.area(case.host, case.process, 64 * MIB, "huge")
    hosts.huge(case.host, heap, range(32), node=2)
    case.run(3)
    assert heap.by_node == [32 * 512, 0, 0]
    assert heap.by_order[9] == 32 * 512


def test_a_process_that_asked_not_to_be_scanned_is_not() -> None:
    assert Case(scale=0).run(5).count("mm_scans") == 0


def test_a_process_without_slow_pages_is_scanned_less_and_less() -> None:
    case = Case().run(3)
    scans = case.count("mm_scans")
    case.run(60)
    # At most every 5 seconds, as it rises by 15 % or 8 times to that.
    assert case.count("mm_scans") - scans < 25
    before = case.count("mm_scans")
    assert case.run(20).count("mm_scans") - before <= 4


def test_a_scan_stops_at_its_size_where_nothing_is_found() -> None:
    case = Case(scan_size=256 * MIB)
    for number in range(8):
        hosts.area(case.host, case.process, 128 * MIB, f"empty{number}")
    case.run(1.2)
    # The first mapping has something: the scan goes on to the end.
    assert case.count("vma_scans") == 9
    case = Case(scan_size=256 * MIB, scale=0)
    idle = hosts.process(case.host, name="idle")
    for number in range(8):
        hosts.area(case.host, idle, 128 * MIB, f"empty{number}")
    case.run(1.2)
    assert case.count("vma_scans") == 2
