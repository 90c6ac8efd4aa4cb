"""From faults to processes, VMAs and phases: what is inferred, and what is left open."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from policyc.simulate.baselines import applied
from policyc.simulate.engine import simulate
from policyc.simulate.workload.lines import RecordError
from policyc.simulate.workload.reader import parse_workload
from policyc.simulate.workload.recorded import Given, Recorded
from policyc.simulate.workload.recorded_faults import workload_from_faults
from policyc.simulate.workload.segments import draws
from policyc.simulate.workload.specification import MIB, MILLISECOND, Pattern, Phase, Process
from tests.simulate.recordings import GIVEN, faults, phases_in

BASE = 0x7F0000000000
PAGE = 4096


def fault(address: int, time: int, *, pid: int = 7, tid: int = 7, comm: str = "app") -> str:
    """A line by hand; the time is in microseconds."""
    return f"{comm} {pid}/{tid} {time // 10**6}.{time % 10**6:06}: page-faults: {address:x}\n"


def mapped(start: int, size: int, *, pid: int = 7, name: str = "//anon") -> str:
    return (
        f"app {pid}/{pid} 0.000001: PERF_RECORD_MMAP2 {pid}/{pid}: [{start:#x}({size:#x}) @ 0 "
        f"00:00 0 0]: rw-p {name}\n"
    )


def made(*lines: str, huge: bool | None = None, given: Given = GIVEN) -> Recorded:
    return workload_from_faults(lines, given, huge=huge)


def only(recorded: Recorded) -> tuple[Process, tuple[Phase, ...]]:
    (process,) = recorded.workload.processes
    return process, process.phases


def pages(count: int, *, start: int = BASE, time: int = 10, step: int = PAGE) -> Iterator[str]:
    for number in range(count):
        yield fault(start + number * step, time + number)


@pytest.mark.parametrize("stride", [4100, 8192, 51200, 1 << 20, 3 << 20])
def test_strides_of_a_page_or_more_are_exact(stride: int) -> None:
    _, (phase,) = only(made(mapped(BASE, 200 * stride), *pages(200, step=stride)))
    assert (phase.pattern, phase.stride, phase.touches) == (Pattern.STRIDE, stride, 200)


def test_a_pass_from_the_end_is_a_pass() -> None:
    lines = pages(100, start=BASE + 99 * PAGE, step=-PAGE)
    recorded = made(mapped(BASE, 100 * PAGE), *lines)
    _, (phase,) = only(recorded)
    assert (phase.pattern, phase.offset, phase.touches) == (Pattern.SEQUENTIAL, 0, 100)
    assert "from the end" in recorded.comments["processes", 0, "phases", 0][0]


def test_copying_is_two_passes_at_the_same_time() -> None:
    half = 500 * PAGE
    lines = [
        fault(BASE + side * half + number * PAGE, 10 + 2 * number + side)
        for number in range(500)
        for side in (0, 1)
    ]
    process, phases = only(made(mapped(BASE, 2 * half), *lines))
    assert [(p.pattern, p.offset, p.length, p.touches) for p in phases] == [
        (Pattern.SEQUENTIAL, 0, half, 500),
        (Pattern.SEQUENTIAL, half, half, 500),
    ]
    assert [vma.size for vma in process.vmas] == [2 * half]


def test_threads_that_share_a_pass_are_one_phase() -> None:
    lines = [
        fault(BASE + (thread * 100 + number) * PAGE, 10 + 4 * number + thread, tid=7 + thread)
        for number in range(100)
        for thread in range(4)
    ]
    _, (phase,) = only(made(mapped(BASE, 400 * PAGE), *lines))
    assert (phase.pattern, phase.threads, phase.touches) == (Pattern.SEQUENTIAL, 4, 400)


def test_touches_at_random_are_as_many_as_finding_the_pages_takes() -> None:
    # 1,000 draws of 512 pages, made here, leave a page untouched with e ** -(1000 / 512).
    rng = random.Random(5)
    seen: set[int] = set()
    lines: list[str] = []
    for number in range(1000):
        page = rng.randrange(512)
        if page not in seen:
            seen.add(page)
            lines.append(fault(BASE + page * PAGE, 10 + number))
    _, (phase,) = only(made(mapped(BASE, 512 * PAGE), *lines))
    assert phase.pattern is Pattern.UNIFORM
    assert phase.touches == pytest.approx(1000, rel=0.15)


@pytest.mark.parametrize(
    ("count", "before", "new", "expected"),
    # The coupon collector: all of 2 take 3, of 6 (a die) 14.7; half of 1000 take 1000 ln 2.
    [(2, 0, 2, 3), (6, 0, 6, 15), (1000, 0, 500, 693), (6, 5, 1, 6), (10, 10, 3, 0)],
)
def test_draws(count: int, before: int, new: int, expected: int) -> None:
    assert draws(count, before, new) == expected


def test_huge_pages_stand_for_all_their_pages() -> None:
    lines = [mapped(BASE, 64 * MIB), *pages(32, step=2 * MIB)]
    _, (phase,) = only(made(*lines))
    assert (phase.pattern, phase.touches) == (Pattern.SEQUENTIAL, 32 * 512)
    _, (phase,) = only(made(mapped(BASE, 128 * MIB), *pages(64, step=2 * MIB), huge=False))
    assert (phase.pattern, phase.stride, phase.touches) == (Pattern.STRIDE, 2 * MIB, 64)


def test_pauses_rates_and_the_start() -> None:
    slow = [fault(BASE + number * PAGE, 1_000_000 + number * 1000) for number in range(101)]
    fast = list(pages(100, start=BASE + 64 * MIB, time=2_000_000))
    recorded = made(
        mapped(BASE, MIB), mapped(BASE + 64 * MIB, MIB), fault(BASE, 500_000, pid=9), *slow, *fast
    )
    process, phases = only(recorded)
    # A process with a single fault is left out, but the recording starts with it.
    assert process.start == 1_000_000_000 - 1000  # the first mapping was made at 1 us
    first, rest, second = phases
    assert first.rate == pytest.approx(1000, rel=0.01)
    assert (rest.pattern, rest.duration) == (Pattern.SLEEP, 900 * MILLISECOND)
    assert second.rate is None


def test_files_are_left_out_and_shmem_is_known() -> None:
    recorded = made(
        mapped(BASE, MIB, name="/usr/lib/libc.so.6"),
        mapped(BASE + 16 * MIB, MIB, name="/memfd:pool (deleted)"),
        *pages(100),
        *pages(100, start=BASE + 16 * MIB),
    )
    process, phases = only(recorded)
    assert [vma.kind for vma in process.vmas] == ["shmem"]
    assert sum(phase.touches or 0 for phase in phases) == 100
    assert "100 of files" in recorded.comments[()][0]


def test_advice_and_memory_given_back() -> None:
    def call(time: int, start: int, size: int, behavior: int) -> str:
        return (
            f"app 7/7 [000] {time // 10**6}.{time % 10**6:06}: syscalls:sys_enter_madvise: start: "
            f"{start:#x}, len_in: {size:#x}, behavior: {behavior:#x}\n"
        )

    recorded = made(
        mapped(BASE, MIB),
        call(5, BASE, MIB, 14),
        *pages(256),
        call(1000, BASE, MIB // 2, 4),
        call(1001, BASE + 64 * MIB, MIB, 4),
    )
    process, phases = only(recorded)
    assert process.vmas[0].advice == "hugepage"
    free = phases[-1]
    assert (free.pattern, free.offset, free.length) == (Pattern.FREE, 0, MIB // 2)
    assert len(phases) == 2


def test_programs_that_follow_each_other_in_a_process_are_two() -> None:
    lines = [
        "sh 7/7 0.000001: PERF_RECORD_COMM exec: sh:7/7\n",
        *pages(100, time=10),
        "cat 7/7 0.500000: PERF_RECORD_COMM exec: cat:7/7\n",
        *pages(100, time=500_010),
    ]
    recorded = made(*lines)
    assert [process.name for process in recorded.workload.processes] == ["sh", "cat"]
    assert recorded.workload.processes[1].start == 500_009_000


def test_cgroups_and_nodes_go_by_what_was_asked_for() -> None:
    lines = [
        f"{comm} {pid}/{pid} [00{pid - 1}] 1.{number:06}: page-faults: {BASE + number * PAGE:x}\n"
        for pid, comm in ((1, "one"), (8, "a/b"))
        for number in range(100)
    ]
    given = Given(
        name="x", memory=8 << 30, nodes=2, cpus=8, page_size=4096, cgroups={"1": "/db/one"}
    )
    recorded = made(*lines, given=given)
    one, other = recorded.workload.processes
    assert (one.cgroup, one.node, other.cgroup, other.node) == ("/db/one", 0, "/recorded/a_b", 1)
    assert [group.path for group in recorded.workload.cgroups] == [
        "/db",
        "/db/one",
        "/recorded",
        "/recorded/a_b",
    ]
    assert [(node.memory, node.cpus) for node in recorded.workload.machine.nodes] == [
        (4 << 30, 4),
        (4 << 30, 4),
    ]


def test_many_small_phases_become_few_that_find_as_many_pages() -> None:
    rng = random.Random(3)
    lines = [mapped(BASE, 1024 * MIB)]
    time = 10
    for _ in range(500):
        start = rng.randrange(200_000) * PAGE
        for number in range(20):
            lines.append(fault(BASE + start + number * PAGE, time))
            time += 1
        time += 20_000
    _, phases = only(made(*lines, huge=False))
    assert len(phases) <= 2 * 64 + 2  # with the pauses between them
    assert sum(phase.touches or 0 for phase in phases) >= 0.95 * 500 * 20


def test_a_recording_without_memory_of_programs_is_refused() -> None:
    with pytest.raises(RecordError, match="no page fault of anonymous memory"):
        made(mapped(BASE, MIB, name="/usr/lib/libc.so.6"), *pages(10))


@pytest.mark.parametrize(
    "name",
    ["known.perf.txt.gz", "redis.perf.txt.gz", "python.perf.txt.gz", "gcc.perf.txt.gz"],
)
def test_samples_give_workloads_that_read_back_as_they_are(name: str) -> None:
    recorded = faults(name)
    assert parse_workload(recorded.toml().encode(), "sample") == recorded.workload
    assert recorded.toml() == faults(name).toml()


def test_a_snapshot_of_redis_is_a_fork_while_it_goes_on() -> None:
    recorded = faults("redis.perf.txt.gz")
    server = next(p for p in recorded.workload.processes if p.comm == "redis-server")
    forks = [index for index, p in enumerate(server.phases) if p.pattern is Pattern.FORK]
    assert len(forks) == 1
    # The child of the recording lived from 24917.2 to 24917.7 or so, half a second at most.
    assert 0.1 < (server.phases[forks[0]].duration or 0) / 1e9 < 0.6
    assert any(phase.touches for phase in server.phases[forks[0] :])


def test_parallel_sort_had_huge_pages() -> None:
    # sort --parallel=2 -S 32M on a host with THP "always": its buffer comes in PMD-sized pages,
    # and 659 lines stand for tens of megabytes.
    (process,) = faults("sort.perf.txt.gz").workload.processes
    big = max(process.vmas, key=lambda vma: vma.size)
    touched = sum(phase.touches or 0 for phase in phases_in(process, big.name))
    assert touched * PAGE > 24 * MIB
    (process,) = faults("sort.perf.txt.gz", huge=False).workload.processes
    touched = sum(phase.touches or 0 for phase in phases_in(process, big.name))
    assert touched * PAGE < 8 * MIB


def test_the_model_faults_as_often_as_the_program_did() -> None:
    # 4,397 faults of anonymous memory are in the recording, with base pages only.
    workload = faults("known.perf.txt.gz").workload
    run = simulate(applied(workload, "never"), name="never")
    assert run.total.counters["pgfault"] == pytest.approx(4397, rel=0.01)
