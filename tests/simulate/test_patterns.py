"""Streams: drawn touches, heat and the time to the next touch tell the same."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from policyc.simulate.model.area import Area
from policyc.simulate.model.patterns import (
    Ordered,
    Stream,
    accessed_since,
    heat,
    next_access,
    stream_of,
)
from policyc.simulate.workload.specification import KIB, MIB, SECOND, Pattern, Phase
from tests.simulate.machines import HEAP, process, small_host

RANDOM = [
    Phase(pattern=Pattern.UNIFORM, vma=HEAP),
    Phase(pattern=Pattern.ZIPF, vma=HEAP, exponent=0.7),
    Phase(pattern=Pattern.ZIPF, vma=HEAP, exponent=1.0),
    Phase(pattern=Pattern.ZIPF, vma=HEAP, exponent=1.3),
    Phase(pattern=Pattern.HOTSET, vma=HEAP, hot_size=0.2, hot_share=0.8),
]


def stream(phase: Phase, size: int = 4 * MIB, misalign: int = 0, rate: float = 1e6) -> Stream:
    _, state = small_host(None, process(size=size, misalign=misalign))
    area = state.areas[HEAP]
    found = stream_of(phase, area, 4096, 0)
    found.rate = rate
    area.streams.append(found)
    return found


def pages_of(found: Stream) -> np.ndarray:
    return np.arange(found.first, found.first + found.span)


def everything(pages: np.ndarray) -> np.ndarray:
    return np.ones(len(pages), np.bool_)


@pytest.mark.parametrize("phase", RANDOM)
def test_heat_is_the_rate_of_the_draws(phase: Phase) -> None:
    found = stream(phase)
    rng = np.random.default_rng(3)
    expected = found.heat(pages_of(found)) / found.rate
    assert math.isclose(expected.sum(), 1.0, rel_tol=1e-9)
    count = 2_000_000
    drawn = np.bincount(found.draw(count, rng) - found.first, minlength=found.span)
    spread = np.sqrt(count * expected)
    assert (np.abs(drawn - count * expected) < 6 * spread + 1).all()


@pytest.mark.parametrize("phase", RANDOM)
def test_few_touches_reach_as_many_pages_drawn_as_by_probability(phase: Phase) -> None:
    found = stream(phase)
    rng = np.random.default_rng(3)
    count = found.span // 4 - 1
    drawn = np.mean([len(found.touched(count, everything, rng)) for _ in range(100)])
    by_chance = np.mean([len(found.touched(count + 1, everything, rng)) for _ in range(100)])
    assert math.isclose(drawn, by_chance, rel_tol=0.02)


@pytest.mark.parametrize("phase", RANDOM)
def test_the_next_touch_comes_after_the_mean_interval(phase: Phase) -> None:
    found = stream(phase)
    rng = np.random.default_rng(3)
    pages = np.repeat(pages_of(found)[:16], 4000)
    wait = (found.next_touch(pages, 7 * SECOND, rng) - 7 * SECOND) / SECOND
    mean = wait.reshape(16, 4000).mean(axis=1)
    assert np.allclose(mean * found.heat(pages_of(found)[:16]), 1.0, atol=0.08)


def test_the_share_of_the_hottest_is_what_the_hottest_pages_get() -> None:
    for phase in RANDOM:
        found = stream(phase)
        weights = np.sort(found.heat(pages_of(found)) / found.rate)[::-1]
        for share in (0.01, 0.1, 0.5):
            exact = weights[: round(share * found.span)].sum()
            assert math.isclose(found.share_of_hottest(share), exact, abs_tol=0.01), phase


def test_a_stride_touches_the_pages_that_a_program_would() -> None:
    found = stream(Phase(pattern=Pattern.STRIDE, vma=HEAP, stride=50 * KIB), misalign=8192)
    expected = sorted({2 + byte // 4096 for byte in range(0, 4 * MIB, 50 * KIB)})
    rng = np.random.default_rng(0)
    assert found.touched(10**6, everything, rng).tolist() == expected
    assert isinstance(found, Ordered)
    assert found.steps == len(range(0, 4 * MIB, 50 * KIB))


def test_a_pass_goes_on_where_it_stopped() -> None:
    found = stream(Phase(pattern=Pattern.SEQUENTIAL, vma=HEAP), size=100 * 4096)
    rng = np.random.default_rng(0)
    assert found.touched(30, everything, rng).tolist() == list(range(30))
    found.done = 90
    assert found.touched(30, everything, rng).tolist() == [*range(20), *range(90, 100)]
    assert found.touched(10, lambda pages: pages % 2 == 0, rng).tolist() == [90, 92, 94, 96, 98]


def test_a_small_stride_touches_each_page_several_times() -> None:
    found = stream(Phase(pattern=Pattern.STRIDE, vma=HEAP, stride=1 * KIB), size=10 * 4096)
    rng = np.random.default_rng(0)
    assert found.touched(8, everything, rng).tolist() == [0, 1]
    assert found.distinct() == 10
    assert math.isclose(found.heat(pages_of(found)).sum(), found.rate)


def test_in_order_the_next_touch_is_known() -> None:
    found = stream(Phase(pattern=Pattern.SEQUENTIAL, vma=HEAP), size=100 * 4096, rate=10.0)
    found.done = 140
    due = found.next_touch(np.array([39, 40, 45]), 5 * SECOND, np.random.default_rng(0))
    assert ((due - 5 * SECOND) / SECOND).tolist() == [9.9, 0.0, 0.5]


def test_a_stream_that_ends_before_a_page_never_comes_to_it() -> None:
    phase = Phase(pattern=Pattern.SEQUENTIAL, vma=HEAP, touches=150)
    found = stream(phase, size=100 * 4096, rate=10.0)
    found.done = 140
    due = found.next_touch(np.array([45, 55]), 0, np.random.default_rng(0))
    assert due[0] == 0.5 * SECOND
    assert math.isinf(due[1])


def test_passes_are_whole_passes_of_the_range() -> None:
    phase = Phase(pattern=Pattern.STRIDE, vma=HEAP, stride=50 * KIB, passes=2, length=1 * MIB)
    assert stream(phase).total == 2 * len(range(0, MIB, 50 * KIB))


def test_a_hot_window_moves_on() -> None:
    phase = replace(RANDOM[-1], hot_moves_every=SECOND)
    found = stream(phase, rate=1000.0)
    first = found.heat(pages_of(found)).argmax()
    found.done = 1500  # 1.5 s at this rate
    assert found.heat(pages_of(found)).argmax() == first + round(0.2 * found.span)


def test_several_streams_of_an_area_add_up() -> None:
    found = stream(RANDOM[0])
    area: Area = found.area
    once = heat(area, pages_of(found)).copy()
    area.streams.append(found)
    assert np.allclose(heat(area, pages_of(found)), 2 * once)
    rng = np.random.default_rng(0)
    wait = next_access(area, np.repeat(pages_of(found)[:1], 5000), 0, rng) / SECOND
    assert math.isclose(wait.mean() * 2 * once[0], 1.0, rel_tol=0.06)


def test_what_was_accessed_since_a_scan() -> None:
    found = stream(RANDOM[0], rate=1024.0)
    pages = pages_of(found)
    rng = np.random.default_rng(0)
    share = np.mean([accessed_since(found.area, pages, 0, SECOND, rng).mean() for _ in range(50)])
    assert math.isclose(share, 1 - math.exp(-1), abs_tol=0.01)
    assert not accessed_since(found.area, pages, SECOND, SECOND, rng).any()
    found.started = SECOND
    assert not accessed_since(found.area, pages, 0, SECOND, rng).any()


def test_phases_without_touches_have_no_stream() -> None:
    with pytest.raises(ValueError, match="sleep"):
        stream(Phase(pattern=Pattern.SLEEP, duration=SECOND))
