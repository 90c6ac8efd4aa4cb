"""What the writer writes, the reader reads as the same value."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from policyc.simulate.workload.reader import parse_workload, read_workload
from policyc.simulate.workload.specification import (
    GIB,
    KIB,
    MIB,
    MILLISECOND,
    SECOND,
    Action,
    ActionKind,
    Cgroup,
    Khugepaged,
    Kmmscand,
    Machine,
    Node,
    NumaBalancing,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)
from policyc.simulate.workload.writer import write_workload

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "workloads").glob("*.toml"))

#: A workload of which no field has its default.
ALL = Workload(
    name="all of it",
    description='two\nlines, "quotes" and \\ and \x7f',
    seed=7,
    duration=61 * SECOND + 1,
    tick=3 * MILLISECOND,
    machine=Machine(
        nodes=(
            Node(memory=8 * GIB, cpus=4, tier=0, latency=101, bandwidth=10**11),
            Node(memory=16 * GIB, cpus=0, tier=1, latency=250, bandwidth=3 * 10**10),
        ),
        page_size=64 * KIB,
        pmd_order=12,
        thp=Thp(
            enabled="always",
            shmem_enabled="within_size",
            defrag="defer+madvise",
            use_zero_page=False,
            shrink_underused=False,
            sizes={2: "inherit", 12: "always"},
            shmem_sizes={4: "advise"},
        ),
        khugepaged=Khugepaged(
            pages_to_scan=1,
            scan_sleep=0,
            alloc_sleep=1,
            max_ptes_none=0,
            max_ptes_swap=0,
            max_ptes_shared=0,
            mthp=True,
        ),
        numa=NumaBalancing(
            balancing=3,
            scan_delay=0,
            scan_period_min=2 * MILLISECOND,
            scan_period_max=3 * SECOND,
            scan_size=64 * MIB,
            hot_threshold=2 * SECOND,
            promote_rate_limit=100 * MIB,
            hierarchy="leaf",
            demotion=False,
        ),
        kmmscand=Kmmscand(
            scan_enabled=True,
            scan_sleep=17 * MILLISECOND,
            scan_period=3 * SECOND,
            mms_to_scan=5,
            target_node=0,
            scan_size=2 * GIB,
            migrate_sleep=21 * MILLISECOND,
            scan_delay=2 * SECOND,
        ),
        swap=3 * GIB,
        fragmentation=0.125,
        remote_latency=2.0,
        tlb_entries=1024,
        cache=MIB + 1,
    ),
    cgroups=(
        Cgroup(path="/a"),
        Cgroup(path="/a/b", memory_max=4 * GIB, memory_high=3 * GIB + 1, swap_max=0),
        Cgroup(path="/c"),
    ),
    processes=(
        Process(
            name="first one",
            cgroup="/a/b",
            comm="it's",
            uid=1000,
            count=3,
            node=0,
            spread=True,
            start=5 * SECOND,
            repeat=0,
            thp_disable="except-advised",
            scan_scale=2,
            oom_score_adj=-500,
            vmas=(
                Vma(
                    name="heap",
                    size=GIB,
                    kind="shmem",
                    advice="hugepage",
                    misalign=64 * KIB,
                    share="pool",
                    node=1,
                ),
                Vma(name="other", size=MIB),
            ),
            phases=(
                Phase(
                    pattern=Pattern.STRIDE,
                    vma="heap",
                    offset=64 * KIB,
                    length=MIB,
                    stride=51_201,
                    touches=123_456,
                    threads=4,
                    rate=1.25e6,
                    delay=10,
                    work=20,
                    write=0.25,
                    zero=True,
                ),
                Phase(pattern=Pattern.ZIPF, vma="heap", exponent=1.1, touches=1),
                Phase(
                    pattern=Pattern.HOTSET,
                    vma="other",
                    hot_size=0.2,
                    hot_share=0.75,
                    hot_moves_every=SECOND,
                    duration=1,
                ),
                Phase(pattern=Pattern.SEQUENTIAL, vma="other", passes=1.5),
                Phase(pattern=Pattern.FORK, duration=SECOND, children=2),
                Phase(pattern=Pattern.FREE, vma="other"),
                Phase(pattern=Pattern.EXIT),
            ),
        ),
    ),
    actions=(
        Action(at=0, kind=ActionKind.SET_ADD, name="java", value="/a"),
        Action(at=1, kind=ActionKind.PARAM, name="ceiling", value="20%"),
        Action(at=60 * SECOND, kind=ActionKind.DETACH),
    ),
)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_read_back_as_they_are(path: Path) -> None:
    workload = read_workload(path)
    assert parse_workload(write_workload(workload).encode(), "x") == workload


def test_every_field_reads_back() -> None:
    text = write_workload(ALL)
    assert parse_workload(text.encode(), "x") == ALL
    for table in (ALL, ALL.machine, ALL.machine.numa, ALL.processes[0], ALL.processes[0].vmas[0]):
        for field in dataclasses.fields(table):
            if field.default is not dataclasses.MISSING and field.name != "node":
                assert getattr(table, field.name) != field.default, field.name


@pytest.mark.parametrize("order", [9, 10])
@pytest.mark.parametrize("page_size", [4096, 16384])
def test_the_pmd_order_reads_back(page_size: int, order: int) -> None:
    machine = Machine(nodes=(Node(memory=GIB, cpus=1),), page_size=page_size, pmd_order=order)
    process = Process(name="p", phases=(Phase(pattern=Pattern.SLEEP, duration=1),))
    workload = Workload(name="x", machine=machine, processes=(process,))
    assert parse_workload(write_workload(workload).encode(), "x") == workload


def test_defaults_are_not_written() -> None:
    process = Process(name="p", phases=(Phase(pattern=Pattern.SLEEP, duration=SECOND),))
    workload = Workload(
        name="x", machine=Machine(nodes=(Node(memory=GIB, cpus=1),)), processes=(process,)
    )
    lines = [line for line in write_workload(workload).splitlines() if line]
    assert lines == [
        'name = "x"',
        "[machine]",
        "[[machine.nodes]]",
        'memory = "1G"',
        "cpus = 1",
        "[[processes]]",
        'name = "p"',
        "[[processes.phases]]",
        'pattern = "sleep"',
        'duration = "1s"',
    ]


def test_comments_cannot_become_keys() -> None:
    text = write_workload(ALL, {(): ["one\nname = 'evil'\r\x00 " + "long " * 100]})
    assert parse_workload(text.encode(), "x") == ALL
    assert all(len(line) <= 100 for line in text.splitlines() if line.startswith("#"))
