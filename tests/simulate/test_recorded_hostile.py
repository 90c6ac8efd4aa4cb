"""Recordings that nobody would record: each gives a workload that is valid, or a message."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policyc.simulate.workload.damon import read_snapshots
from policyc.simulate.workload.lines import RecordError, text_lines
from policyc.simulate.workload.reader import examine_workload
from policyc.simulate.workload.recorded import Recorded
from policyc.simulate.workload.recorded_faults import workload_from_faults
from policyc.simulate.workload.recorded_regions import workload_from_regions
from policyc.simulate.workload.specification import GIB
from tests.simulate.recordings import GIVEN, sample

QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def from_perf(data: bytes) -> Recorded:
    return workload_from_faults(text_lines(io.BytesIO(data)), GIVEN)


def from_damon(data: bytes) -> Recorded:
    return workload_from_regions(read_snapshots(io.BytesIO(data)), GIVEN)


def made_or_refused(make: Callable[[bytes], Recorded], data: bytes) -> None:
    try:
        recorded = make(data)
    except RecordError:
        return
    examined = examine_workload(recorded.toml().encode(), "made")
    errors = [str(finding) for finding in examined.findings if not finding.warning]
    assert not errors
    assert examined.workload == recorded.workload


PIDS = st.sampled_from(["1/1", "1/2", "7", "0/0", "-1/0", "99999999999/1", "x"])
TIMES = st.sampled_from(
    ["0.000000", "1.5", "2.000001", "1.000000", "999999999.999999999", "1000000000.1"]
)
ADDRESSES = st.integers(0, (1 << 64) - 1) | st.sampled_from(
    [0, 4096, 0x7F0000000000, (1 << 47) - 1, (1 << 56) - 1, 1 << 56, (1 << 64) - 1]
)
NAMES = st.sampled_from(["app", "", "a b", "[x]", "\x1b[31m", "é", "//", "-1", "x" * 300])


@st.composite
def perf_lines(draw: st.DrawFn) -> str:
    prefix = f"{draw(NAMES)} {draw(PIDS)} [000] {draw(TIMES)}: "
    start, size = draw(ADDRESSES), draw(ADDRESSES)
    kind = draw(st.integers(0, 6))
    match kind:
        case 0:
            run = range(draw(st.integers(1, 80)))
            step = draw(st.sampled_from([1, 4096, -4096, 51200, 1 << 21, 1 << 40]))
            return "".join(
                f"{prefix}page-faults: {(start + number * step) % (1 << 64):x}\n" for number in run
            )
        case 1:
            access = draw(st.sampled_from(["rw-p", "---p", "rw-s"]))
            return (
                f"{prefix}PERF_RECORD_MMAP2 1/1: [{start:#x}({size:#x}) @ 0 00:00 0 0]: "
                f"{access} //anon\n"
            )
        case 2:
            return f"{prefix}PERF_RECORD_FORK({draw(PIDS).replace('/', ':')}):(1:1)\n"
        case 3:
            behavior = draw(st.integers(0, 30))
            return (
                f"{prefix}syscalls:sys_enter_madvise: start: {start:#x}, len_in: {size:#x}, "
                f"behavior: {behavior:#x}\n"
            )
        case 4:
            return f"{prefix}PERF_RECORD_COMM exec: {draw(NAMES)}:1/1\n"
        case 5:
            return f"{prefix}PERF_RECORD_EXIT(1:1):(0:0)\n"
        case _:
            return draw(st.text(max_size=60)) + "\n"


@QUIET
@given(st.lists(perf_lines(), max_size=12))
def test_lines_of_perf_with_any_numbers(lines: list[str]) -> None:
    made_or_refused(from_perf, "".join(lines).encode("utf-8", "replace"))


@QUIET
@given(st.binary(max_size=400))
@example(b"x 1/1 1.5: page-faults: 7f0000000000")
def test_any_bytes(data: bytes) -> None:
    made_or_refused(from_perf, data)
    made_or_refused(from_damon, data)


@QUIET
@given(st.integers(0, 2_000), st.integers(0, 120), st.binary(max_size=12))
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("known.tracepoints.txt.gz", from_perf),
        ("sparse.damo-1.8.0.txt.gz", from_damon),
        ("hot.damon.tracefs.txt.gz", from_damon),
    ],
)
def test_damaged_recordings(
    name: str, make: Callable[[bytes], Recorded], line: int, column: int, junk: bytes
) -> None:
    lines = sample(name).getvalue().splitlines(keepends=True)[:260]
    at = line % len(lines)
    lines[at] = lines[at][:column] + junk + lines[at][column + len(junk) :]
    made_or_refused(make, b"".join(lines))


@st.composite
def damon_lines(draw: st.DrawFn) -> str:
    start, size = draw(ADDRESSES), draw(ADDRESSES)
    return (
        f"kdamond.0 1 [0] {draw(TIMES)}: damon:damon_aggregated: "
        f"target_id={draw(st.integers(0, 3))} nr_regions={draw(st.integers(0, 3))} "
        f"{start}-{start + size}: {draw(st.integers(0, 1 << 32))} 1\n"
    )


@QUIET
@given(st.lists(damon_lines(), max_size=12))
def test_regions_with_any_numbers(lines: list[str]) -> None:
    made_or_refused(from_damon, "".join(lines).encode())


def test_a_reservation_of_terabytes_is_as_large_as_what_is_used_of_it() -> None:
    # As of address sanitizers and collectors of garbage: 16 TiB reserved, little touched.
    base = 0x10007FFF8000
    place = f"[{base:#x}({16384 * GIB:#x}) @ 0 00:00 0 0]"
    lines = [f"app 1/1 0.5: PERF_RECORD_MMAP2 1/1: {place}: rw-p //anon\n"]
    for offset in (0, 9000 * GIB):
        lines += [
            f"app 1/1 1.{number:06}: page-faults: {base + offset + number * 4096:x}\n"
            for number in range(200)
        ]
    recorded = from_perf("".join(lines).encode())
    (process,) = recorded.workload.processes
    assert len(process.vmas) == 2
    assert sum(vma.size for vma in process.vmas) < GIB
    made_or_refused(from_perf, "".join(lines).encode())
