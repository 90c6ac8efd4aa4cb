"""Scan periods of NUMA balancing, against figures worked by hand from kernel/sched/fair.c."""

from __future__ import annotations

import pytest

from policyc.simulate.model.scan_period import (
    Group,
    ScanBounds,
    new_thread_period,
    scan_period_bounds,
    updated_scan_period,
)
from policyc.simulate.workload.specification import GIB, MIB, SECOND, NumaBalancing

DEFAULTS = NumaBalancing()


@pytest.mark.parametrize(
    ("size", "bounds"),
    [
        # 60 s over 32 windows of 256 MiB; 1 s over 32 is below the floor of 2560 MB/s
        (8 * GIB, (100, 100, 1875)),
        (1 * GIB, (250, 250, 15000)),
        (256 * MIB, (1000, 1000, 60000)),
        (4096, (1000, 1000, 60000)),
        (0, (1000, 1000, 60000)),  # no RSS counts as one window
        (256 * MIB + 4096, (500, 500, 30000)),  # rounded up to whole windows
        # 60 s over 4096 windows are 14 ms: the longest period is not below the shortest
        (1024 * GIB, (100, 100, 100)),
    ],
)
def test_larger_processes_are_scanned_in_shorter_periods(
    size: int, bounds: tuple[int, int, int]
) -> None:
    assert scan_period_bounds(size // 4096, DEFAULTS) == ScanBounds(*bounds)


def test_the_floor_follows_the_scan_size() -> None:
    # 2560 / 1024 = 2 windows a second; a window of more than 2560 MiB, one
    assert scan_period_bounds(1 << 24, NumaBalancing(scan_size=GIB)).minimum == 500
    assert scan_period_bounds(1 << 24, NumaBalancing(scan_size=4 * GIB)).minimum == 1000


def test_pages_of_64_kib_make_the_same_windows() -> None:
    assert scan_period_bounds(8 * GIB // 65536, DEFAULTS, page_size=65536).maximum == 1875


def test_tasks_of_a_group_share_the_work() -> None:
    # 64 tasks, of 999 + 1 faults 750 shared: 100 * 64 * 751 / (249 + 750 + 1)
    bounds = scan_period_bounds(8 * GIB // 4096, DEFAULTS, group=Group(64, 750, 249))
    assert bounds == ScanBounds(100, 4806, 1875 * 64 * 751 // 1000)


def test_a_group_that_shares_nothing_is_not_stretched() -> None:
    bounds = scan_period_bounds(8 * GIB // 4096, DEFAULTS, group=Group(2, 0, 10_000))
    assert bounds == ScanBounds(100, 100, 1875)


def test_a_new_thread_starts_with_the_scan_delay() -> None:
    assert new_thread_period(NumaBalancing(scan_delay=3 * SECOND)) == 3000


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        # nothing learned: double, and wait
        ({"remote": 90, "local": 0, "shared": 0, "private": 90}, (2000, True)),
        ({"remote": 0, "local": 0, "shared": 0, "private": 0}, (2000, True)),
        # a failed migration: double, whatever else
        ({"remote": 5, "local": 95, "shared": 9, "private": 91, "failed": 1}, (2000, True)),
        # 10 of 10 private: (10 - 7) slots of 100 slower
        ({"remote": 50, "local": 50, "shared": 0, "private": 100}, (1300, False)),
        # 7 of 10 private: not 0 slots but 1
        ({"remote": 50, "local": 50, "shared": 30, "private": 70}, (1100, False)),
        # shared, but 9 of 10 local: 2 slots slower
        ({"remote": 10, "local": 90, "shared": 90, "private": 10}, (1200, False)),
        # 4 of 10 private, 5 of 10 local: 7 - 5 slots faster
        ({"remote": 50, "local": 50, "shared": 60, "private": 40}, (800, False)),
        # all remote and shared: 7 slots faster
        ({"remote": 100, "local": 0, "shared": 100, "private": 0}, (300, False)),
    ],
)
def test_the_period_follows_the_faults(faults: dict[str, int], expected: tuple[int, bool]) -> None:
    found = updated_scan_period(1000, ScanBounds(100, 100, 60000), **{"failed": 0, **faults})
    assert found == expected


def test_a_slot_is_rounded_up_and_the_bounds_hold() -> None:
    remote = {"remote": 1, "local": 0, "failed": 0, "shared": 1, "private": 0}
    # 105 ms have slots of 11
    assert updated_scan_period(105, ScanBounds(20, 20, 1000), **remote) == (28, False)
    assert updated_scan_period(105, ScanBounds(100, 100, 1000), **remote) == (100, False)
    private = {"remote": 0, "local": 1, "failed": 0, "shared": 0, "private": 1}
    assert updated_scan_period(900, ScanBounds(100, 100, 1000), **private) == (1000, False)
    idle = {"remote": 0, "local": 0, "failed": 0, "shared": 0, "private": 0}
    assert updated_scan_period(900, ScanBounds(100, 100, 1000), **idle) == (1000, True)
