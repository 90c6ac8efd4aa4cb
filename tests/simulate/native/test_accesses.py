"""What a phase touches natively: which bytes, how many, at what pace."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import islice

import pytest

from policyc.simulate.workload.runner.accesses import perform, pieces, zipf_ranks
from policyc.simulate.workload.specification import SECOND, Pattern, Phase

PAGE = 4096


def touched(phase: Phase, size: int, fill: int = 0) -> tuple[Counter[int], int]:
    """The pages that were written, each once, and how many touches were told."""
    memory = bytearray([fill]) * size
    told: list[int] = []
    perform(phase, memoryview(memory), PAGE, rng=random.Random(7), counted=told.append)
    written = Counter(index // PAGE for index, byte in enumerate(memory) if byte != fill)
    return written, sum(told)


def test_a_pass_in_order_writes_every_page_once() -> None:
    written, touches = touched(Phase(pattern=Pattern.SEQUENTIAL, passes=1), 100 * PAGE)
    assert written == Counter(range(100))
    assert touches == 100


def test_passes_and_touches_end_a_phase_in_the_middle() -> None:
    written, touches = touched(Phase(pattern=Pattern.SEQUENTIAL, passes=0.5), 100 * PAGE)
    assert sorted(written) == list(range(50))
    assert touches == 50
    written, touches = touched(Phase(pattern=Pattern.SEQUENTIAL, touches=130), 100 * PAGE)
    assert len(written) == 100
    assert touches == 130


def test_a_stride_of_50k_over_40m_makes_820_touches_of_41_pages_in_each_2m() -> None:
    # enumerated by hand from `stress --vm-bytes 40M --vm-stride 50K`
    phase = Phase(pattern=Pattern.STRIDE, stride=50 << 10, passes=1)
    written, touches = touched(phase, 40 << 20)
    assert touches == 820
    assert Counter(page // 512 for page in written) == dict.fromkeys(range(20), 41)


def test_strides_below_a_page_touch_a_page_several_times() -> None:
    written, touches = touched(Phase(pattern=Pattern.STRIDE, stride=1000, passes=1), 10 * PAGE)
    assert touches == 41  # ceil(40960 / 1000)
    assert sum(written.values()) == 41
    assert len(written) == 10


def test_zeros_are_written_as_zeros() -> None:
    phase = Phase(pattern=Pattern.SEQUENTIAL, passes=1, zero=True)
    written, touches = touched(phase, 8 * PAGE, fill=5)
    assert len(written) == touches == 8


def test_reads_write_nothing_and_are_counted() -> None:
    for pattern in (Pattern.SEQUENTIAL, Pattern.UNIFORM):
        written, touches = touched(Phase(pattern=pattern, touches=3000, write=0.0), 50 * PAGE)
        assert not written
        assert touches == 3000


def test_a_share_of_the_touches_writes() -> None:
    phase = Phase(pattern=Pattern.SEQUENTIAL, passes=1, write=0.25)
    written, touches = touched(phase, 4000 * PAGE)
    assert touches == 4000
    assert 900 < len(written) < 1100  # 1000, standard deviation 27


def test_uniform_touches_reach_as_many_pages_as_they_should() -> None:
    written, _ = touched(Phase(pattern=Pattern.UNIFORM, touches=1000), 1000 * PAGE)
    # 1000 * (1 - (1 - 1 / 1000) ** 1000) = 632, standard deviation 10
    assert 590 < len(written) < 675


@pytest.mark.parametrize("exponent", [0.5, 0.99, 1.0, 1.5])
def test_ranks_have_the_weights_of_zipfs_law(exponent: float) -> None:
    count, draws = 50, 40_000
    seen = Counter(islice(zipf_ranks(count, exponent, random.Random(3)), draws))
    total = sum(rank**-exponent for rank in range(1, count + 1))
    assert set(seen) <= set(range(1, count + 1))
    for rank in (1, 2, 3, 10, 50):
        expected = draws * rank**-exponent / total
        assert abs(seen[rank] - expected) < 5 * expected**0.5 + 1


def test_ranks_are_scattered_over_all_pages() -> None:
    phase = Phase(pattern=Pattern.ZIPF, exponent=0.5, touches=40_000)
    written, _ = touched(phase, 100 * PAGE)
    assert sorted(written) == list(range(100))


def test_most_touches_go_to_the_hot_window() -> None:
    phase = Phase(pattern=Pattern.HOTSET, hot_size=0.1, hot_share=0.9)
    (piece,) = islice(pieces(phase, 1000 * PAGE, PAGE, random.Random(5), 10_000), 1)
    hot = sum(offset < 100 * PAGE for offset in piece.offsets)
    assert 8900 < hot < 9300  # 9,100: nine tenths, and a tenth of the others


@pytest.mark.parametrize(
    "phase",
    [
        Phase(pattern=Pattern.SEQUENTIAL, touches=500, rate=1000.0),
        Phase(pattern=Pattern.SEQUENTIAL, touches=500, threads=4, delay=SECOND // 250),
    ],
)
def test_a_rate_is_kept_by_waiting(phase: Phase) -> None:
    waits: list[float] = []
    memory = memoryview(bytearray(100 * PAGE))
    perform(phase, memory, PAGE, rng=random.Random(1), counted=lambda _: None, wait=waits.append)
    # Nothing really waits, so each wait is up to the time that the touches until then
    # should have taken at 1,000 a second; the last is the whole half second.
    assert waits == sorted(waits)
    assert 0.4 < waits[-1] <= 0.5


def test_work_uses_cpu_time_and_does_not_sleep() -> None:
    phase = Phase(pattern=Pattern.SEQUENTIAL, touches=100, threads=2, work=SECOND // 500)
    before = time.process_time()
    touched(phase, 100 * PAGE)
    # 100 touches of 2 ms by two threads; a busy machine gives us less of the 0.1 s
    assert time.process_time() - before > 0.02


def test_a_duration_ends_a_phase_that_has_no_other_end() -> None:
    phase = Phase(pattern=Pattern.UNIFORM, duration=SECOND // 20)
    _, touches = touched(phase, 10 * PAGE)
    assert touches > 0
