"""Promotion: hot threshold, rate limit, spare memory (kernel/sched/fair.c)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policyc.simulate.model.host import Host
from policyc.simulate.model.tiering import (
    TIME_MASK,
    Promotion,
    adjusted_threshold,
    hint_fault_latency,
    rate_limit_pages,
    spare_pages,
)
from policyc.simulate.model.watermarks import watermarks
from policyc.simulate.workload.specification import GIB, MIB, SECOND, NumaBalancing
from tests.simulate.hosts import host


def tiered(fast: int = 2 * GIB, **numa: Any) -> Host:
    return host(fast, 4 * GIB, tiers=(0, 1), numa=NumaBalancing(balancing=2, **numa))


def full(on: Host) -> Host:
    """Leave less than the reserve of free_space_enough, and more than the watermarks."""
    free = on.nodes[0].free
    free.allocate(0, free.free_pages - watermarks(on, 0).promo - 1000)
    return on


def test_the_default_rate_limit_never_binds() -> None:
    # 65536 MB/s are 65536 * 256 pages of 4 KiB: 64 GiB a second
    assert rate_limit_pages(65536 * MIB, 4096) == 16_777_216


def test_the_threshold_moves_by_an_eighth_within_an_eighth_and_double() -> None:
    assert adjusted_threshold(0, 1000, 0, 100) == 1125  # starts from the reference
    assert adjusted_threshold(1000, 1000, 200, 100) == 875
    assert adjusted_threshold(1000, 1000, 100, 100) == 1000  # as many as wanted
    assert adjusted_threshold(1000, 1000, 110, 100) == 1000  # 10 % more still are
    assert adjusted_threshold(1000, 1000, 111, 100) == 875
    assert adjusted_threshold(1000, 1000, 89, 100) == 1125
    low = high = 1000
    for _ in range(20):
        low, high = adjusted_threshold(low, 1000, 999, 100), adjusted_threshold(high, 1000, 0, 9)
    assert (low, high) == (125, 2000)


def test_the_threshold_of_a_policy_is_the_reference() -> None:
    # What another task's threshold has made of it is moved, by steps of this one.
    assert adjusted_threshold(1000, 80, 0, 100) == 160
    assert adjusted_threshold(1000, 80, 999, 100) == 990


def test_latency_survives_the_wrap_of_the_stored_time() -> None:
    marked = np.array([100, TIME_MASK - 4], np.uint32)
    assert hint_fault_latency(np.array([350, TIME_MASK + 6]), marked).tolist() == [250, 10]


def test_spare_memory_is_what_lies_above_a_sixteenth_or_a_gibibyte() -> None:
    on = tiered(64 * GIB)
    promo = watermarks(on, 0).promo
    pages = 64 * GIB // 4096
    assert spare_pages(on, 0) == pages - promo - pages // 16
    on = tiered(2 * GIB)
    assert spare_pages(on, 0) == 2 * GIB // 4096 - watermarks(on, 0).promo - GIB // 4096


def hot(state: Promotion, on: Host, now: list[int], latency: list[int], limit: int) -> list[bool]:
    sizes = np.ones(len(now), np.int64)
    found = state.hot(
        on, 0, now=np.array(now), latency=np.array(latency), sizes=sizes, reference=limit
    )
    return found.tolist()


def test_with_spare_memory_everything_is_promoted_and_nothing_counted() -> None:
    state = Promotion(threshold=500)
    assert hot(state, tiered(), [1, 2], [10, 99_999], 1000) == [True, True]
    assert (state.threshold, state.candidates) == (0, 0)


def test_only_what_is_below_the_threshold_is_hot() -> None:
    state = Promotion()
    assert hot(state, full(tiered()), [1, 2, 3], [999, 1000, 0], 1000) == [True, False, True]
    assert state.candidates == 2


def test_the_rate_limit_holds_for_each_second() -> None:
    on = full(tiered(promote_rate_limit=MIB))  # 256 pages a second
    state = Promotion()
    now = [5000] * 300 + [5900] * 100 + [6100] * 300
    found = hot(state, on, now, [0] * 700, 1000)
    # The fault that opens a window counts for the one before: 256 more get through.
    assert sum(found[:300]) == 256
    assert sum(found[300:400]) == 0
    assert sum(found[400:]) == 256
    assert state.candidates == 700


def test_the_adjusted_threshold_is_the_nodes_and_not_the_tasks() -> None:
    on = full(tiered(scan_period_max=10 * SECOND, promote_rate_limit=MIB))
    state = Promotion()
    now = [10_001, 10_002]
    # Ten seconds without candidates: the threshold of the node grows from 1000 to 1125.
    assert hot(state, on, now, [1100, 1130], 1000) == [True, False]
    assert state.threshold == 1125
    # A task with a threshold of 80 ms is measured by the node's all the same.
    assert hot(state, on, [10_003], [1100], 80) == [True]


@pytest.mark.parametrize("reference", [80, 1000])
def test_a_threshold_stays_within_its_bounds_over_time(reference: int) -> None:
    on = full(tiered(scan_period_max=SECOND, promote_rate_limit=MIB))
    state = Promotion()
    for second in range(2, 60):
        hot(state, on, [second * 1001], [10**6], reference)
    assert state.threshold == 2 * reference
