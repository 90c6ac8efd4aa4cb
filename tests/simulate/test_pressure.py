"""Pressure averages: the kernel's arithmetic, worked by hand and beside an exact exponential."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyc.simulate.engine import simulate
from policyc.simulate.model.pressure import HZ, PERIOD, Pressure, calc_averages, collect
from policyc.simulate.workload.specification import (
    SECOND,
    Cgroup,
    Machine,
    Node,
    Pattern,
    Phase,
    Process,
    Thp,
    Vma,
    Workload,
)


def test_the_period_is_a_jiffy_longer_than_two_seconds() -> None:
    assert PERIOD == 2 * SECOND + SECOND // HZ


def test_all_of_the_time_stalled_by_hand() -> None:
    # calc_load with EXP_10s = 1677 and active = 100 << 11 = 204800:
    #   (0 * 1677 + 204800 * 371 + 2047) / 2048       = 37100    18.11 %
    #   (37100 * 1677 + 204800 * 371 + 2047) / 2048   = 67480    32.94 %
    #   (67480 * 1677 + 75980800 + 2047) / 2048       = 92356    45.09 %
    #   (92356 * 1677 + 75980800 + 2047) / 2048       = 112726   55.04 %
    pressure = Pressure()
    found: list[int] = []
    for window in range(1, 5):
        pressure.add(PERIOD, 0)
        pressure.advance(window * PERIOD)
        found.append(pressure.average("some", "avg10"))
    assert found == [37100, 67480, 92356, 112726]
    assert pressure.percent("some", "avg10") == 5504
    assert pressure.percent("full", "avg10") == 0


def test_it_decays_by_hand() -> None:
    # 112724 * 1677 / 2048 = 92303.7..., rounded down when it falls.
    assert calc_averages([112724, 0, 0], 0, 0, PERIOD)[0] == 92303


def test_missed_periods_by_hand() -> None:
    # fixed_power_int(1677, 11, 3): 1677; square (1677 * 1677 + 1024) >> 11 = 1373;
    # (1677 * 1373 + 1024) >> 11 = 1124. 100000 * 1124 / 2048 = 54882, then one period of
    # nothing: 54882 * 1677 / 2048 = 44939.
    assert calc_averages([100000, 0, 0], 3, 0, PERIOD)[0] == 44939


def test_all_stalled_reaches_a_hundred_percent() -> None:
    pressure = Pressure()
    for window in range(1, 2001):
        pressure.add(PERIOD, PERIOD)
        pressure.advance(window * PERIOD)
    assert pressure.percent("some", "avg10") == pressure.percent("full", "avg300") == 10000


@given(st.lists(st.integers(0, 100), min_size=1, max_size=200))
def test_beside_an_exact_exponential(percents: list[int]) -> None:
    # e ** (-2 s / window) in floating point; the kernel's constants are off by up to 1/4096
    # a step, and each step rounds by less than one 2048th of a percent.
    pressure = Pressure()
    exact = [0.0, 0.0, 0.0]
    for window, percent in enumerate(percents, 1):
        pressure.add(-(-PERIOD * percent // 100), 0)
        pressure.advance(window * PERIOD)
        for index, seconds in enumerate((10, 60, 300)):
            decay = math.exp(-2 / seconds)
            exact[index] = exact[index] * decay + percent * (1 - decay)
    for index, seconds in enumerate((10, 60, 300)):
        steps = min(len(percents), seconds / 2 + 1)
        bound = steps * (100 / 4096 + 1 / 2048)
        assert pressure.averages[0][index] / 2048 == pytest.approx(exact[index], abs=bound)


def test_more_than_a_period_counts_later() -> None:
    pressure = Pressure()
    pressure.add(3 * PERIOD, 0)
    other = Pressure()
    for window in range(1, 4):
        pressure.advance(window * PERIOD)
        other.add(PERIOD, 0)
        other.advance(window * PERIOD)
    assert pressure.averages == other.averages


def test_a_long_tick_is_sampled_in_windows() -> None:
    long, short = Pressure(), Pressure()
    long.spread(0, 10 * PERIOD, 5 * PERIOD, PERIOD)
    for window in range(10):
        short.spread(window * PERIOD, (window + 1) * PERIOD, PERIOD / 2, PERIOD / 10)
    assert long.averages == short.averages
    assert long.total == short.total == [5 * PERIOD, PERIOD]


def _host(cpus: int, *stalls: tuple[int, float]) -> Any:
    """Processes with a number of threads, each stalled a number of thread-ticks."""
    root = SimpleNamespace(path="/", pressure=Pressure())
    root.upwards = lambda: iter([root])
    processes = [
        SimpleNamespace(
            threads=threads,
            stalled=stalled * SECOND,
            cpu_time=(threads - stalled) * SECOND,
            ended=None,
            notes={},
            cgroup=root,
        )
        for threads, stalled in stalls
    ]
    return SimpleNamespace(
        processes=processes,
        machine=SimpleNamespace(cpus=cpus),
        cgroups={"/": root},
        psi=Pressure(),
    )


@pytest.mark.parametrize(
    ("cpus", "stalls", "some", "full"),
    [
        # One thread alone: what delays it delays all there is.
        (4, ((1, 0.5),), 0.5, 0.5),
        # Two of four threads stand still on four CPUs.
        (4, ((2, 2.0), (2, 0.0)), 0.5, 0.5),
        # Eight threads on four CPUs, two stand still: the CPUs stay busy (psi.c's example:
        # lost time is only what productive tasks cannot fill).
        (4, ((8, 2.0),), 0.5, 0.0),
        (4, ((8, 6.0),), 1.0, 0.5),
        (4, ((8, 0.0),), 0.0, 0.0),
    ],
)
def test_some_and_full_of_a_tick(
    cpus: int, stalls: tuple[tuple[int, float], ...], some: float, full: float
) -> None:
    host = _host(cpus, *stalls)
    collect(cast(Any, host), 0, SECOND)
    assert host.psi.total == [round(some * SECOND), round(full * SECOND)]
    assert host.cgroups["/"].pressure.total == host.psi.total


def test_a_long_sleep_is_spread_over_the_ticks_it_lasts() -> None:
    host = _host(1, (1, 2.0))
    for tick in range(3):
        collect(cast(Any, host), tick * SECOND, (tick + 1) * SECOND)
        host.processes[0].stalled = 0.0
    assert host.psi.total == [2 * SECOND, 2 * SECOND]


def test_an_idle_task_hardly_counts() -> None:
    # One CPU is busy all of the second, on the other a task ran for 5 ms and stood still for
    # 5 ms: collect_percpu_times weighs its 0.5 % with the 1 % that it was not idle.
    host = _host(2, (1, 0.0), (1, 0.005))
    host.processes[1].cpu_time = 0.005 * SECOND
    collect(cast(Any, host), 0, SECOND)
    assert host.psi.total[0] == round(0.005 * 0.01 / 1.01 * SECOND)


def test_who_has_ended_is_not_delayed() -> None:
    host = _host(1, (1, 0.5))
    for tick in range(3):
        collect(cast(Any, host), tick * SECOND, (tick + 1) * SECOND)
        # Nobody sets back the time of a process that has ended.
        host.processes[0].ended = tick * SECOND
    assert host.psi.total == [SECOND // 2, SECOND // 2]


def test_who_waits_for_memory_high_all_the_time_has_full_pressure() -> None:
    # 64 MiB are written where 8 are allowed and nothing can be reclaimed: each batch of 64
    # pages waits two seconds, so after a minute avg10 is near 1 - e ** -6 of 100 %.
    workload = Workload(
        name="throttled",
        duration=60 * SECOND,
        machine=Machine(nodes=(Node(memory=1 << 30, cpus=4),), thp=Thp(enabled="never")),
        cgroups=(Cgroup(path="/a", memory_high=8 << 20), Cgroup(path="/b")),
        processes=tuple(
            Process(
                name=f"p{path[1:]}",
                cgroup=path,
                vmas=(Vma(name="heap", size=64 << 20),),
                phases=(Phase(pattern=Pattern.SEQUENTIAL, vma="heap", duration=60 * SECOND),),
            )
            for path in ("/a", "/b")
        ),
    )
    run = simulate(workload, name="throttled")
    assert run.cgroups["/a"].pressure_full > 97
    assert run.cgroups["/b"].pressure_some == 0
    # Of two threads on four CPUs one stands still.
    assert run.total.pressure_some == pytest.approx(50, abs=1)
    assert run.total.pressure_full == pytest.approx(50, abs=1)
    assert run.cgroups["/a"].counters["memory_high"] > 0
