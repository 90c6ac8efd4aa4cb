"""Programs that say what they touched were recorded; the workload must say the same."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from policyc.simulate.workload.recorded import Recorded
from policyc.simulate.workload.specification import Pattern, Vma
from tests.simulate.recordings import faults, phases_in, vma_of

PAGE = 4096


@dataclass(frozen=True)
class Truth:
    """What tests/fixtures/recorded/known.c printed while it was recorded."""

    sample: str
    strided: tuple[int, int, int]  # address, size, touches
    uniform: tuple[int, int, int, int]  # address, size, draws, distinct pages
    sequential: tuple[int, int, int]  # address, size, touches
    mapped: bool  # whether the recording has mappings


PERF = Truth(
    "known.perf.txt.gz",
    (0x7FFA61600000, 67108864, 1311),
    (0x7FFA60A00000, 8388608, 16384, 2048),
    (0x7FFA60200000, 4194304, 1024),
    mapped=True,
)
TRACEPOINTS = Truth(
    "known.tracepoints.txt.gz",
    (0x7FD7E2000000, 4194304, 82),
    (0x7FD7E1A00000, 2097152, 500, 331),
    (0x7FD7E1600000, 1048576, 256),
    mapped=True,
)
TRACEFS = Truth(
    "known.tracefs.txt.gz",
    (0x7F8823A00000, 2097152, 41),
    (0x7F8823400000, 2097152, 100, 87),
    (0x7F8822E00000, 2097152, 512),
    mapped=False,
)
STRIDE = 51200

TRUTHS = pytest.mark.parametrize(
    "truth", [PERF, TRACEPOINTS, TRACEFS], ids=lambda truth: truth.sample
)


@pytest.mark.parametrize("truth", [PERF, TRACEPOINTS], ids=lambda truth: truth.sample)
def test_the_stride_is_found_exactly(truth: Truth) -> None:
    address, size, touches = truth.strided
    recorded = faults(truth.sample)
    (process,) = recorded.workload.processes
    vma = vma_of(recorded, process, address)
    (phase,) = phases_in(process, vma.name)
    assert (phase.pattern, phase.stride) == (Pattern.STRIDE, STRIDE)
    assert phase.touches == touches
    assert phase.offset == 0
    assert abs(vma.size - size) <= PAGE


@TRUTHS
def test_touches_at_random_are_found_with_their_range_and_about_their_number(truth: Truth) -> None:
    address, size, draws, distinct = truth.uniform
    recorded = faults(truth.sample)
    (process,) = recorded.workload.processes
    vma = vma_of(recorded, process, address) if truth.mapped else _largest(recorded, distinct)
    if truth.mapped:
        assert vma.size == size
    else:
        # The highest and lowest of `distinct` random pages are near the ends.
        assert abs(vma.size - size) < size // 10
    phases = phases_in(process, vma.name)
    assert {phase.pattern for phase in phases} == {Pattern.UNIFORM}
    # The mean number of draws for as many pages has a standard deviation of a few per cent.
    assert sum(phase.touches or 0 for phase in phases) == pytest.approx(draws, rel=0.15)
    length = phases[0].length
    assert length is not None
    assert size - length < size // 20


def _largest(recorded: Recorded, distinct: int) -> Vma:
    (process,) = recorded.workload.processes
    for index, vma in enumerate(process.vmas):
        if f"in {distinct} pages" in recorded.comments["processes", 0, "vmas", index][0]:
            return vma
    raise AssertionError(f"no VMA with {distinct} pages")


@TRUTHS
def test_a_pass_is_found_exactly(truth: Truth) -> None:
    address, size, touches = truth.sequential
    recorded = faults(truth.sample)
    (process,) = recorded.workload.processes
    vma = vma_of(recorded, process, address)
    (phase,) = phases_in(process, vma.name)
    assert phase.pattern is Pattern.SEQUENTIAL
    assert (vma.size, phase.length, phase.touches) == (size, size, touches)


def test_pages_that_faulted_are_as_many_as_the_program_touched() -> None:
    recorded = faults(PERF.sample)
    counted = sum(
        int(texts[0].split(" faults in ")[1].split(" pages")[0].replace(",", ""))
        for place, texts in recorded.comments.items()
        if len(place) == 4 and place[2] == "vmas" and " faults in " in texts[0]
    )
    truth = PERF.strided[2] + PERF.uniform[3] + PERF.sequential[2]
    assert counted == pytest.approx(truth, rel=0.01)


def test_the_rests_between_are_found() -> None:
    (process,) = faults(PERF.sample).workload.processes
    rests = [phase.duration for phase in process.phases if phase.pattern is Pattern.SLEEP]
    # The program slept 200 ms three times; a rest contains the end of what went before.
    assert len(rests) == 3
    assert all(200e6 <= (rest or 0) < 215e6 for rest in rests)


def test_the_process_exits_where_the_recording_says_so() -> None:
    (process,) = faults(PERF.sample).workload.processes
    assert process.phases[-1].pattern is Pattern.EXIT
    (process,) = faults(TRACEPOINTS.sample).workload.processes
    assert process.phases[-1].pattern is not Pattern.EXIT


def test_page_fault_tracepoints_tell_writes() -> None:
    recorded = faults(TRACEPOINTS.sample)
    (process,) = recorded.workload.processes
    vma = vma_of(recorded, process, TRACEPOINTS.sequential[0])
    assert phases_in(process, vma.name)[0].write == 1.0
